package train

import (
	"gorgonia.org/gorgonia"

	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/vec"
)

// fewChannels is the number of channels up to which a deconvolution by windows is the faster.
const fewChannels = 16

// deconv returns a deconvolution by w [in channels x 4*4*channels].
//
// In general it is a product for each pixel, whose 4 x 4 blocks are then added where they overlap. Sums over few channels are
// soon done, and time goes into writing these blocks, four times the image. For stride 2 there is another way (see
// model.WindowOrder): each 2 x 2 block of the image, which no other one overlaps, is a product of a 2 x 2 window of the input.
func (g *graph) deconv(l model.Layer, x, w *gorgonia.Node) *gorgonia.Node {
	batch := size(x) / l.In.Len()
	if l.Stride != 2 || l.In.C > fewChannels {
		v := window{h: l.Out.H, w: l.Out.W, c: l.Out.C, size: model.Kernel, stride: l.Stride, pad: l.Pad, oh: l.In.H, ow: l.In.W}
		rows := batch * l.In.H * l.In.W
		return g.col2im(v, g.matmul(product{m: rows, n: v.cols(), k: l.In.C}, x, w, rows, v.cols()))
	}
	windows := window{h: l.In.H, w: l.In.W, c: l.In.C, size: 2, stride: 1, pad: 1, oh: l.In.H + 1, ow: l.In.W + 1}
	blocks := window{h: l.Out.H, w: l.Out.W, c: l.Out.C, size: 2, stride: 2, pad: 1, oh: l.In.H + 1, ow: l.In.W + 1}
	rows := batch * windows.oh * windows.ow
	p := product{m: rows, n: blocks.cols(), k: windows.cols()}
	arranged := g.permute(model.WindowOrder(l.In.C, l.Out.C), windows.cols(), blocks.cols(), w)
	return g.col2im(blocks, g.matmul(p, g.im2col(windows, x), arranged, rows, blocks.cols()))
}

// permute returns x's values in another order, held as rows x cols: value i is x's order[i].
func (g *graph) permute(order []int32, rows, cols int, x *gorgonia.Node) *gorgonia.Node {
	if len(order) != rows*cols || size(x) != len(order) {
		g.failf("permute %v by an order of %d as %d x %d", x.Shape(), len(order), rows, cols)
	}
	xr, xc := dims(x)
	run := func(out []float32, in [][]float32) {
		for i, from := range order {
			out[i] = in[0][from]
		}
	}
	pull := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		back := make([]int32, len(order))
		for i, from := range order {
			back[from] = int32(i)
		}
		return gorgonia.Nodes{g.permute(back, xr, xc, dout)}
	}
	return g.apply("permute", rows, cols, []bool{true}, run, pull, x)
}

// blockMean averages each block of side x side pixels of images [batch x h*w*c], channel by channel.
func (g *graph) blockMean(image model.Size, side int, x *gorgonia.Node) *gorgonia.Node {
	batch, _ := dims(x)
	g.want("image", x, batch, image.Len())
	if side == 1 {
		return x
	}
	share, blocks := 1/float32(side*side), image.Len()/(side*side)
	run := func(out []float32, in [][]float32) {
		parallel(g.threads, batch, len(in[0]), func(lo, hi int) {
			clear(out[lo*blocks : hi*blocks])
			eachPixel(image, side, lo, hi, func(pixel, block int) {
				vec.AddScaled(out[block:block+image.C], share, in[0][pixel:])
			})
		})
	}
	pull := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.blockSpread(image, side, dout)}
	}
	return g.apply("blockMean", batch, blocks, []bool{true}, run, pull, x)
}

// blockSpread is blockMean's transpose: a block's value, shared out to its pixels.
func (g *graph) blockSpread(image model.Size, side int, x *gorgonia.Node) *gorgonia.Node {
	batch, _ := dims(x)
	share := 1 / float32(side*side)
	run := func(out []float32, in [][]float32) {
		parallel(g.threads, batch, len(out), func(lo, hi int) {
			eachPixel(image, side, lo, hi, func(pixel, block int) {
				vec.Affine(out[pixel:pixel+image.C], share, in[0][block:], 0)
			})
		})
	}
	pull := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.blockMean(image, side, dout)}
	}
	return g.apply("blockSpread", batch, image.Len(), []bool{true}, run, pull, x)
}

// eachPixel calls f with where each pixel of images lo..hi-1 and its block lie.
func eachPixel(image model.Size, side, lo, hi int, f func(pixel, block int)) {
	for b := lo; b < hi; b++ {
		for y := range image.H {
			for x := range image.W {
				f(((b*image.H+y)*image.W+x)*image.C, ((b*image.H+y)/side*(image.W/side)+x/side)*image.C)
			}
		}
	}
}
