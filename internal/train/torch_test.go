package train

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"pacgan-appliance/internal/model"
)

// torchCase is what bench/torch_gradients.py says of a network: at most 32 values of each result.
type torchCase struct {
	Output, Input []float32
	Gradients     map[string][]float32
}

// TestGradientsAreTorchs compares outputs, the critics' input gradients and every parameter's gradient, the penalties' second-order
// ones among them, with PyTorch's.
func TestGradientsAreTorchs(t *testing.T) {
	encoded, err := os.ReadFile("testdata/torch.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases map[string]torchCase
	if err := json.Unmarshal(encoded, &cases); err != nil {
		t.Fatal(err)
	}
	gate := model.Arch{Kind: model.NetGate, N: 8, D: 2, Noise: 3, Labels: 2, Channels: [3]int{20, 6, 4}} // either way to deconvolve
	paper := model.Arch{Kind: model.NetPaper, N: 8, D: 2, Noise: 3, Labels: 2, Hidden: 6, Channels: [3]int{5, 4, 3}}
	t.Run("generator gate", func(t *testing.T) { compareGenerator(t, gate, cases["generator gate"]) })
	t.Run("generator paper", func(t *testing.T) { compareGenerator(t, paper, cases["generator paper"]) })
	for name, c := range criticCases(rand.New(rand.NewPCG(1, 1))) {
		switch name {
		case "gan":
			t.Run("critic gan", func(t *testing.T) {
				compareCritic(t, c, cases["critic gan"], func(g *graph, d *gorgonia.Node) *gorgonia.Node { return g.sumAll(g.mul(d, d)) })
			})
		case "paper, norm " + string(NormLayer):
			t.Run("critic paper", func(t *testing.T) { compareCritic(t, c, cases["critic paper"], (*graph).gradientPenalty) })
		}
	}
}

func compareGenerator(t *testing.T, arch model.Arch, want torchCase) {
	gen, err := newGenerator(rand.New(rand.NewPCG(1, 1)), arch)
	if err != nil {
		t.Fatal(err)
	}
	var y *gorgonia.Node
	var grads gorgonia.Nodes
	compareWithTorch(t, gen.trained, want, func(g *graph) {
		y = g.keep(gen.forward(g, g.input("noise", pattern("noise", 3, arch.Inputs()))))
		slope := g.input("slope", pattern("slope", 3, arch.Outputs().Len()))
		grads = g.gradients(g.sumAll(g.mul(y, slope)), g.paramNodes(gen.trained))
	}, &y, nil, &grads)
}

func compareCritic(t *testing.T, c criticCase, want torchCase, penalty func(g *graph, d *gorgonia.Node) *gorgonia.Node) {
	var score, d *gorgonia.Node
	var grads gorgonia.Nodes
	one := newMatrix(3, 1)
	fill(data(one), 1)
	compareWithTorch(t, c.params, want, func(g *graph) {
		score, d = c.graph(g, g.input("x", pattern("x", 3, 64)), g.input("labels", pattern("labels", 3, 2)), g.input("one", one))
		g.keep(score)
		g.keep(d)
		grads = g.gradients(g.add(g.mean(score), penalty(g, d)), g.paramNodes(c.params))
	}, &score, &d, &grads)
}

// compareWithTorch gives parameters the weights of the script, runs a graph and compares.
func compareWithTorch(t *testing.T, params []*param, want torchCase, define func(g *graph), output, input **gorgonia.Node, grads *gorgonia.Nodes) {
	t.Helper()
	for _, p := range params {
		rows, cols := p.value.Shape()[0], p.value.Shape()[1]
		copy(data(p.value), data(pattern(p.name, rows, cols)))
	}
	g, err := newGraph(1, define)
	if err != nil {
		t.Fatal(err)
	}
	wantNear(t, "output", someOf(mustRun(t, g, *output)), want.Output, 2e-5)
	if input != nil {
		wantNear(t, "d output / dx", someOf(mustValue(t, *input)), want.Input, 2e-5)
	}
	if len(params) != len(want.Gradients) {
		t.Errorf("%d parameters, PyTorch has %d", len(params), len(want.Gradients))
	}
	for i, p := range params {
		got, want := someOf(mustValue(t, (*grads)[i])), want.Gradients[p.name]
		if len(want) == 0 {
			t.Errorf("PyTorch has no gradient of %s", p.name)
			continue
		}
		largest := float32(0)
		for _, v := range want {
			largest = max(largest, float32(math.Abs(float64(v))))
		}
		for j := range got { // as a share of the largest, since most are small
			got[j], want[j] = got[j]/largest, want[j]/largest
		}
		wantNear(t, p.name, got, want, 2e-4)
	}
}

// pattern is the script's: values that both sides know.
func pattern(name string, rows, cols int) *tensor.Dense {
	seed := 0
	for _, b := range []byte(name) {
		seed += int(b)
	}
	m := newMatrix(rows, cols)
	for i := range data(m) {
		v := (float64((i*7919+seed*104729)%2003)/2003 - 0.5) * 2 / math.Sqrt(float64(rows))
		if strings.HasSuffix(name, "gamma") {
			v++
		}
		data(m)[i] = float32(v)
	}
	return m
}

// someOf returns the values of which the script keeps a copy.
func someOf(x []float32) []float32 {
	var some []float32
	for i := 0; i < len(x) && len(some) < 32; i += max(1, len(x)/32) {
		some = append(some, x[i])
	}
	return some
}
