package train

import (
	"gorgonia.org/gorgonia"

	"pacgan-appliance/internal/vec"
)

// Two players share one pass backward where, at each score, their losses differ in slope alone. It computes the one's gradients; in
// those of the other's parameters each row then counts by the quotient of the slopes, a number in the input counts [batch x 1],
// which must hold it before any gradient is computed.

// matmulCounted is a matmul of x and a parameter w in whose gradient each row of the result counts so; nil: 1.
func (g *graph) matmulCounted(p product, x, w, counts *gorgonia.Node, rows, cols int) *gorgonia.Node {
	if counts == nil {
		return g.matmul(p, x, w, rows, cols)
	}
	pull := func(in gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		dx := g.matmulGrad(p)(in, nil, dout)[0]
		dw := g.matmulGrad(p)(in, nil, g.mulRows(counts, dout))[1]
		return gorgonia.Nodes{dx, dw}
	}
	return g.apply("matmul", rows, cols, []bool{true, true}, g.gemmKernel(p), pull, x, w)
}

// addBiasCounted is an addBias in whose gradient of b each row counts so; nil: 1.
func (g *graph) addBiasCounted(x, b, counts *gorgonia.Node) *gorgonia.Node {
	if counts == nil {
		return g.addBias(x, b)
	}
	rows, cols := dims(x)
	_, p := dims(b)
	pull := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{dout, g.foldRows(p, g.mulRows(counts, dout))}
	}
	return g.elementwise("addBias", rows, cols, []bool{true, true}, g.biasKernel(p), pull, x, b)
}

// mulRows returns x with each row multiplied by its number in the column r; asked again, the same node.
func (g *graph) mulRows(r, x *gorgonia.Node) *gorgonia.Node {
	key := [2]*gorgonia.Node{r, x}
	if n := g.products[key]; n != nil {
		return n
	}
	rows, cols := dims(x)
	g.want("counts", r, rows, 1)
	run := func(out []float32, in [][]float32) {
		parallel(g.threads, rows, len(out), func(lo, hi int) {
			for row := lo; row < hi; row++ {
				vec.Affine(out[row*cols:(row+1)*cols], in[0][row], in[1][row*cols:], 0)
			}
		})
	}
	g.products[key] = g.apply("mulRows", rows, cols, []bool{false, false}, run, nil, r, x)
	return g.products[key]
}

// stack returns the rows of a, then those of b.
func (g *graph) stack(a, b *gorgonia.Node) *gorgonia.Node {
	above, cols := dims(a)
	below, _ := dims(b)
	g.want("rows to stack", b, below, cols)
	run := func(out []float32, in [][]float32) {
		copy(out, in[0])
		copy(out[above*cols:], in[1])
	}
	pull := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.rowsOf(dout, 0, above), g.rowsOf(dout, above, above+below)}
	}
	return g.apply("stack", above+below, cols, []bool{true, true}, run, pull, a, b)
}

// rowsOf returns rows from to to-1 of x.
func (g *graph) rowsOf(x *gorgonia.Node, from, to int) *gorgonia.Node {
	rows, cols := dims(x)
	if from < 0 || to > rows {
		g.failf("rows %d to %d of %v", from, to, x.Shape())
	}
	run := func(out []float32, in [][]float32) { copy(out, in[0][from*cols:to*cols]) }
	return g.apply("rowsOf", to-from, cols, []bool{false}, run, nil, x)
}
