package model

import (
	"math"

	"pacgan-appliance/internal/sgemm"
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
	scale, shift []float32 // nil: 1, 0
	images       int       // Deconv: images in one product
}

// newForward returns a forward pass for batches of up to batch inputs, fewer where the network is
// so large that its outputs would not fit in maxBuffer.
func newForward(n *Net, batch int) *forward {
	widest, windows, product := 0, 0, 0
	for _, l := range n.Arch.Layers() {
		widest = max(widest, l.Out.Len())
	}
	batch = max(1, min(batch, maxBuffer/widest))
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

// bind joins a layer and its tensors: normalisation and bias become one scale and shift.
func bind(l Layer, tensors [][]float32) boundLayer {
	b := boundLayer{Layer: l}
	if l.Kind != BlockMean {
		b.weight, tensors = tensors[0], tensors[1:]
	}
	if l.Kind == Deconv && l.Stride == 2 {
		b.weight = windowWeights(b.weight, l.In.C, l.Out.C)
	}
	if l.Bias {
		b.shift, tensors = tensors[0], tensors[1:]
	}
	if l.Norm {
		gamma, beta, mean, variance := tensors[0], tensors[1], tensors[2], tensors[3]
		b.scale, b.shift = make([]float32, len(gamma)), make([]float32, len(gamma))
		for c := range gamma {
			b.scale[c] = gamma[c] / float32(math.Sqrt(float64(variance[c])+NormEpsilon))
			b.shift[c] = beta[c] - b.scale[c]*mean[c]
		}
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
		case Pointwise:
			f.multiply(l.weight, f.batch*l.In.H*l.In.W, l.In.C, l.Out.C, in, out)
		case BlockMean:
			l.blockMean(in, out)
		case Deconv:
			f.deconv(l, in, out)
		}
		l.finish(out)
		in = out
		f.front, f.back = f.back, f.front
	}
	return in
}

// multiply is out[rows x outer] = in[rows x inner] * weight[inner x outer].
func (f *forward) multiply(weight []float32, rows, inner, outer int, in, out []float32) {
	f.gemm.Gemm(false, false, rows, outer, inner, 1, in, inner, weight, outer, 0, out, outer)
}

// finish scales, shifts and activates the outputs, whose last axis is the channel.
func (l *boundLayer) finish(out []float32) {
	channels := l.Out.C
	if l.Kind == Dense {
		channels = l.Out.Len()
	}
	for ; len(out) > 0; out = out[channels:] {
		row := out[:channels]
		if l.scale != nil {
			for c, s := range l.scale[:len(row)] {
				row[c] *= s
			}
		}
		if l.shift != nil {
			for c, s := range l.shift[:len(row)] {
				row[c] += s
			}
		}
		l.activate(row)
	}
}

func (l *boundLayer) activate(row []float32) {
	switch l.Act {
	case LeakyReLU:
		for c, x := range row {
			row[c] = max(x, l.Slope*x) // Slope < 1
		}
	case Tanh:
		for c, x := range row {
			row[c] = float32(math.Tanh(float64(x)))
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
				src := in[(r*l.In.W+c)*l.In.C:][:l.In.C]
				dst := out[(r/l.Stride*l.Out.W+c/l.Stride)*l.Out.C:][:l.In.C]
				for i, x := range src {
					dst[i] += share * x
				}
			}
		}
	}
}
