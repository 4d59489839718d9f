package model

import (
	"fmt"
	"slices"

	"pacgan-appliance/internal/encoding"
)

// NetKind names an architecture of the convolutional generator.
type NetKind string

// The generators' architectures.
const (
	NetGate  NetKind = "gate"  // noise and label to 16 logits for each digit (recipe gan)
	NetPaper NetKind = "paper" // noise and label to one matrix of reals in -1..1 (recipe paper)
)

// Arch describes a convolutional generator: everything that its layers and the shapes of its weights
// follow from. Training and inference both read [Arch.Layers].
type Arch struct {
	Kind   NetKind `json:"kind"`
	N      int     `json:"n"`      // side of the matrix, a multiple of 4
	D      int     `json:"d"`      // side of a digit's block
	Noise  int     `json:"noise"`  // standard normal inputs
	Labels int     `json:"labels"` // number of labels; one label needs no input of its own
	Hidden int     `json:"hidden"` // units of the paper's first layer; 0 for NetGate
	// Channels at n/4 x n/4, n/2 x n/2 and n x n.
	Channels [3]int `json:"channels"`
}

// PaperArch is the paper's generator: noise -> fc 1,024 -> fc 12,544 as 256 @ 7x7 -> 64 @ 14x14 ->
// 32 @ 28x28 -> 1 @ 28x28, for the paper's geometry; noise 64 is TF-GAN's MNIST example, the
// paper used 1,024.
func PaperArch(g encoding.Geometry, labels, noise int) Arch {
	return Arch{Kind: NetPaper, N: g.N, D: g.D, Noise: noise, Labels: labels, Hidden: 1024, Channels: [3]int{256, 64, 32}}
}

// GateArch is the generator of recipe gan: noise -> 32 @ n/4 -> 16 @ n/2 -> 16 @ n x n -> mean of
// each block -> 16 logits.
func GateArch(g encoding.Geometry, labels int) Arch {
	return Arch{Kind: NetGate, N: g.N, D: g.D, Noise: 64, Labels: labels, Channels: [3]int{32, 16, 16}}
}

// LayerKind is what a layer computes before normalisation and activation.
type LayerKind int

// The kinds of layers. Images are NHWC: [batch][row][col][channel], row-major.
const (
	// Dense: out[b,o] = sum_i in[b,i] * weight[i,o] (+ bias[o]). In and Out are flat; an Out with
	// H x W x C is the same memory read as an image.
	Dense LayerKind = iota
	// Deconv is a transposed 4 x 4 convolution: out[b, Stride*i+ky-Pad, Stride*j+kx-Pad, o] +=
	// sum_c in[b,i,j,c] * weight[c,ky,kx,o], outside the image dropped (+ bias[o]). Stride 2 with pad
	// 1 doubles the side, as TensorFlow's conv2d_transpose with SAME padding does. Stride 1 with pad
	// 2 is TensorFlow's SAME convolution with its kernel turned by 180 degrees.
	Deconv
	// BlockMean: the mean of each Stride x Stride block, channel by channel: the paper's decoding.
	BlockMean
	// Pointwise: Dense on the channels of each pixel alone (a 1 x 1 convolution).
	Pointwise
)

// Kernel is the side of every deconvolution's filter.
const Kernel = 4

// Activation is what a layer's outputs pass through.
type Activation int

// The activations.
const (
	Linear    Activation = iota
	LeakyReLU            // x, or Layer.Slope*x below 0
	Tanh
)

// NormEpsilon is added to the variance by batch normalisation: y = gamma*(x-mean)/sqrt(var+epsilon) +
// beta, each channel over the batch and its pixels. (TF-GAN's MNIST example; its momentum is 0.999.)
const NormEpsilon = 1e-3

// Size is the extent of one image of a batch.
type Size struct{ H, W, C int }

// Len is the number of elements.
func (s Size) Len() int { return s.H * s.W * s.C }

// Layer is one layer of a generator. Its weights are the tensors Name.weight, Name.bias with Bias,
// and with Norm Name.gamma, Name.beta (trained), Name.mean, Name.variance (tracked; what inference
// normalises by). Normalisation comes before the activation; a Dense layer has one channel for each unit.
type Layer struct {
	Name        string
	Kind        LayerKind
	In, Out     Size
	Stride, Pad int // Deconv; BlockMean's side is Stride
	Bias, Norm  bool
	Act         Activation
	Slope       float32 // of LeakyReLU
}

// TensorSpec is a tensor's name and shape.
type TensorSpec struct {
	Name  string
	Shape []int
	// Trained is false for the statistics that batch normalisation tracks.
	Trained bool
}

// Tensors are the weights that a layer has, in the order in which they are kept.
func (l Layer) Tensors() []TensorSpec {
	var ts []TensorSpec
	add := func(name string, trained bool, shape ...int) {
		ts = append(ts, TensorSpec{l.Name + "." + name, shape, trained})
	}
	channels := l.Out.C
	switch l.Kind {
	case Dense:
		channels = l.Out.Len()
		add("weight", true, l.In.Len(), channels)
	case Deconv:
		add("weight", true, l.In.C, Kernel, Kernel, channels)
	case Pointwise:
		add("weight", true, l.In.C, channels)
	}
	if l.Bias {
		add("bias", true, channels)
	}
	if l.Norm {
		add("gamma", true, channels)
		add("beta", true, channels)
		add("mean", false, channels)
		add("variance", false, channels)
	}
	return ts
}

// Inputs is the length of one input: the noise, then one-hot labels where there is more than one.
func (a Arch) Inputs() int {
	if a.Labels > 1 {
		return a.Noise + a.Labels
	}
	return a.Noise
}

// Outputs is the size of one output: logits [n/d][n/d][16] or the matrix [n][n][1].
func (a Arch) Outputs() Size {
	layers := a.Layers()
	return layers[len(layers)-1].Out
}

// Layers are the generator's layers, input first.
func (a Arch) Layers() []Layer {
	h, c := a.N/4, a.Channels
	small, middle, full := Size{h, h, c[0]}, Size{2 * h, 2 * h, c[1]}, Size{a.N, a.N, c[2]}
	in := Size{1, 1, a.Inputs()}
	if a.Kind == NetPaper {
		hidden, slope := Size{1, 1, a.Hidden}, float32(0.01)
		return []Layer{
			{Name: "fc1", Kind: Dense, In: in, Out: hidden, Norm: true, Act: LeakyReLU, Slope: slope},
			{Name: "fc2", Kind: Dense, In: hidden, Out: small, Norm: true, Act: LeakyReLU, Slope: slope},
			{Name: "deconv1", Kind: Deconv, In: small, Out: middle, Stride: 2, Pad: 1, Norm: true, Act: LeakyReLU, Slope: slope},
			{Name: "deconv2", Kind: Deconv, In: middle, Out: full, Stride: 2, Pad: 1, Norm: true, Act: LeakyReLU, Slope: slope},
			{Name: "conv", Kind: Deconv, In: full, Out: Size{a.N, a.N, 1}, Stride: 1, Pad: 2, Bias: true, Act: Tanh},
		}
	}
	side, slope := a.N/a.D, float32(0.2)
	blocks := Size{side, side, c[2]}
	return []Layer{
		{Name: "fc", Kind: Dense, In: in, Out: small, Bias: true, Act: LeakyReLU, Slope: slope},
		{Name: "deconv1", Kind: Deconv, In: small, Out: middle, Stride: 2, Pad: 1, Bias: true, Act: LeakyReLU, Slope: slope},
		{Name: "deconv2", Kind: Deconv, In: middle, Out: full, Stride: 2, Pad: 1, Bias: true, Act: LeakyReLU, Slope: slope},
		{Name: "mean", Kind: BlockMean, In: full, Out: blocks, Stride: a.D},
		{Name: "logits", Kind: Pointwise, In: blocks, Out: Size{side, side, encoding.Values}},
	}
}

// Tensors are the generator's weights in the order of its layers.
func (a Arch) Tensors() []TensorSpec {
	var ts []TensorSpec
	for _, l := range a.Layers() {
		ts = append(ts, l.Tensors()...)
	}
	return ts
}

// What bounds an architecture, so that a hostile file cannot exhaust memory.
const (
	maxUnits   = 1 << 16 // of each extent
	maxOutputs = 1 << 26 // of one layer; the paper's generator has 25,088
)

// Validate reports what is inconsistent.
func (a Arch) Validate() error {
	if a.Kind != NetGate && a.Kind != NetPaper {
		return fmt.Errorf("network %q: must be %q or %q", a.Kind, NetGate, NetPaper)
	}
	if err := (encoding.Geometry{N: a.N, W: 1, D: a.D}).Validate(); err != nil {
		return fmt.Errorf("network %s: %w", a.Kind, err)
	}
	if a.N%4 != 0 {
		return fmt.Errorf("network %s: n = %d must be a multiple of 4: two layers double the side", a.Kind, a.N)
	}
	sizes := []int{a.Noise, a.Labels, a.Channels[0], a.Channels[1], a.Channels[2]}
	if a.Kind == NetPaper {
		sizes = append(sizes, a.Hidden)
	}
	for _, s := range sizes {
		if s < 1 || s > maxUnits {
			return fmt.Errorf("network %s: noise, labels, hidden and channels must be 1 to %d each, not %d", a.Kind, maxUnits, s)
		}
	}
	for _, l := range a.Layers() {
		if l.Out.Len() > maxOutputs {
			return fmt.Errorf("network %s: layer %s has %d outputs: at most %d", a.Kind, l.Name, l.Out.Len(), maxOutputs)
		}
	}
	return nil
}

// Net is a convolutional generator: its architecture and its weights.
type Net struct {
	Arch    Arch
	Weights [][]float32 // row-major, in the order of Arch.Tensors
}

// NewNet returns a generator with zero weights, for training to fill.
func NewNet(a Arch) (*Net, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	n := &Net{Arch: a}
	for _, t := range a.Tensors() {
		n.Weights = append(n.Weights, make([]float32, t.Len()))
	}
	return n, nil
}

// silent reports whether all outputs are 0, whatever goes in: recipe gan's network is so until it has been trained, and that
// state is what validation often chooses.
func (n *Net) silent() bool {
	layers := n.Arch.Layers()
	last := layers[len(layers)-1]
	if last.Kind != Pointwise || last.Bias || last.Norm {
		return false
	}
	return !slices.ContainsFunc(n.Weights[len(n.Weights)-1], func(w float32) bool { return w != 0 })
}

// Len is the number of elements.
func (t TensorSpec) Len() int {
	n := 1
	for _, extent := range t.Shape {
		n *= extent
	}
	return n
}
