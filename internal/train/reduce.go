package train

import (
	"gorgonia.org/gorgonia"

	"pacgan-appliance/internal/vec"
)

// The reductions and their transposes, pairwise each other's gradient:
//
//	foldRows   [n x m] -> [1 x p]   tile      [1 x p] -> [n x m]    p divides m: a bias repeated along rows
//	sumCols    [n x m] -> [n x 1]   spread    [n x 1] -> [n x m]
//	sumAll     [n x m] -> [1 x 1]   spreadAll [1 x 1] -> [n x m]

// foldRows sums x's values in groups of p columns: out[j] = sum of x[i] over i mod p = j.
func (g *graph) foldRows(p int, x *gorgonia.Node) *gorgonia.Node {
	rows, cols := dims(x)
	if cols%p != 0 {
		g.failf("fold %v by %d", x.Shape(), p)
	}
	run := func(out []float32, in [][]float32) {
		parallel(g.threads, p, len(in[0]), func(lo, hi int) {
			sum := out[lo:hi]
			clear(sum)
			for at := 0; at < len(in[0]); at += p {
				vec.Add(sum, sum, in[0][at+lo:at+hi])
			}
		})
	}
	pull := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.tile(rows, cols, dout)}
	}
	return g.apply("foldRows", 1, p, []bool{true}, run, pull, x)
}

// tile repeats b [1 x p] until it fills rows x cols.
func (g *graph) tile(rows, cols int, b *gorgonia.Node) *gorgonia.Node {
	_, p := dims(b)
	g.want("tile", b, 1, p)
	run := func(out []float32, in [][]float32) {
		for at := 0; at < len(out); at += p {
			copy(out[at:at+p], in[0])
		}
	}
	pull := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.foldRows(p, dout)}
	}
	return g.apply("tile", rows, cols, []bool{true}, run, pull, b)
}

// addBias returns x + b, b [1 x p] repeated: p = channels gives one bias a channel, p = cols one a position.
func (g *graph) addBias(x, b *gorgonia.Node) *gorgonia.Node {
	rows, cols := dims(x)
	_, p := dims(b)
	g.want("bias", b, 1, p)
	if cols%p != 0 {
		g.failf("add bias %v to %v", b.Shape(), x.Shape())
	}
	pull := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{dout, g.foldRows(p, dout)}
	}
	return g.elementwise("addBias", rows, cols, []bool{true, true}, g.biasKernel(p), pull, x, b)
}

// biasKernel returns the kernel that adds a bias of p values, the second input, to the first.
func (g *graph) biasKernel(p int) kernel {
	return func(out []float32, in [][]float32) {
		parallel(g.threads, len(out)/p, len(out), func(lo, hi int) {
			for at := lo * p; at < hi*p; at += p {
				vec.Add(out[at:at+p], in[0][at:at+p], in[1])
			}
		})
	}
}

// sumCols sums each row.
func (g *graph) sumCols(x *gorgonia.Node) *gorgonia.Node {
	rows, cols := dims(x)
	run := func(out []float32, in [][]float32) {
		for r := range out {
			out[r] = sum(in[0][r*cols : (r+1)*cols])
		}
	}
	pull := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.spread(cols, dout)}
	}
	return g.apply("sumCols", rows, 1, []bool{true}, run, pull, x)
}

// spread repeats the column x [n x 1] cols times.
func (g *graph) spread(cols int, x *gorgonia.Node) *gorgonia.Node {
	rows, _ := dims(x)
	g.want("spread", x, rows, 1)
	run := func(out []float32, in [][]float32) {
		for r, v := range in[0] {
			fill(out[r*cols:(r+1)*cols], v)
		}
	}
	pull := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.sumCols(dout)}
	}
	return g.apply("spread", rows, cols, []bool{true}, run, pull, x)
}

// sumAll sums all values.
func (g *graph) sumAll(x *gorgonia.Node) *gorgonia.Node {
	rows, cols := dims(x)
	run := func(out []float32, in [][]float32) { out[0] = sum(in[0]) }
	pull := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.spreadAll(rows, cols, dout)}
	}
	return g.apply("sumAll", 1, 1, []bool{true}, run, pull, x)
}

// mean returns the mean of all values.
func (g *graph) mean(x *gorgonia.Node) *gorgonia.Node {
	return g.scale(1/float32(size(x)), 0, g.sumAll(x))
}

// spreadAll fills rows x cols with the one value of x.
func (g *graph) spreadAll(rows, cols int, x *gorgonia.Node) *gorgonia.Node {
	g.want("spreadAll", x, 1, 1)
	run := func(out []float32, in [][]float32) { fill(out, in[0][0]) }
	pull := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.sumAll(dout)}
	}
	return g.apply("spreadAll", rows, cols, []bool{true}, run, pull, x)
}

// sum adds in float64, since a batch may hold a million small terms.
func sum(x []float32) float32 {
	var s float64
	for _, v := range x {
		s += float64(v)
	}
	return float32(s)
}
