package train

import (
	"math"
	"math/rand/v2"
	"strings"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"pacgan-appliance/internal/model"
)

// generator trains the convolutional network that model.Net describes, in place: its parameters are the network's
// own weights. Both read the same list of layers.
type generator struct {
	net     *model.Net
	tensors map[string]*param // of net.Arch.Tensors, by name
	trained []*param
	tracked []tracked
	steps   int
}

// tracked are the running moments of one batch normalisation, which inference normalises by.
type tracked struct {
	batch          moments
	mean, variance []float32
}

// trackMomentum is TF-GAN's: how much of the running moments stays each step.
const trackMomentum = 0.999

// newGenerator returns a generator with random weights.
func newGenerator(rng *rand.Rand, arch model.Arch) (*generator, error) {
	net, err := model.NewNet(arch)
	if err != nil {
		return nil, err
	}
	gen := &generator{net: net, tensors: map[string]*param{}}
	for i, spec := range arch.Tensors() {
		initialise(rng, net.Weights[i], spec)
		p := newParam("generator."+spec.Name, tensor.New(tensor.WithShape(matrixShape(spec)...), tensor.WithBacking(net.Weights[i])))
		gen.tensors[spec.Name] = p
		if spec.Trained {
			gen.trained = append(gen.trained, p)
		}
	}
	return gen, nil
}

// matrixShape is a tensor's first extent by the rest; a vector is one row.
func matrixShape(spec model.TensorSpec) tensor.Shape {
	if len(spec.Shape) == 1 {
		return tensor.Shape{1, spec.Shape[0]}
	}
	return tensor.Shape{spec.Shape[0], spec.Len() / spec.Shape[0]}
}

// initialise fills weights with normal values of variance 2/fan-in (He et al., 2015), where each output of a stride-2
// deconvolution sums a quarter of the kernel; gamma and variance start at 1, the rest at 0. The layer that ends in
// logits starts at 0 too, so that recipe gan begins at its trees.
func initialise(rng *rand.Rand, w []float32, spec model.TensorSpec) {
	layer, kind, _ := strings.Cut(spec.Name, ".")
	switch {
	case kind == "gamma" || kind == "variance":
		fill(w, 1)
	case kind == "weight" && layer != "logits":
		fanIn := float64(spec.Shape[0])
		if len(spec.Shape) == 4 {
			fanIn *= model.Kernel * model.Kernel / 4
		}
		sd := math.Sqrt(2 / fanIn)
		for i := range w {
			w[i] = float32(rng.NormFloat64() * sd)
		}
	}
}

// forward adds the network to a graph: input [batch x noise+labels] -> output [batch x outputs]. A normalised layer
// may stand in one graph only, which is the one that track then follows.
func (gen *generator) forward(g *graph, x *gorgonia.Node) *gorgonia.Node {
	gen.tracked = nil
	for _, l := range gen.net.Arch.Layers() {
		x = gen.layer(g, l, x)
	}
	return x
}

// layer adds one layer: its product, bias or normalisation, activation.
func (gen *generator) layer(g *graph, l model.Layer, x *gorgonia.Node) *gorgonia.Node {
	batch := size(x) / l.In.Len()
	channels := l.Out.C
	switch l.Kind {
	case model.Dense:
		channels = l.Out.Len()
		p := product{m: batch, n: channels, k: l.In.Len()}
		x = g.matmul(p, x, gen.node(g, l, "weight"), batch, channels)
	case model.Pointwise:
		pixels := l.In.H * l.In.W
		p := product{m: batch * pixels, n: channels, k: l.In.C}
		x = g.matmul(p, x, gen.node(g, l, "weight"), batch, l.Out.Len())
	case model.Deconv:
		x = g.deconv(l, x, gen.node(g, l, "weight"))
	case model.BlockMean:
		x = g.blockMean(l.In, l.Stride, x)
	default:
		g.failf("layer %s: kind %d is unknown", l.Name, l.Kind)
	}
	if l.Bias {
		x = g.addBias(x, gen.node(g, l, "bias"))
	}
	if l.Norm {
		x = gen.normalise(g, l, channels, x)
	}
	return activate(g, l, x)
}

// normalise adds gamma * batchNorm(x) + beta and notes where its moments are tracked.
func (gen *generator) normalise(g *graph, l model.Layer, channels int, x *gorgonia.Node) *gorgonia.Node {
	rows, cols := dims(x)
	y, batch := g.batchNorm(channels, model.NormEpsilon, x)
	gen.tracked = append(gen.tracked, tracked{
		batch: batch,
		mean:  data(gen.tensors[l.Name+".mean"].value), variance: data(gen.tensors[l.Name+".variance"].value),
	})
	return g.addBias(g.mul(y, g.tile(rows, cols, gen.node(g, l, "gamma"))), gen.node(g, l, "beta"))
}

// track takes the last batch's moments into the running ones; as with average, the first steps count for more.
func (gen *generator) track() {
	gen.steps++
	t := float32(gen.steps)
	keep := min(trackMomentum, (1+t)/(10+t))
	for _, s := range gen.tracked {
		for i, m := range s.batch.mean {
			s.mean[i] += (1 - keep) * (m - s.mean[i])
			s.variance[i] += (1 - keep) * (s.batch.variance[i] - s.variance[i])
		}
	}
}

func (gen *generator) node(g *graph, l model.Layer, tensor string) *gorgonia.Node {
	return g.param(gen.tensors[l.Name+"."+tensor])
}

func activate(g *graph, l model.Layer, x *gorgonia.Node) *gorgonia.Node {
	switch l.Act {
	case model.LeakyReLU:
		return g.leaky(l.Slope, x)
	case model.Tanh:
		return g.tanh(x)
	}
	return x
}
