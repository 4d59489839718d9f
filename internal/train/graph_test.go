package train

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestGraphRunsEachTime(t *testing.T) {
	x := newMatrix(1, 1)
	var y *gorgonia.Node
	g, err := newGraph(1, func(g *graph) { y = g.scale(2, 1, g.input("x", x)) })
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []float32{1, 5} {
		data(x)[0] = v
		if got := mustRun(t, g, y)[0]; got != 2*v+1 {
			t.Errorf("2*%v + 1 = %v", v, got)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("run with a cancelled context: %v", err)
	}
}

// TestOpPanicIsAnError: ops do some of their work in goroutines of their own.
func TestOpPanicIsAnError(t *testing.T) {
	for _, threads := range []int{1, 2} {
		x := newMatrix(minWork, 1)
		g, err := newGraph(threads, func(g *graph) {
			g.apply("broken", 1, 1, []bool{false}, func(_ []float32, in [][]float32) {
				parallel(threads, minWork, minWork, func(int, int) { _ = in[1] })
			}, nil, g.input("x", x))
		})
		if err != nil {
			t.Fatal(err)
		}
		err = g.run(t.Context())
		if want := "broken#1 [1 x 1]: runtime error: index out of range [1] with length 1"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("threads %d: run: %v, want %s", threads, err, want)
		}
	}
}

func TestBuildErrors(t *testing.T) {
	a, b := newMatrix(2, 3), newMatrix(2, 4)
	tests := []struct {
		name   string
		define func(g *graph)
		want   string
	}{
		{"sum", func(g *graph) { g.add(g.input("a", a), g.input("b", b)) }, "sum's second term is 2 x 4, want 2 x 3"},
		{"factor", func(g *graph) { g.mul(g.input("a", a), g.input("b", b)) }, "product's second factor is 2 x 4, want 2 x 3"},
		{"product", func(g *graph) {
			g.matmul(product{m: 2, n: 4, k: 3}, g.input("a", a), g.input("b", b), 2, 4)
		}, "product {transA:false transB:false m:2 n:4 k:3} of (2, 3) and (2, 4) values into 2 x 4"},
		{"bias", func(g *graph) { g.addBias(g.input("a", a), g.input("b", newMatrix(1, 2))) }, "add bias (1, 2) to (2, 3)"},
		{"gate", func(g *graph) { g.gate(0, g.input("a", a), g.input("b", b)) }, "gate (2, 4) by (2, 3)"},
		{"fold", func(g *graph) { g.foldRows(2, g.input("a", a)) }, "fold (2, 3) by 2"},
		{"normalise", func(g *graph) { g.batchNorm(2, 0, g.input("a", a)) }, "normalise (2, 3) by 2 channels"},
		{"name", func(g *graph) { g.input("a", a); g.input("a", b) }, `two inputs are named "a"`},
		{"no gradient", func(g *graph) {
			x := g.input("a", a)
			g.gradients(g.apply("odd", 1, 1, []bool{true}, nil, nil, x), gorgonia.Nodes{x})
		}, "odd#1 [1 x 1] has no gradient"},
		{"empty", func(*graph) {}, "build graph: there is nothing to compute"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newGraph(1, tt.define)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("newGraph: %v, want %s", err, tt.want)
			}
		})
	}
}

func TestParallelCoversAllOnce(t *testing.T) {
	for _, threads := range []int{0, 1, 2, 3, 7} {
		const n = 5
		count := make([]int, n)
		parallel(threads, n, minWork, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				count[i]++
			}
		})
		for i, c := range count {
			if c != 1 {
				t.Errorf("%d threads: row %d done %d times", threads, i, c)
			}
		}
	}
}

// TestGraphsShareMemory: graphs that run in turns compute the same in shared memory as each in its own, whatever the
// one before left there, and need no more than the larger.
func TestGraphsShareMemory(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	large, small := normal(rng, 40, 30, 1), normal(rng, 7, 5, 1)
	define := func(x *tensor.Dense, y **gorgonia.Node) func(g *graph) {
		return func(g *graph) {
			in := g.input("x", x)
			*y = g.scale(2, 1, g.mul(in, g.add(in, in)))
		}
	}
	var shared scratch
	var want, got [2][]float32
	var graphs [2]*graph
	var nodes [2]*gorgonia.Node
	for i, x := range []*tensor.Dense{large, small} {
		var alone *gorgonia.Node
		g, err := newGraph(1, define(x, &alone))
		if err != nil {
			t.Fatal(err)
		}
		want[i] = slices.Clone(mustRun(t, g, alone))
		if graphs[i], err = newGraphIn(&shared, 1, define(x, &nodes[i])); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		for i := range graphs {
			got[i] = mustRun(t, graphs[i], nodes[i])
			if diff := cmp.Diff(want[i], got[i]); diff != "" {
				t.Fatalf("graph %d (-alone +shared):\n%s", i, diff)
			}
		}
	}
	if len(shared.all) != 1 {
		t.Errorf("%d pieces of memory for two graphs whose ops can all work in place, want 1", len(shared.all))
	}
}
