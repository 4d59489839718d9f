package train

import (
	"math"

	"gorgonia.org/gorgonia"

	"pacgan-appliance/internal/vec"
)

// each returns a kernel that runs on ranges of the elements side by side: element i of the output follows from element i of
// each input.
func (g *graph) each(run kernel) kernel {
	return func(out []float32, in [][]float32) {
		parallel(g.threads, len(out), len(out), func(lo, hi int) {
			var part [2][]float32
			for i, x := range in {
				part[i] = x[lo:hi]
			}
			run(out[lo:hi], part[:len(in)])
		})
	}
}

// gate returns d * (1 where x >= 0, else slope): leaky ReLU's derivative at x applied to d. x may have more rows than
// d; it decides only, so no gradient flows to it (the derivative of a step is 0 almost everywhere).
func (g *graph) gate(slope float32, x, d *gorgonia.Node) *gorgonia.Node {
	rows, cols := dims(d)
	if r, c := dims(x); r < rows || c != cols {
		g.failf("gate %v by %v", d.Shape(), x.Shape())
	}
	run := g.each(func(out []float32, in [][]float32) { vec.Gate(out, slope, in[0], in[1]) })
	pull := func(in gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{nil, g.gate(slope, in[0], dout)}
	}
	return g.elementwise("gate", rows, cols, []bool{false, true}, run, pull, x, d)
}

// leaky returns leaky ReLU: x where x >= 0, else slope*x. Its derivative follows from its output, which has x's sign, so that
// x need not be kept.
func (g *graph) leaky(slope float32, x *gorgonia.Node) *gorgonia.Node {
	rows, cols := dims(x)
	run := g.each(func(out []float32, in [][]float32) { vec.Gate(out, slope, in[0], in[0]) })
	pull := func(_ gorgonia.Nodes, out, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.gate(slope, out, dout)}
	}
	return g.elementwise("leaky", rows, cols, []bool{true}, run, pull, x)
}

// add returns a + b.
func (g *graph) add(a, b *gorgonia.Node) *gorgonia.Node {
	rows, cols := dims(a)
	g.want("sum's second term", b, rows, cols)
	run := g.each(func(out []float32, in [][]float32) { vec.Add(out, in[0], in[1]) })
	pull := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{dout, dout}
	}
	return g.elementwise("add", rows, cols, []bool{true, true}, run, pull, a, b)
}

// mul returns a * b, element by element.
func (g *graph) mul(a, b *gorgonia.Node) *gorgonia.Node {
	rows, cols := dims(a)
	g.want("product's second factor", b, rows, cols)
	run := g.each(func(out []float32, in [][]float32) { vec.Mul(out, in[0], in[1]) })
	pull := func(in gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.mul(dout, in[1]), g.mul(dout, in[0])}
	}
	return g.elementwise("mul", rows, cols, []bool{true, true}, run, pull, a, b)
}

// scale returns a*x + b.
func (g *graph) scale(a, b float32, x *gorgonia.Node) *gorgonia.Node {
	rows, cols := dims(x)
	run := g.each(func(out []float32, in [][]float32) { vec.Affine(out, a, in[0], b) })
	pull := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.scale(a, 0, dout)}
	}
	return g.elementwise("scale", rows, cols, []bool{true}, run, pull, x)
}

// power returns x^p for x > 0.
func (g *graph) power(p float64, x *gorgonia.Node) *gorgonia.Node {
	rows, cols := dims(x)
	run := g.each(func(out []float32, in [][]float32) {
		for i, v := range in[0] {
			out[i] = float32(math.Pow(float64(v), p))
		}
	})
	pull := func(in gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.mul(dout, g.scale(float32(p), 0, g.power(p-1, in[0])))}
	}
	return g.elementwise("power", rows, cols, []bool{true}, run, pull, x)
}

// tanh returns the hyperbolic tangent; its gradient is dout * (1 - out²).
func (g *graph) tanh(x *gorgonia.Node) *gorgonia.Node {
	rows, cols := dims(x)
	run := g.each(func(out []float32, in [][]float32) {
		for i, v := range in[0] {
			out[i] = float32(math.Tanh(float64(v)))
		}
	})
	pull := func(_ gorgonia.Nodes, out, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.mul(dout, g.scale(-1, 1, g.mul(out, out)))}
	}
	return g.elementwise("tanh", rows, cols, []bool{true}, run, pull, x)
}
