package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"pacgan-appliance/internal/model"
)

// randomMatrix returns values of both signs whose magnitude is between 0.3 and 1.3: far enough from 0 that a step of a
// finite difference flips no leaky ReLU.
func randomMatrix(rng *rand.Rand, rows, cols int) *tensor.Dense {
	m := newMatrix(rows, cols)
	for i := range data(m) {
		v := 0.3 + rng.Float32()
		if rng.IntN(2) == 0 {
			v = -v
		}
		data(m)[i] = v
	}
	return m
}

// checkGradients compares the gradient of sum(w * define(inputs)), w random, with central differences for every value
// of every input.
func checkGradients(t *testing.T, tolerance float64, define func(g *graph, in gorgonia.Nodes) *gorgonia.Node, inputs ...*tensor.Dense) {
	t.Helper()
	var (
		loss  *gorgonia.Node
		grads gorgonia.Nodes
	)
	g, err := newGraph(1, func(g *graph) {
		var in gorgonia.Nodes
		for i, m := range inputs {
			in = append(in, g.input(string(rune('a'+i)), m))
		}
		y := define(g, in)
		rows, cols := dims(y)
		w := g.input("w", randomMatrix(rand.New(rand.NewPCG(9, 9)), rows, cols))
		loss = g.sumAll(g.mul(y, w))
		grads = g.gradients(loss, in)
	})
	if err != nil {
		t.Fatal(err)
	}
	at := func() float64 { return float64(mustRun(t, g, loss)[0]) }
	for i, m := range inputs {
		at()
		got := append([]float32(nil), mustValue(t, grads[i])...)
		for j := range data(m) {
			want := centralDifference(at, &data(m)[j])
			if diff := math.Abs(float64(got[j]) - want); diff > tolerance*(1+math.Abs(want)) {
				t.Errorf("input %d value %d: gradient %.5f, finite difference %.5f", i, j, got[j], want)
			}
		}
	}
}

// centralDifference returns (f(x+h) - f(x-h)) / 2h, h being 2^-7: exact in float32, and large beside its rounding.
func centralDifference(f func() float64, x *float32) float64 {
	const h = 1.0 / 128
	was := *x
	*x = was + h
	above := f()
	*x = was - h
	below := f()
	*x = was
	return (above - below) / (2 * h)
}

func mustRun(tb testing.TB, g *graph, n *gorgonia.Node) []float32 {
	tb.Helper()
	if err := g.run(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return mustValue(tb, n)
}

func mustValue(tb testing.TB, n *gorgonia.Node) []float32 {
	tb.Helper()
	v, err := valueOf(n)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func TestGradients(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	m := func(rows, cols int) *tensor.Dense { return randomMatrix(rng, rows, cols) }
	positive := m(3, 4)
	for i, v := range data(positive) {
		data(positive)[i] = float32(math.Abs(float64(v)))
	}
	small := window{h: 6, w: 4, c: 2, size: 4, stride: 2, pad: 1, oh: 3, ow: 2}
	same := window{h: 3, w: 4, c: 1, size: 4, stride: 1, pad: 1, oh: 3, ow: 4}
	image := model.Size{H: 4, W: 2, C: 3}
	type nodes = gorgonia.Nodes
	type node = gorgonia.Node
	tests := []struct {
		name   string
		define func(g *graph, in nodes) *node
		inputs []*tensor.Dense
	}{
		{"matmul", func(g *graph, in nodes) *node {
			return g.matmul(product{m: 2, n: 3, k: 4}, in[0], in[1], 2, 3)
		}, []*tensor.Dense{m(2, 4), m(4, 3)}},
		{"matmul transA", func(g *graph, in nodes) *node {
			return g.matmul(product{transA: true, m: 2, n: 3, k: 4}, in[0], in[1], 2, 3)
		}, []*tensor.Dense{m(4, 2), m(4, 3)}},
		{"matmul transB", func(g *graph, in nodes) *node {
			return g.matmul(product{transB: true, m: 2, n: 3, k: 4}, in[0], in[1], 2, 3)
		}, []*tensor.Dense{m(2, 4), m(3, 4)}},
		{"matmul both", func(g *graph, in nodes) *node {
			return g.matmul(product{transA: true, transB: true, m: 2, n: 3, k: 4}, in[0], in[1], 1, 6)
		}, []*tensor.Dense{m(4, 2), m(3, 4)}},
		{"im2col", func(g *graph, in nodes) *node { return g.im2col(small, in[0]) }, []*tensor.Dense{m(2, 48)}},
		{"im2col same", func(g *graph, in nodes) *node { return g.im2col(same, in[0]) }, []*tensor.Dense{m(2, 12)}},
		{"col2im", func(g *graph, in nodes) *node { return g.col2im(small, in[0]) }, []*tensor.Dense{m(12, 32)}},
		{"col2im same", func(g *graph, in nodes) *node { return g.col2im(same, in[0]) }, []*tensor.Dense{m(24, 16)}},
		{"permute", func(g *graph, in nodes) *node { return g.permute([]int32{2, 0, 3, 5, 1, 4}, 3, 2, in[0]) }, []*tensor.Dense{m(2, 3)}},
		{"blockMean", func(g *graph, in nodes) *node { return g.blockMean(image, 2, in[0]) }, []*tensor.Dense{m(2, 24)}},
		{"blockSpread", func(g *graph, in nodes) *node { return g.blockSpread(image, 2, in[0]) }, []*tensor.Dense{m(2, 6)}},
		{"gate", func(g *graph, in nodes) *node {
			x := g.input("mask", m(5, 4))
			return g.gate(0.2, x, in[0])
		}, []*tensor.Dense{m(3, 4)}},
		{"leaky", func(g *graph, in nodes) *node { return g.leaky(0.2, in[0]) }, []*tensor.Dense{m(3, 4)}},
		{"add", func(g *graph, in nodes) *node { return g.add(in[0], in[1]) }, []*tensor.Dense{m(3, 4), m(3, 4)}},
		{"add to itself", func(g *graph, in nodes) *node { return g.add(in[0], in[0]) }, []*tensor.Dense{m(3, 4)}},
		{"mul", func(g *graph, in nodes) *node { return g.mul(in[0], in[1]) }, []*tensor.Dense{m(3, 4), m(3, 4)}},
		{"square", func(g *graph, in nodes) *node { return g.mul(in[0], in[0]) }, []*tensor.Dense{m(3, 4)}},
		{"scale", func(g *graph, in nodes) *node { return g.scale(-3, 2, in[0]) }, []*tensor.Dense{m(3, 4)}},
		{"power", func(g *graph, in nodes) *node { return g.power(-0.5, in[0]) }, []*tensor.Dense{positive}},
		{"tanh", func(g *graph, in nodes) *node { return g.tanh(in[0]) }, []*tensor.Dense{m(3, 4)}},
		{"foldRows", func(g *graph, in nodes) *node { return g.foldRows(2, in[0]) }, []*tensor.Dense{m(3, 4)}},
		{"tile", func(g *graph, in nodes) *node { return g.tile(3, 4, in[0]) }, []*tensor.Dense{m(1, 2)}},
		{"addBias", func(g *graph, in nodes) *node { return g.addBias(in[0], in[1]) }, []*tensor.Dense{m(3, 4), m(1, 2)}},
		{"sumCols", func(g *graph, in nodes) *node { return g.sumCols(in[0]) }, []*tensor.Dense{m(3, 4)}},
		{"spread", func(g *graph, in nodes) *node { return g.spread(4, in[0]) }, []*tensor.Dense{m(3, 1)}},
		{"sumAll", func(g *graph, in nodes) *node { return g.sumAll(in[0]) }, []*tensor.Dense{m(3, 4)}},
		{"mean", func(g *graph, in nodes) *node { return g.mean(in[0]) }, []*tensor.Dense{m(3, 4)}},
		{"spreadAll", func(g *graph, in nodes) *node { return g.spreadAll(3, 4, in[0]) }, []*tensor.Dense{m(1, 1)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkGradients(t, 2e-3, tt.define, tt.inputs...) })
	}
}
