package train

import (
	"math/rand/v2"
	"slices"
	"testing"

	"gorgonia.org/gorgonia"

	"pacgan-appliance/internal/model"
)

// TestOnePassServesBothPlayers: losses and gradients of recipe gan's one graph are those of a graph for each player, as the losses
// are defined.
func TestOnePassServesBothPlayers(t *testing.T) {
	for name, r1 := range map[string]bool{"plain": false, "penalised": true} {
		t.Run(name, func(t *testing.T) {
			g, c := mustPerturbedGAN(t)
			l, err := g.build(&scratch{}, c, g.adamG.params, r1)
			if err != nil {
				t.Fatal(err)
			}
			mustRun(t, l.graph, l.criticLoss)
			if counts := data(g.counts); !slices.Contains(counts, 0) || !slices.Contains(counts, -1) {
				t.Fatalf("counts %v: no fake is beyond its hinge, or all are", counts)
			}
			criticLoss, generatorLoss, generatorGrads, criticGrads := playersAlone(t, g, c, r1)
			wantNear(t, "critic's loss", mustValue(t, l.criticLoss), criticLoss, 1e-4)
			wantNear(t, "generator's loss", mustValue(t, l.generatorLoss), generatorLoss, 1e-4)
			for i, p := range g.adamG.params {
				wantNear(t, p.name, mustValue(t, l.generatorGrads[i]), generatorGrads[i], 1e-4)
			}
			for i, p := range c.params() {
				wantNear(t, p.name, mustValue(t, l.criticGrads[i]), criticGrads[i], 1e-4)
			}
		})
	}
}

// mustPerturbedGAN returns a gan with inputs drawn, whose generator is not at its trees and whose critic is sure of some packets.
func mustPerturbedGAN(t *testing.T) (*gan, *critic) {
	t.Helper()
	opts, err := Options{Seed: 1, Batch: 12, Prior: model.PriorUniform}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSplit(lanData(1, 60), 1)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := newGAN(t.Context(), s, opts)
	if err != nil {
		t.Fatal(err)
	}
	g := rec.(*gan)
	rng := rand.New(rand.NewPCG(11, 7))
	for _, p := range g.adamG.params {
		for j := range data(p.value) {
			data(p.value)[j] += float32(rng.NormFloat64()) * 0.05
		}
	}
	c := newCritic(rng, s.geometry.N, len(s.labels))
	for i := range data(c.fc5.w.value) {
		data(c.fc5.w.value)[i] *= 100
	}
	g.drawInputs()
	if err := drawReal(g.rng, s, g.decoder.labels, data(g.real)); err != nil {
		t.Fatal(err)
	}
	var score *gorgonia.Node
	graph, err := newGraph(1, func(gr *graph) {
		_, fake := g.generate(gr)
		score = c.judge(gr, fake, gr.input("labels", g.labels), nil).score
	})
	if err != nil {
		t.Fatal(err)
	}
	scores := slices.Sorted(slices.Values(mustRun(t, graph, score)))
	data(c.fc5.b.value)[0] -= 1 + (scores[5]+scores[6])/2 // half of the fakes lie beyond the hinge
	return g, c
}

// playersAlone computes each player's loss and gradients in a graph of its own.
func playersAlone(t *testing.T, g *gan, c *critic, r1 bool) (criticLoss, generatorLoss []float32, generatorGrads, criticGrads [][]float32) {
	t.Helper()
	batch := g.opts.Batch
	var drawn, loss *gorgonia.Node
	var grads gorgonia.Nodes
	generator, err := newGraph(1, func(gr *graph) {
		var net *gorgonia.Node
		net, drawn = g.generate(gr)
		gr.keep(drawn)
		score := c.judge(gr, drawn, gr.input("labels", g.labels), nil).score
		loss = gr.add(gr.scale(-1, 0, gr.mean(score)), gr.scale(ganNetPenalty, 0, gr.mean(gr.mul(net, net))))
		grads = gr.gradients(loss, gr.paramNodes(g.adamG.params))
	})
	if err != nil {
		t.Fatal(err)
	}
	generatorLoss, generatorGrads = mustRun(t, generator, loss), values(t, grads)

	fake := mustValue(t, drawn)
	both, sign, one := newMatrix(2*batch, g.split.geometry.Elements()), newMatrix(2*batch, 1), newMatrix(batch, 1)
	copy(data(both), data(g.real))
	copy(data(both)[len(fake):], fake)
	fill(data(sign), 1) // -1 for captured packets, 1 for generated
	fill(data(sign)[:batch], -1)
	fill(data(one), 1)
	critic, err := newGraph(1, func(gr *graph) {
		j := c.judge(gr, gr.input("both", both), gr.input("labels", g.bothLabels), nil)
		margin := gr.scale(1, 1, gr.mul(gr.input("sign", sign), j.score)) // 1 - C(real), 1 + C(fake)
		loss = gr.scale(2, 0, gr.mean(gr.leaky(0, margin)))
		if r1 {
			d := c.inputGrad(gr, j, gr.input("one", one))
			loss = gr.add(loss, gr.scale(ganR1*ganR1Every/float32(batch), 0, gr.sumAll(gr.mul(d, d))))
		}
		grads = gr.gradients(loss, gr.paramNodes(c.params()))
	})
	if err != nil {
		t.Fatal(err)
	}
	criticLoss = mustRun(t, critic, loss)
	return criticLoss, generatorLoss, generatorGrads, values(t, grads)
}

func values(t *testing.T, nodes gorgonia.Nodes) [][]float32 {
	t.Helper()
	var all [][]float32
	for _, n := range nodes {
		all = append(all, mustValue(t, n))
	}
	return all
}
