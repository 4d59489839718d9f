package train

import (
	"math"

	"gorgonia.org/gorgonia"
)

// gate returns d * (1 where x >= 0, else slope): leaky ReLU's derivative at x applied to d. x may have more rows than
// d; it decides only, so no gradient flows to it (the derivative of a step is 0 almost everywhere).
func (g *graph) gate(slope float32, x, d *gorgonia.Node) *gorgonia.Node {
	rows, cols := dims(d)
	if r, c := dims(x); r < rows || c != cols {
		g.failf("gate %v by %v", d.Shape(), x.Shape())
	}
	factor := [2]float32{1, slope}
	run := func(out []float32, in [][]float32) {
		parallel(g.threads, len(out), len(out), func(lo, hi int) {
			x, d, out := in[0][lo:hi], in[1][lo:hi], out[lo:hi]
			for i, v := range d { // by the sign bit: a branch is mispredicted every other time
				out[i] = v * factor[math.Float32bits(x[i])>>31]
			}
		})
	}
	pull := func(in gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{nil, g.gate(slope, in[0], dout)}
	}
	return g.apply("gate", rows, cols, []bool{false, true}, run, pull, x, d)
}

// leaky returns leaky ReLU: x where x >= 0, else slope*x.
func (g *graph) leaky(slope float32, x *gorgonia.Node) *gorgonia.Node { return g.gate(slope, x, x) }

// add returns a + b.
func (g *graph) add(a, b *gorgonia.Node) *gorgonia.Node {
	rows, cols := dims(a)
	g.want("sum's second term", b, rows, cols)
	run := func(out []float32, in [][]float32) {
		for i, x := range in[0] {
			out[i] = x + in[1][i]
		}
	}
	pull := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{dout, dout}
	}
	return g.apply("add", rows, cols, []bool{true, true}, run, pull, a, b)
}

// mul returns a * b, element by element.
func (g *graph) mul(a, b *gorgonia.Node) *gorgonia.Node {
	rows, cols := dims(a)
	g.want("product's second factor", b, rows, cols)
	run := func(out []float32, in [][]float32) {
		for i, x := range in[0] {
			out[i] = x * in[1][i]
		}
	}
	pull := func(in gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.mul(dout, in[1]), g.mul(dout, in[0])}
	}
	return g.apply("mul", rows, cols, []bool{true, true}, run, pull, a, b)
}

// scale returns a*x + b.
func (g *graph) scale(a, b float32, x *gorgonia.Node) *gorgonia.Node {
	rows, cols := dims(x)
	run := func(out []float32, in [][]float32) {
		for i, v := range in[0] {
			out[i] = a*v + b
		}
	}
	pull := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.scale(a, 0, dout)}
	}
	return g.apply("scale", rows, cols, []bool{true}, run, pull, x)
}

// power returns x^p for x > 0.
func (g *graph) power(p float64, x *gorgonia.Node) *gorgonia.Node {
	rows, cols := dims(x)
	run := func(out []float32, in [][]float32) {
		for i, v := range in[0] {
			out[i] = float32(math.Pow(float64(v), p))
		}
	}
	pull := func(in gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.mul(dout, g.scale(float32(p), 0, g.power(p-1, in[0])))}
	}
	return g.apply("power", rows, cols, []bool{true}, run, pull, x)
}

// tanh returns the hyperbolic tangent; its gradient is dout * (1 - out²).
func (g *graph) tanh(x *gorgonia.Node) *gorgonia.Node {
	rows, cols := dims(x)
	run := func(out []float32, in [][]float32) {
		for i, v := range in[0] {
			out[i] = float32(math.Tanh(float64(v)))
		}
	}
	pull := func(_ gorgonia.Nodes, out, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.mul(dout, g.scale(-1, 1, g.mul(out, out)))}
	}
	return g.apply("tanh", rows, cols, []bool{true}, run, pull, x)
}
