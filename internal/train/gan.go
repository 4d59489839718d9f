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
// One batch of fakes serves both: the generator's graph draws it, the critic's reads it.
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

	noise, labels    *tensor.Dense // [batch x noise+labels], [batch x labels]
	both, bothLabels *tensor.Dense // captured packets, then generated: [2*batch x n*n], [2*batch x labels]
	generatorStep    lossGraph
	criticStep       lossGraph // without R1
	criticStepR1     lossGraph
	scratch          scratch // of the three graphs, which run in turns
	fake             *gorgonia.Node
	adamG, adamC     *adam
}

// lossGraph is a graph with a loss and its gradients.
type lossGraph struct {
	*graph
	loss  *gorgonia.Node
	grads gorgonia.Nodes
}

// step runs the graph, returns its loss and moves the parameters.
func (l *lossGraph) step(ctx context.Context, a *adam) (float32, error) {
	if err := l.run(ctx); err != nil {
		return 0, err
	}
	loss, err := valueOf(l.loss)
	if err != nil {
		return 0, err
	}
	if !finite(loss[0]) {
		return loss[0], nil // the caller says so; the parameters stay as they are
	}
	return loss[0], a.step(l.grads)
}

// newGAN fits the trees and builds the three graphs.
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

	elements := s.geometry.Elements()
	g.noise = newMatrix(opts.Batch, g.generator.net.Arch.Inputs())
	g.labels = newMatrix(opts.Batch, len(s.labels))
	g.both, g.bothLabels = newMatrix(2*opts.Batch, elements), newMatrix(2*opts.Batch, len(s.labels))
	if g.criticStepR1, err = g.buildCritic(critic, true); err != nil { // the largest first: the others fit into its memory
		return nil, err
	}
	if g.criticStep, err = g.buildCritic(critic, false); err != nil {
		return nil, err
	}
	return g, g.buildGenerator(critic, trained)
}

// buildGenerator builds the graph of the generator's step.
func (g *gan) buildGenerator(c *critic, trained []*param) (err error) {
	l := &g.generatorStep
	l.graph, err = newGraphIn(&g.scratch, g.opts.Threads, func(gr *graph) {
		y := gr.input("labels", g.labels)
		net := g.generator.forward(gr, gr.input("noise", g.noise))
		batch, width := dims(net)
		bias := gr.matmul(product{m: batch, n: width, k: len(g.split.labels)}, y, gr.param(g.bias), batch, width)
		g.fake = gr.keep(g.decoder.decode(gr, gr.add(net, bias), gr.param(g.theta)))
		score := c.judge(gr, g.fake, y).score
		l.loss = gr.add(gr.scale(-1, 0, gr.mean(score)), gr.scale(ganNetPenalty, 0, gr.mean(gr.mul(net, net))))
		l.grads = gr.gradients(l.loss, gr.paramNodes(trained))
	})
	return err
}

// buildCritic builds the graph of the critic's step, with or without the penalty R1 (Mescheder et al., 2018).
func (g *gan) buildCritic(c *critic, r1 bool) (l lossGraph, err error) {
	batch := g.opts.Batch
	sign := newMatrix(2*batch, 1) // -1 for captured packets, 1 for generated
	fill(data(sign), 1)
	fill(data(sign)[:batch], -1)
	one := newMatrix(batch, 1)
	fill(data(one), 1)
	l.graph, err = newGraphIn(&g.scratch, g.opts.Threads, func(gr *graph) {
		j := c.judge(gr, gr.input("both", g.both), gr.input("labels", g.bothLabels))
		margin := gr.scale(1, 1, gr.mul(gr.input("sign", sign), j.score)) // 1 - C(real), 1 + C(fake)
		l.loss = gr.scale(2, 0, gr.mean(gr.leaky(0, margin)))
		if r1 {
			d := c.inputGrad(gr, j, gr.input("one", one)) // of the first batch rows: the captured packets
			l.loss = gr.add(l.loss, gr.scale(ganR1*ganR1Every/float32(batch), 0, gr.sumAll(gr.mul(d, d))))
		}
		l.grads = gr.gradients(l.loss, gr.paramNodes(c.params()))
	})
	return l, err
}

// step draws a batch of generated packets, moves the generator, then the critic by the same batch.
func (g *gan) step(ctx context.Context, step int) (criticLoss, generatorLoss float32, err error) {
	rate := falling(step, g.opts.Steps)
	g.adamG.rate, g.adamC.rate = ganRate*rate, ganCriticRate*rate
	if g.opts.Prior == model.PriorFrequency {
		g.adamG.rate = ganFineRate * rate
	}
	g.drawInputs()
	if generatorLoss, err = g.generatorStep.step(ctx, g.adamG); err != nil {
		return 0, 0, err
	}
	g.average.update()
	fake, err := valueOf(g.fake)
	if err != nil {
		return 0, 0, err
	}
	if err := drawReal(g.rng, g.split, g.decoder.labels, data(g.both)[:len(fake)]); err != nil {
		return 0, 0, err
	}
	copy(data(g.both)[len(fake):], fake)
	l := &g.criticStep
	if step%ganR1Every == 0 {
		l = &g.criticStepR1
	}
	criticLoss, err = l.step(ctx, g.adamC)
	return criticLoss, generatorLoss, err
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
