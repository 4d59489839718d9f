package train

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"pacgan-appliance/internal/encoding"
	"pacgan-appliance/internal/model"
)

// tinyArchs are both architectures at 8 x 8.
func tinyArchs() map[string]model.Arch {
	g := encoding.Geometry{N: 8, W: 16, D: 2}
	paper := model.PaperArch(g, 1, 3)
	paper.Hidden, paper.Channels = 4, [3]int{3, 2, 2}
	gate := model.GateArch(g, 2)
	gate.Noise, gate.Channels = 3, [3]int{3, 2, 2}
	wide := gate // its first deconvolution is not done by windows
	wide.Channels = [3]int{fewChannels + 1, 2, 2}
	return map[string]model.Arch{"gate": gate, "wide gate": wide, "paper": paper}
}

// TestForwardAgreesWithInference: the graph that is trained computes what package model samples with. Batch
// normalisation differs by design, the batch's moments against tracked ones, which are set to the batch's here.
func TestForwardAgreesWithInference(t *testing.T) {
	const batch = 5
	for name, arch := range tinyArchs() {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 1))
			gen, err := newGenerator(rng, arch)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range gen.trained { // biases and the logits layer too
				for i := range data(p.value) {
					data(p.value)[i] += 0.1 * float32(rng.NormFloat64())
				}
			}
			input := newMatrix(batch, arch.Inputs())
			drawNoise(rng, arch, data(input), []int{0, arch.Labels - 1, 0, 0, arch.Labels - 1})
			var y *gorgonia.Node
			g, err := newGraph(1, func(g *graph) { y = gen.forward(g, g.input("noise", input)) })
			if err != nil {
				t.Fatal(err)
			}
			got := mustRun(t, g, y)
			for _, s := range gen.tracked {
				copy(s.mean, s.batch.mean)
				copy(s.variance, s.batch.variance)
			}
			want, err := gen.net.Outputs(data(input))
			if err != nil {
				t.Fatal(err)
			}
			wantNear(t, "output", got, want, 2e-5)
		})
	}
}

// TestGeneratorGradients checks the gradient of every weight by finite differences.
func TestGeneratorGradients(t *testing.T) {
	const batch = 3
	for name, arch := range tinyArchs() {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(2, 2))
			gen, err := newGenerator(rng, arch)
			if err != nil {
				t.Fatal(err)
			}
			input := newMatrix(batch, arch.Inputs())
			drawNoise(rng, arch, data(input), make([]int, batch))
			var weights []*tensor.Dense
			for _, p := range gen.trained {
				farFromKinks(rng, p)
				weights = append(weights, p.value)
			}
			checkGradients(t, 2e-2, func(g *graph, in gorgonia.Nodes) *gorgonia.Node {
				for i, p := range gen.trained {
					g.inputs[p.name] = in[i]
				}
				return gen.forward(g, g.input("noise", input))
			}, weights...)
		})
	}
}

// farFromKinks sets biases to +-3 and makes the other weights small, so that no finite difference flips a leaky ReLU:
// the masks are held.
func farFromKinks(rng *rand.Rand, p *param) {
	w := data(p.value)
	for i := range w {
		switch {
		case strings.HasSuffix(p.name, "gamma"):
			w[i] = 0.5
		case p.value.Shape()[0] == 1:
			w[i] = float32(3 - 6*(i%2))
		default:
			w[i] = 0.2 * float32(rng.NormFloat64()/math.Sqrt(float64(p.value.Shape()[0])))
		}
	}
}

func TestTrackFollowsTheBatch(t *testing.T) {
	arch := tinyArchs()["paper"]
	rng := rand.New(rand.NewPCG(3, 3))
	gen, err := newGenerator(rng, arch)
	if err != nil {
		t.Fatal(err)
	}
	input := newMatrix(4, arch.Inputs())
	drawNoise(rng, arch, data(input), make([]int, 4))
	var y *gorgonia.Node
	g, err := newGraph(1, func(g *graph) { y = gen.forward(g, g.input("noise", input)) })
	if err != nil {
		t.Fatal(err)
	}
	mustRun(t, g, y)
	for range 200 {
		gen.track()
	}
	for i, s := range gen.tracked {
		wantNear(t, gen.net.Arch.Layers()[i].Name+" mean", s.mean, s.batch.mean, 1e-4)
		wantNear(t, gen.net.Arch.Layers()[i].Name+" variance", s.variance, s.batch.variance, 1e-4)
	}
}
