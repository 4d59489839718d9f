package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// criticCase is a critic of 8 x 8 matrices and two labels, as both recipes' tests use it.
type criticCase struct {
	params []*param
	last   *param // weights of the last layer
	// graph returns the score of x [batch x 64] and its gradient written by hand.
	graph func(g *graph, x, labels, one *gorgonia.Node) (score, inputGrad *gorgonia.Node)
}

func criticCases(rng *rand.Rand) map[string]criticCase {
	c := newCritic(rng, 8, 2)
	cases := map[string]criticCase{
		"gan": {c.params(), c.fc5.w, func(g *graph, x, labels, one *gorgonia.Node) (*gorgonia.Node, *gorgonia.Node) {
			j := c.judge(g, x, labels, nil)
			return j.score, c.inputGrad(g, j, one)
		}},
	}
	for _, norm := range []Norm{NormLayer, NormNone} {
		p := newPaperCritic(rng, 8, 2, norm)
		cases["paper, norm "+string(norm)] = criticCase{p.params(), p.fc4.w, func(g *graph, x, labels, one *gorgonia.Node) (*gorgonia.Node, *gorgonia.Node) {
			j := p.judge(g, x, labels)
			return j.score, p.inputGrad(g, j, one)
		}}
	}
	return cases
}

// TestInputGrad compares the critics' gradients written by hand with the ones that gorgonia derives.
func TestInputGrad(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, c := range criticCases(rng) {
		t.Run(name, func(t *testing.T) {
			x, labels, one := criticInputs(rng)
			var want, got *gorgonia.Node
			derived, err := newGraph(1, func(g *graph) {
				in := g.input("x", x)
				score, _ := c.graph(g, in, g.input("labels", labels), g.input("one", one))
				want = g.gradients(score, gorgonia.Nodes{in})[0]
			})
			if err != nil {
				t.Fatal(err)
			}
			byHand, err := newGraph(1, func(g *graph) {
				_, got = c.graph(g, g.input("x", x), g.input("labels", labels), g.input("one", one))
			})
			if err != nil {
				t.Fatal(err)
			}
			wantNear(t, "d score / dx", mustRun(t, byHand, got), mustRun(t, derived, want), 1e-4)
		})
	}
}

// TestPenaltyGradients checks the second-order gradients: of R1's mean |d|² and of the paper's mean (|d| - 1)², plus the
// score, by finite differences with the masks held, for a few values of every parameter.
func TestPenaltyGradients(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for name, c := range criticCases(rng) {
		t.Run(name, func(t *testing.T) {
			for _, p := range c.params {
				farFromKinks(rng, p)
			}
			x, labels, one := criticInputs(rng)
			var (
				loss, squares *gorgonia.Node
				grads         gorgonia.Nodes
			)
			g, err := newGraph(1, func(g *graph) {
				score, d := c.graph(g, g.input("x", x), g.input("labels", labels), g.input("one", one))
				squares = g.keep(g.sumAll(g.mul(d, d)))
				loss = g.add(g.scale(1e-3, 0, g.mean(score)), g.add(squares, g.scale(10, 0, g.gradientPenalty(d))))
				grads = g.gradients(loss, g.paramNodes(c.params))
			})
			if err != nil {
				t.Fatal(err)
			}
			last := data(c.last.value) // |d| is proportional to it: make it large enough for the test to see errors
			size := math.Sqrt(float64(mustRun(t, g, squares)[0]))
			for i := range last {
				last[i] /= float32(size)
			}
			at := func() float64 { return float64(mustRun(t, g, loss)[0]) }
			for i, p := range c.params {
				values := data(p.value)
				for range 4 {
					j := rng.IntN(len(values))
					at()
					got := mustValue(t, grads[i])[j]
					want := centralDifference(at, &values[j])
					wantNear(t, p.name, []float32{got}, []float32{float32(want)}, 2e-3)
				}
			}
		})
	}
}

func criticInputs(rng *rand.Rand) (x, labels, one *tensor.Dense) {
	const batch = 3
	x, labels, one = normal(rng, batch, 64, 0.5), newMatrix(batch, 2), newMatrix(batch, 1)
	oneHot(data(labels), []int{0, 1, 1})
	fill(data(one), 1)
	return x, labels, one
}
