package train

import (
	"math"

	"gorgonia.org/gorgonia"

	"pacgan-appliance/internal/vec"
)

// moments are the mean and variance of each channel in the last batch that a batch normalisation saw.
type moments struct{ mean, variance []float32 }

// batchNorm returns (x - mean) / sqrt(variance + epsilon), the moments taken over all rows of [size/p x p]. The
// moments are valid after the graph has run.
func (g *graph) batchNorm(p int, epsilon float32, x *gorgonia.Node) (*gorgonia.Node, moments) {
	rows, cols := dims(x)
	if cols%p != 0 {
		g.failf("normalise %v by %d channels", x.Shape(), p)
	}
	s := moments{make([]float32, p), make([]float32, p)}
	run := func(out []float32, in [][]float32) {
		parallel(g.threads, p, len(out), func(lo, hi int) {
			s.take(in[0], lo, hi)
			inverse := make([]float32, hi-lo)
			for i := range inverse {
				inverse[i] = inverseRoot(s.variance[lo+i] + epsilon)
			}
			for at := 0; at < len(out); at += p {
				vec.Normalise(out[at+lo:at+hi], in[0][at+lo:], s.mean[lo:], inverse)
			}
		})
	}
	pull := func(_ gorgonia.Nodes, y, dy *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.batchNormGrad(p, epsilon, s, y, dy)}
	}
	return g.apply("batchNorm", rows, cols, []bool{true}, run, pull, x), s
}

// batchNormGrad returns dx = (dy - mean(dy) - y mean(y dy)) / sqrt(variance + epsilon), means over the batch. It has no
// gradient of its own: batch normalisation stands in the generator only, and the penalty is on the critic.
func (g *graph) batchNormGrad(p int, epsilon float32, s moments, y, dy *gorgonia.Node) *gorgonia.Node {
	rows, cols := dims(dy)
	meanDY, meanYDY := make([]float32, p), make([]float32, p)
	run := func(out []float32, in [][]float32) {
		y, dy := in[0], in[1]
		n := float32(len(out) / p)
		parallel(g.threads, p, len(out), func(lo, hi int) {
			sumDY, sumYDY := meanDY[lo:hi], meanYDY[lo:hi]
			clear(sumDY)
			clear(sumYDY)
			for at := 0; at < len(out); at += p {
				vec.Add(sumDY, sumDY, dy[at+lo:])
				vec.AddProduct(sumYDY, y[at+lo:], dy[at+lo:])
			}
			vec.Affine(sumDY, 1/n, sumDY, 0)
			inverse, along := make([]float32, hi-lo), make([]float32, hi-lo)
			for i := range inverse {
				inverse[i] = inverseRoot(s.variance[lo+i] + epsilon)
				along[i] = -sumYDY[i] / n * inverse[i]
			}
			for at := 0; at < len(out); at += p {
				vec.Normalise(out[at+lo:at+hi], dy[at+lo:], sumDY, inverse)
				vec.AddProduct(out[at+lo:at+hi], y[at+lo:], along)
			}
		})
	}
	return g.apply("batchNormGrad", rows, cols, []bool{false, false}, run, nil, y, dy)
}

// take computes the moments of channels lo..hi-1 of x [n x channels].
func (s moments) take(x []float32, lo, hi int) {
	channels := len(s.mean)
	n := float32(len(x) / channels)
	mean, variance := s.mean[lo:hi], s.variance[lo:hi]
	clear(mean)
	for at := 0; at < len(x); at += channels {
		vec.Add(mean, mean, x[at+lo:])
	}
	vec.Affine(mean, 1/n, mean, 0)
	clear(variance)
	off := make([]float32, hi-lo)
	less := make([]float32, hi-lo)
	vec.Affine(less, -1, mean, 0)
	for at := 0; at < len(x); at += channels {
		vec.Add(off, x[at+lo:], less)
		vec.AddProduct(variance, off, off)
	}
	vec.Affine(variance, 1/n, variance, 0)
}

// layerNorm returns (x - mean) / sqrt(variance + epsilon) with the moments of each row, and 1/sqrt(variance + epsilon)
// [batch x 1]. It is made of ops that can be differentiated twice, since the critic's penalty needs it.
func (g *graph) layerNorm(epsilon float32, x *gorgonia.Node) (y, inverse *gorgonia.Node) {
	_, cols := dims(x)
	centred := g.subRowMean(x)
	variance := g.rowMean(g.mul(centred, centred))
	inverse = g.power(-0.5, g.scale(1, epsilon, variance))
	return g.mul(centred, g.spread(cols, inverse)), inverse
}

// layerNormBack returns dx = (dy - mean(dy) - y mean(y dy)) * inverse, means over each row.
func (g *graph) layerNormBack(y, inverse, dy *gorgonia.Node) *gorgonia.Node {
	_, cols := dims(dy)
	along := g.mul(y, g.spread(cols, g.rowMean(g.mul(y, dy))))
	return g.mul(g.add(g.subRowMean(dy), g.scale(-1, 0, along)), g.spread(cols, inverse))
}

// rowMean returns each row's mean [batch x 1].
func (g *graph) rowMean(x *gorgonia.Node) *gorgonia.Node {
	_, cols := dims(x)
	return g.scale(1/float32(cols), 0, g.sumCols(x))
}

// subRowMean returns x less each row's mean.
func (g *graph) subRowMean(x *gorgonia.Node) *gorgonia.Node {
	_, cols := dims(x)
	return g.add(x, g.scale(-1, 0, g.spread(cols, g.rowMean(x))))
}

func inverseRoot(x float32) float32 { return float32(1 / math.Sqrt(float64(x))) }
