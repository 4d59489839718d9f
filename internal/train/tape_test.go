package train

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gorgonia.org/gorgonia"
)

// TestOnlyWhatIsAskedForIsComputed: the gradient of one factor takes no product for the other's.
func TestOnlyWhatIsAskedForIsComputed(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	x, w := randomMatrix(rng, 2, 3), randomMatrix(rng, 3, 4)
	g, err := newGraph(1, func(g *graph) {
		in, weight := g.input("x", x), g.input("w", w)
		loss := g.sumAll(g.matmul(product{m: 2, n: 4, k: 3}, in, weight, 2, 4))
		g.gradients(loss, gorgonia.Nodes{weight})
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range g.tape {
		names = append(names, o.name)
	}
	if diff := cmp.Diff([]string{"matmul", "sumAll", "spreadAll", "matmul"}, names); diff != "" {
		t.Errorf("ops (-want +got):\n%s", diff)
	}
}

// TestMemoryIsUsedAgain: a critic's step computes the same where values share memory as where each has its own, in less of
// it.
func TestMemoryIsUsedAgain(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for name, c := range criticCases(rng) {
		t.Run(name, func(t *testing.T) {
			x, labels, one := criticInputs(rng)
			var results [2][][]float32
			var used [2]int
			for i, keepAll := range []bool{true, false} {
				var loss *gorgonia.Node
				var grads gorgonia.Nodes
				var memory scratch
				g, err := newGraphIn(&memory, 1, func(g *graph) {
					score, d := c.graph(g, g.input("x", x), g.input("labels", labels), g.input("one", one))
					loss = g.add(g.mean(score), g.gradientPenalty(d))
					grads = g.gradients(loss, g.paramNodes(c.params))
					if keepAll {
						g.kept = append(g.kept, g.nodes...)
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				results[i] = append(results[i], mustRun(t, g, loss))
				for _, grad := range grads {
					results[i] = append(results[i], mustValue(t, grad))
				}
				for _, piece := range memory.all {
					used[i] += len(piece)
				}
			}
			if diff := cmp.Diff(results[0], results[1]); diff != "" {
				t.Errorf("loss and gradients (-own +shared):\n%s", diff)
			}
			if used[1] >= used[0] {
				t.Errorf("%d values of memory, and %d where each value has its own", used[1], used[0])
			}
		})
	}
}

// TestUnknownOpIsRefused: of gorgonia's own ops the tape knows the sum of gradients.
func TestUnknownOpIsRefused(t *testing.T) {
	_, err := newGraph(1, func(g *graph) {
		x := g.input("x", newMatrix(2, 2))
		g.keep(gorgonia.Must(gorgonia.HadamardProd(x, x)))
	})
	if err == nil || !strings.Contains(err.Error(), "is not known here") {
		t.Errorf("error %v", err)
	}
}
