package train

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"pacgan-appliance/internal/model"
)

// The constants of recipe gan.
const (
	ganRate, ganCriticRate = 3e-4, 5e-4 // Adam's, of the generator and of the critic
	// ganFineRate is the generator's where it starts from frequencies, near which it should stay: at ganRate it unlearnt
	// them (DNS queries, 400 steps: distance .16 -> .27), at this it does not (.20 -> .19).
	ganFineRate        = 1e-4
	ganBeta1, ganBeta2 = 0, 0.99
	ganLastRate        = 0.05 // share of the rate that is left at the end
	ganAverage         = 0.998
	ganNetPenalty      = 3 // times mean(network output²): the network corrects the trees, no more
	ganR1              = 1 // times E|d score/d captured|²
	ganR1Every         = 4
)

// gan trains the tree-gated generator. With noise z, one-hot labels y, and the trees' nodes as decode visits them:
//
//	net    = network(z, y)                                        [batch x capacity*16]
//	fake   = decode(prior(node) + 20 theta(node) + y bias + net)  [batch x n*n]
//	G loss = -mean(C(fake, y)) + 3 mean(net²)
//	C loss = mean(max(0, 1 - C(real, y))) + mean(max(0, 1 + C(fake, y))) [+ 4 mean|dC/dreal|² every 4th step]
//
// One batch of fakes serves both, and one graph: both players move from where they are. Backward, the loss of a fake's score is the
// generator's, -1/batch a score. The critic's own slope is its negative, or 0 beyond the hinge; so much each fake counts in the gradients
// of the critic's parameters.
type gan struct {
	split  *split
	opts   Options
	source *rand.PCG // rng's
	rng    *rand.Rand
	gate   *model.Gate
	forest []model.Forest

	generator   *generator
	theta, bias *param // [thetas x 1], [labels x capacity*16]
	decoder     *decoder
	average     *average

	noise, labels, bothLabels *tensor.Dense // [batch x noise+labels], [batch x labels], [2*batch x labels]
	real                      *tensor.Dense // captured packets [batch x n*n]
	counts                    *tensor.Dense // of each score, captured packets' first, in the critic's gradients [2*batch x 1]
	plain, penalised          ganGraph      // without R1, with it
	adamG, adamC              *adam
}

// ganGraph is a step of both players.
type ganGraph struct {
	*graph
	criticLoss, generatorLoss *gorgonia.Node
	generatorGrads            gorgonia.Nodes
	criticGrads               gorgonia.Nodes
}

// newGAN fits the trees and builds both graphs.
func newGAN(ctx context.Context, s *split, opts Options) (recipe, error) {
	forests, err := fitForests(ctx, s, opts.Threads)
	if err != nil {
		return nil, err
	}
	g := &gan{split: s, opts: opts, source: rand.NewPCG(opts.Seed, 1<<32), forest: forests}
	g.rng = rand.New(g.source)
	if g.generator, err = newGenerator(g.rng, model.GateArch(s.geometry, len(s.labels))); err != nil {
		return nil, err
	}
	g.gate = model.NewGate(opts.Prior, forests, s.geometry.DigitsCapacity())
	g.decoder = newDecoder(forests, s.geometry, opts.Prior, opts.Batch)
	g.theta = newParam("theta", newMatrix(max(g.decoder.thetas, 1), 1))
	g.bias = newParam("bias", newMatrix(len(s.labels), s.geometry.DigitsCapacity()*digitValues))
	critic := newCritic(g.rng, s.geometry.N, len(s.labels))

	trained := append([]*param{g.theta, g.bias}, g.generator.trained...)
	g.average = newAverage(trained, ganAverage)
	g.adamG = newAdam(trained, ganRate, ganBeta1, ganBeta2, opts.Threads)
	g.adamC = newAdam(critic.params(), ganCriticRate, ganBeta1, ganBeta2, opts.Threads)

	g.noise = newMatrix(opts.Batch, g.generator.net.Arch.Inputs())
	g.labels, g.bothLabels = newMatrix(opts.Batch, len(s.labels)), newMatrix(2*opts.Batch, len(s.labels))
	g.real, g.counts = newMatrix(opts.Batch, s.geometry.Elements()), newMatrix(2*opts.Batch, 1)
	var memory scratch // of both graphs, which run in turns: the larger first, so that the other fits into it
	if g.penalised, err = g.build(&memory, critic, trained, true); err != nil {
		return nil, err
	}
	g.plain, err = g.build(&memory, critic, trained, false)
	return g, err
}

// build builds the graph of a step, with or without the penalty R1 (Mescheder et al., 2018).
func (g *gan) build(memory *scratch, c *critic, trained []*param, r1 bool) (l ganGraph, err error) {
	one := newMatrix(g.opts.Batch, 1)
	fill(data(one), 1)
	l.graph, err = newGraphIn(memory, g.opts.Threads, func(gr *graph) {
		net, fake := g.generate(gr)
		j := c.judge(gr, gr.stack(gr.input("real", g.real), fake), gr.input("both labels", g.bothLabels), gr.input("counts", g.counts))
		slopes, hinge := g.hinge(gr, j.score)
		netPenalty := gr.scale(ganNetPenalty, 0, gr.mean(gr.mul(net, net)))
		l.criticLoss = hinge
		l.generatorLoss = gr.add(gr.scale(-1, 0, gr.mean(gr.rowsOf(j.score, g.opts.Batch, 2*g.opts.Batch))), netPenalty)
		loss := gr.add(gr.sumAll(gr.mul(slopes, j.score)), netPenalty)
		if r1 {
			d := c.inputGrad(gr, j, gr.input("one", one)) // of the first batch rows: the captured packets
			penalty := gr.scale(ganR1*ganR1Every/float32(g.opts.Batch), 0, gr.sumAll(gr.mul(d, d)))
			l.criticLoss, loss = gr.add(hinge, penalty), gr.add(loss, penalty)
		}
		grads := gr.gradients(loss, gr.paramNodes(slices.Concat(trained, c.params())))
		l.generatorGrads, l.criticGrads = grads[:len(trained)], grads[len(trained):]
	})
	return l, err
}

// generate adds the generator: the network's output and the batch of fakes.
func (g *gan) generate(gr *graph) (net, fake *gorgonia.Node) {
	net = g.generator.forward(gr, gr.input("noise", g.noise))
	batch, width := dims(net)
	bias := gr.matmul(product{m: batch, n: width, k: len(g.split.labels)}, gr.input("labels", g.labels), gr.param(g.bias), batch, width)
	return net, g.decoder.decode(gr, gr.add(net, bias), gr.param(g.theta))
}

// hinge returns the slopes at the scores [2*batch x 1] that go backward, and the critic's loss without R1. Computing the slopes sets
// counts.
func (g *gan) hinge(gr *graph, score *gorgonia.Node) (slopes, loss *gorgonia.Node) {
	batch := g.opts.Batch
	share := 1 / float32(batch)
	run := func(out []float32, in [][]float32) {
		counts := data(g.counts)
		for i, score := range in[0] {
			out[i], counts[i] = -share, 1
			switch {
			case i < batch && score > 1: // beyond its hinge
				out[i] = 0
			case i >= batch && score < -1:
				counts[i] = 0
			case i >= batch:
				counts[i] = -1
			}
		}
	}
	slopes = gr.apply("hinge slopes", 2*batch, 1, []bool{false}, run, nil, score)
	lose := func(out []float32, in [][]float32) {
		var sum float32
		for i, score := range in[0] {
			if i < batch {
				score = -score
			}
			sum += max(0, 1+score)
		}
		out[0] = sum * share
	}
	return slopes, gr.apply("hinge", 1, 1, []bool{false}, lose, nil, score)
}

// step draws a batch of generated packets, and moves both players by it.
func (g *gan) step(ctx context.Context, step int) (criticLoss, generatorLoss float32, err error) {
	rate := falling(step, g.opts.Steps)
	g.adamG.rate, g.adamC.rate = ganRate*rate, ganCriticRate*rate
	if g.opts.Prior == model.PriorFrequency {
		g.adamG.rate = ganFineRate * rate
	}
	g.drawInputs()
	if err := drawReal(g.rng, g.split, g.decoder.labels, data(g.real)); err != nil {
		return 0, 0, err
	}
	l := &g.plain
	if step%ganR1Every == 0 {
		l = &g.penalised
	}
	if err := l.run(ctx); err != nil {
		return 0, 0, err
	}
	if criticLoss, err = numberOf(l.criticLoss); err != nil {
		return 0, 0, err
	}
	if generatorLoss, err = numberOf(l.generatorLoss); err != nil {
		return 0, 0, err
	}
	if !finite(criticLoss) || !finite(generatorLoss) {
		return criticLoss, generatorLoss, nil // the caller says so; the parameters stay as they are
	}
	if err := g.adamG.step(l.generatorGrads); err != nil {
		return 0, 0, err
	}
	g.average.update()
	return criticLoss, generatorLoss, g.adamC.step(l.criticGrads)
}

// falling is the factor of the learning rates: 1, then down to ganLastRate over the second half.
func falling(step, steps int) float32 {
	late := 2*float32(step)/float32(steps) - 1
	return 1 - (1-ganLastRate)*max(0, min(late, 1))
}

// drawInputs draws the batch's labels, noise and the seed of the digits.
func (g *gan) drawInputs() {
	for b := range g.decoder.labels {
		g.decoder.labels[b] = g.rng.IntN(len(g.split.labels))
	}
	drawNoise(g.rng, g.generator.net.Arch, data(g.noise), g.decoder.labels)
	oneHot(data(g.labels), g.decoder.labels)
	oneHot(data(g.bothLabels), slices.Concat(g.decoder.labels, g.decoder.labels))
	g.decoder.seed = g.rng.Uint64()
}

// best implements recipe: the trees are a good start, so training must not end worse.
func (g *gan) best() bool { return true }

// memory implements recipe.
func (g *gan) memory() *memory {
	m := &memory{source: g.source}
	m.adam("generator", g.adamG)
	m.adam("critic", g.adamC)
	m.average("average", g.average)
	return m
}

// export implements recipe: the averaged generator.
func (g *gan) export() (*model.Model, error) {
	gate := model.NewGate(g.opts.Prior, g.forest, g.decoder.capacity)
	theta, bias := g.average.values[0], g.average.values[1]
	for label := range gate.Theta {
		copy(gate.Theta[label], theta[g.decoder.first[label]:])
		width := len(gate.Bias[label])
		copy(gate.Bias[label], bias[label*width:])
	}
	net, err := model.NewNet(g.generator.net.Arch)
	if err != nil {
		return nil, err
	}
	if trained := g.average.values[2:]; len(trained) != len(net.Weights) {
		return nil, fmt.Errorf("export: %d averaged tensors for %d weights", len(trained), len(net.Weights))
	}
	for i, w := range g.average.values[2:] {
		copy(net.Weights[i], w)
	}
	return &model.Model{
		Recipe: model.RecipeGAN, Labels: g.split.labels, Geometry: g.split.geometry,
		Forests: g.forest, Gate: gate, Net: net,
	}, nil
}
