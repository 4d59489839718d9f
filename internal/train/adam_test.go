package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"gorgonia.org/gorgonia"
)

// TestAdamSteps pins two steps against the algorithm worked out by hand: loss 2w², so the gradient is 4w, plus 0.5w of
// decay.
func TestAdamSteps(t *testing.T) {
	p := newParam("w", newMatrix(1, 2))
	copy(data(p.value), []float32{1, -2})
	p.decay = 0.5
	var grads gorgonia.Nodes
	g, err := newGraph(1, func(g *graph) {
		w := g.param(p)
		grads = g.gradients(g.scale(2, 0, g.sumAll(g.mul(w, w))), gorgonia.Nodes{w})
	})
	if err != nil {
		t.Fatal(err)
	}
	a := newAdam([]*param{p}, 0.1, 0.5, 0.9, 1)
	want := []float64{1, -2}
	m, v := make([]float64, 2), make([]float64, 2)
	for step := 1; step <= 2; step++ {
		mustRun(t, g, grads[0])
		if err := a.step(grads); err != nil {
			t.Fatal(err)
		}
		for i, w := range want {
			g := 4.5 * w
			m[i] = 0.5*m[i] + 0.5*g
			v[i] = 0.9*v[i] + 0.1*g*g
			unbias1, unbias2 := 1-math.Pow(0.5, float64(step)), 1-math.Pow(0.9, float64(step))
			want[i] -= 0.1 * m[i] / unbias1 / (math.Sqrt(v[i]/unbias2) + 1e-8)
		}
		got := []float64{float64(data(p.value)[0]), float64(data(p.value)[1])}
		if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-6)); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", step, diff)
		}
	}
	if a.state.Steps != 2 {
		t.Errorf("%d steps counted, want 2", a.state.Steps)
	}
}

func TestAdamOfTwoThreadsIsTheSame(t *testing.T) {
	var results [][]float32
	for _, threads := range []int{1, 2} {
		p := newParam("w", normal(rand.New(rand.NewPCG(1, 1)), 200, 200, 1))
		var grads gorgonia.Nodes
		g, err := newGraph(threads, func(g *graph) {
			w := g.param(p)
			grads = g.gradients(g.sumAll(g.mul(w, w)), gorgonia.Nodes{w})
		})
		if err != nil {
			t.Fatal(err)
		}
		a := newAdam([]*param{p}, 0.1, 0, 0.99, threads)
		for range 3 {
			mustRun(t, g, grads[0])
			if err := a.step(grads); err != nil {
				t.Fatal(err)
			}
		}
		results = append(results, data(p.value))
	}
	if diff := cmp.Diff(results[0], results[1]); diff != "" {
		t.Errorf("one thread, two threads (-want +got):\n%s", diff)
	}
}

func TestAdamRefusesGradientsThatDoNotFit(t *testing.T) {
	a := newAdam([]*param{newParam("w", newMatrix(1, 2))}, 0.1, 0, 0.99, 1)
	if err := a.step(nil); err == nil || err.Error() != "optimise 1 parameters with 0 gradients" {
		t.Errorf("step: %v", err)
	}
}

func TestAverage(t *testing.T) {
	p := newParam("w", newMatrix(1, 1))
	a := newAverage([]*param{p}, 0.5)
	data(p.value)[0] = 1
	a.update() // keeps 2/11
	if got, want := a.values[0][0], float32(9)/11; math.Abs(float64(got-want)) > 1e-6 {
		t.Errorf("after one step %v, want %v", got, want)
	}
	for range 40 {
		a.update()
	}
	if got := a.values[0][0]; math.Abs(float64(got-1)) > 1e-6 {
		t.Errorf("after many steps %v, want 1", got)
	}
}
