package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"
)

func TestNormGradients(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	t.Run("batch", func(t *testing.T) {
		checkGradients(t, 5e-3, func(g *graph, in gorgonia.Nodes) *gorgonia.Node {
			y, _ := g.batchNorm(2, 1e-3, in[0])
			return y
		}, randomMatrix(rng, 3, 4))
	})
	t.Run("layer", func(t *testing.T) {
		checkGradients(t, 5e-3, func(g *graph, in gorgonia.Nodes) *gorgonia.Node {
			y, _ := g.layerNorm(1e-3, in[0])
			return y
		}, randomMatrix(rng, 3, 5))
	})
	t.Run("layer twice", func(t *testing.T) { // layerNormBack's own gradient, x and dy varying
		checkGradients(t, 5e-3, func(g *graph, in gorgonia.Nodes) *gorgonia.Node {
			y, inverse := g.layerNorm(1e-3, in[0])
			return g.layerNormBack(y, inverse, in[1])
		}, randomMatrix(rng, 2, 5), randomMatrix(rng, 2, 5))
	})
}

// TestLayerNormBack compares the gradient written by hand with the one that gorgonia derives.
func TestLayerNormBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	x, dy := randomMatrix(rng, 3, 7), randomMatrix(rng, 3, 7)
	var want, got *gorgonia.Node
	derived, err := newGraph(1, func(g *graph) {
		in := g.input("x", x)
		y, _ := g.layerNorm(1e-3, in)
		want = g.gradients(g.sumAll(g.mul(y, g.input("dy", dy))), gorgonia.Nodes{in})[0]
	})
	if err != nil {
		t.Fatal(err)
	}
	byHand, err := newGraph(1, func(g *graph) {
		y, inverse := g.layerNorm(1e-3, g.input("x", x))
		got = g.layerNormBack(y, inverse, g.input("dy", dy))
	})
	if err != nil {
		t.Fatal(err)
	}
	wantNear(t, "dx", mustRun(t, byHand, got), mustRun(t, derived, want), 1e-5)
}

func TestBatchNormMoments(t *testing.T) {
	x := newMatrix(2, 4) // two channels, two pixels
	copy(data(x), []float32{1, 10, 2, 20, 3, 30, 6, 40})
	var (
		s moments
		y *gorgonia.Node
	)
	g, err := newGraph(1, func(g *graph) { y, s = g.batchNorm(2, 0, g.input("x", x)) })
	if err != nil {
		t.Fatal(err)
	}
	out := mustRun(t, g, y)
	wantNear(t, "mean", s.mean, []float32{3, 25}, 1e-5)
	wantNear(t, "variance", s.variance, []float32{3.5, 125}, 1e-4)
	if want := float32((1 - 3) / math.Sqrt(3.5)); math.Abs(float64(out[0]-want)) > 1e-5 {
		t.Errorf("first value %v, want %v", out[0], want)
	}
}

// wantNear compares values within a tolerance relative to 1 + |want|.
func wantNear(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		if diff := math.Abs(float64(got[i] - w)); !(diff <= tolerance*(1+math.Abs(float64(w)))) {
			t.Errorf("%s[%d] = %v, want %v", what, i, got[i], w)
		}
	}
}
