package model

import (
	"math"
	"slices"

	"pacgan-appliance/internal/sgemm"
	"pacgan-appliance/internal/vec"
)

// forward runs a convolutional generator on batches, with buffers of its own: it allocates nothing
// once it stands. It computes what Arch.Layers says, batch normalisation by the tracked statistics.
type forward struct {
	batch  int
	layers []boundLayer
	gemm   sgemm.Context

	input   []float32 // [batch][inputs]
	front   []float32 // the last layer's outputs
	back    []float32 // the next layer's outputs
	windows []float32 // Deconv: some images' inputs as rows of a matrix
	product []float32 // Deconv: that matrix times the weights
}

// maxBuffer is the number of a batch's outputs that are kept at once, but for a single one that is
// larger.
const maxBuffer = 1 << 22

// boundLayer is a layer with its weights. After the product, y = scale*x + shift on each channel,
// then the activation.
type boundLayer struct {
	Layer
	weight       []float32
	scale, shift []float32 // nil: 1, 0; repeated for all channels of a few pixels, which finish does at once
	images       int       // Deconv: images in one product
}

// newForward returns a forward pass for batches of up to batch inputs, fewer where the network is
// so large that its outputs would not fit in maxBuffer.
func newForward(n *Net, batch int) *forward {
	windows, product, widest := 0, 0, widestOf(n.Arch)
	batch = batchOf(n.Arch, batch)
	f := &forward{batch: batch, input: make([]float32, batch*n.Arch.Inputs())}
	weights := n.Weights
	for _, l := range n.Arch.Layers() {
		count := len(l.Tensors())
		b := bind(l, weights[:count])
		weights = weights[count:]
		if l.Kind == Deconv {
			rows, inner, outer := b.productShape()
			b.images = min(max(1, 512/rows), batch) // enough rows for the product, little enough for the cache
			windows = max(windows, b.images*rows*inner)
			product = max(product, b.images*rows*outer)
		}
		f.layers = append(f.layers, b)
	}
	f.front, f.back = make([]float32, batch*widest), make([]float32, batch*widest)
	f.windows, f.product = make([]float32, windows), make([]float32, product)
	return f
}

// batchOf is how many inputs are taken at once where batch would be best.
func batchOf(a Arch, batch int) int { return max(1, min(batch, maxBuffer/widestOf(a))) }

// widestOf is the length of the largest layer's output.
func widestOf(a Arch) int {
	widest := 0
	for _, l := range a.Layers() {
		widest = max(widest, l.Out.Len())
	}
	return widest
}

// bind joins a layer and its tensors: normalisation and bias become one scale and shift.
func bind(l Layer, tensors [][]float32) boundLayer {
	b := boundLayer{Layer: l}
	if l.Kind != BlockMean {
		b.weight, tensors = tensors[0], tensors[1:]
	}
	pixels := l.Out.W // of a row
	switch {
	case l.Kind == Dense:
		pixels = 1 // its channels are all of its outputs
	case l.byWindows():
		b.weight = windowWeights(b.weight, l.In.C, l.Out.C)
		pixels = 4 // of a block
	}
	if l.Bias {
		b.shift, tensors = slices.Repeat(tensors[0], pixels), tensors[1:]
	}
	if l.Norm {
		gamma, beta, mean, variance := tensors[0], tensors[1], tensors[2], tensors[3]
		b.scale, b.shift = make([]float32, len(gamma)), make([]float32, len(gamma))
		for c := range gamma {
			b.scale[c] = gamma[c] / float32(math.Sqrt(float64(variance[c])+NormEpsilon))
			b.shift[c] = beta[c] - b.scale[c]*mean[c]
		}
		b.scale, b.shift = slices.Repeat(b.scale, pixels), slices.Repeat(b.shift, pixels)
	}
	return b
}

// run computes the outputs, [batch][Arch.Outputs()], of f.input. They stand until the next run.
func (f *forward) run() []float32 {
	in := f.input
	for i := range f.layers {
		l := &f.layers[i]
		out := f.back[:f.batch*l.Out.Len()]
		switch l.Kind {
		case Dense:
			f.multiply(l.weight, f.batch, l.In.Len(), l.Out.Len(), in, out)
			l.finish(out)
		case Pointwise:
			f.multiply(l.weight, f.batch*l.In.H*l.In.W, l.In.C, l.Out.C, in, out)
			l.finish(out)
		case BlockMean:
			l.blockMean(in, out)
		case Deconv:
			f.deconv(l, in, out)
		}
		in = out
		f.front, f.back = f.back, f.front
	}
	return in
}

// multiply is out[rows x outer] = in[rows x inner] * weight[inner x outer].
func (f *forward) multiply(weight []float32, rows, inner, outer int, in, out []float32) {
	f.gemm.Gemm(false, false, rows, outer, inner, 1, in, inner, weight, outer, 0, out, outer)
}

// finish scales, shifts and activates outputs, whose last axis is the channel. Each is on its own, so they may lie in any
// order, as many pixels in a row as bind repeated the channels for.
func (l *boundLayer) finish(out []float32) {
	if l.shift == nil {
		l.activate(out)
		return
	}
	for ; len(out) > 0; out = out[len(l.shift):] {
		row := out[:len(l.shift)]
		if l.scale != nil {
			vec.Mul(row, row, l.scale)
		}
		if l.Act == LeakyReLU {
			vec.AddGate(row, l.Slope, row, l.shift)
			continue
		}
		vec.Add(row, row, l.shift)
		l.activate(row)
	}
}

func (l *boundLayer) activate(x []float32) {
	switch l.Act {
	case LeakyReLU:
		vec.Gate(x, l.Slope, x, x)
	case Tanh:
		for i, v := range x {
			x[i] = float32(math.Tanh(float64(v)))
		}
	}
}

// blockMean averages each Stride x Stride block of the images in.
func (l *boundLayer) blockMean(in, out []float32) {
	share := 1 / float32(l.Stride*l.Stride)
	clear(out)
	for ; len(in) > 0; in, out = in[l.In.Len():], out[l.Out.Len():] {
		for r := range l.In.H {
			for c := range l.In.W {
				vec.AddScaled(out[(r/l.Stride*l.Out.W+c/l.Stride)*l.Out.C:][:l.In.C], share, in[(r*l.In.W+c)*l.In.C:])
			}
		}
	}
}
