package train

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"pacgan-appliance/internal/model"
)

// The constants of recipe paper; PaperOptions has those that can be chosen.
const (
	paperRate              = 1e-3
	paperBeta1, paperBeta2 = 0.5, 0.999
	paperPenalty           = 1
)

// paper trains the paper's generator of one matrix of reals by WGAN-GP (Gulrajani et al., 2017). With noise z and
// one-hot labels y,
//
//	fake   = G(z, y)                                                           [batch x n*n]
//	G loss = -mean(C(fake, y))
//	C loss = mean(C(fake, y)) - mean(C(real, y)) + mean((|dC/dmixed| - 1)²)
//	mixed  = real + a (fake - real), a uniform in 0..1
//
// The paper trains one model for each label or mix, and a mix cannot be asked for one of its labels. With several
// labels, generator and critic are given the label here, so that every label can be sampled.
type paper struct {
	split  *split
	opts   Options
	source *rand.PCG // rng's
	rng    *rand.Rand

	generator                 *generator
	chosen                    []int         // [batch] label
	noise, labels             *tensor.Dense // [batch x noise+labels], [batch x labels]
	both, bothLabels, mixed   *tensor.Dense // captured, then generated [2*batch x n*n]; [2*batch x labels]; [batch x n*n]
	generatorStep, criticStep lossGraph
	scratch                   scratch // of both graphs, which run in turns
	fake                      *gorgonia.Node
	adamG, adamC              *adam
	average                   *average // nil: none
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
	loss, err := numberOf(l.loss)
	if err != nil {
		return 0, err
	}
	if !finite(loss) {
		return loss, nil // the caller says so; the parameters stay as they are
	}
	return loss, a.step(l.grads)
}

func newPaper(_ context.Context, s *split, opts Options) (recipe, error) {
	p := &paper{split: s, opts: opts, source: rand.NewPCG(opts.Seed, 1<<32), chosen: make([]int, opts.Batch)}
	p.rng = rand.New(p.source)
	var err error
	if p.generator, err = newGenerator(p.rng, model.PaperArch(s.geometry, len(s.labels), opts.Paper.Noise)); err != nil {
		return nil, err
	}
	for _, w := range p.generator.trained {
		if strings.HasSuffix(w.name, ".weight") {
			w.decay = paperDecay
		}
	}
	critic := newPaperCritic(p.rng, s.geometry.N, len(s.labels), opts.Paper.Norm)
	p.adamG = newAdam(p.generator.trained, paperRate, paperBeta1, paperBeta2, opts.Threads)
	p.adamC = newAdam(critic.params(), float32(opts.Paper.CriticRate), paperBeta1, paperBeta2, opts.Threads)
	if opts.Paper.Average > 0 {
		p.average = newAverage(p.generator.trained, float32(opts.Paper.Average))
	}

	elements := s.geometry.Elements()
	p.noise = newMatrix(opts.Batch, p.generator.net.Arch.Inputs())
	p.labels = newMatrix(opts.Batch, len(s.labels))
	p.both, p.bothLabels = newMatrix(2*opts.Batch, elements), newMatrix(2*opts.Batch, len(s.labels))
	p.mixed = newMatrix(opts.Batch, elements)
	if err := p.buildCritic(critic); err != nil { // the larger first: the other fits into its memory
		return nil, err
	}
	return p, p.buildGenerator(critic)
}

func (p *paper) buildGenerator(c *paperCritic) (err error) {
	l := &p.generatorStep
	l.graph, err = newGraphIn(&p.scratch, p.opts.Threads, func(g *graph) {
		p.fake = g.keep(p.generator.forward(g, g.input("noise", p.noise)))
		score := c.judge(g, p.fake, g.input("labels", p.labels)).score
		l.loss = g.scale(-1, 0, g.mean(score))
		l.grads = g.gradients(l.loss, g.paramNodes(p.generator.trained))
	})
	return err
}

func (p *paper) buildCritic(c *paperCritic) (err error) {
	batch := p.opts.Batch
	sign := newMatrix(2*batch, 1) // -1 for captured packets, 1 for generated
	fill(data(sign), 1)
	fill(data(sign)[:batch], -1)
	one := newMatrix(batch, 1)
	fill(data(one), 1)
	l := &p.criticStep
	l.graph, err = newGraphIn(&p.scratch, p.opts.Threads, func(g *graph) {
		score := c.judge(g, g.input("both", p.both), g.input("both labels", p.bothLabels)).score
		wasserstein := g.scale(2, 0, g.mean(g.mul(g.input("sign", sign), score)))
		mixed := c.judge(g, g.input("mixed", p.mixed), g.input("labels", p.labels))
		d := c.inputGrad(g, mixed, g.input("one", one))
		l.loss = g.add(wasserstein, g.scale(paperPenalty, 0, g.gradientPenalty(d)))
		l.grads = g.gradients(l.loss, g.paramNodes(c.params()))
	})
	return err
}

// gradientPenalty returns mean((|d| - 1)²) over the rows of d.
func (g *graph) gradientPenalty(d *gorgonia.Node) *gorgonia.Node {
	norm := g.power(0.5, g.scale(1, slopeEpsilon, g.sumCols(g.mul(d, d))))
	off := g.scale(1, -1, norm)
	return g.mean(g.mul(off, off))
}

// step implements recipe: it draws a batch of generated packets, moves the generator, then the critic by the same batch.
func (p *paper) step(ctx context.Context, step int) (criticLoss, generatorLoss float32, err error) {
	if p.opts.Paper.Falling {
		rate := falling(step, p.opts.Steps)
		p.adamG.rate, p.adamC.rate = paperRate*rate, float32(p.opts.Paper.CriticRate)*rate
	}
	p.drawInputs()
	if generatorLoss, err = p.generatorStep.step(ctx, p.adamG); err != nil {
		return 0, 0, err
	}
	p.generator.track()
	if p.average != nil {
		p.average.update()
	}
	fake, err := valueOf(p.fake)
	if err != nil {
		return 0, 0, err
	}
	real := data(p.both)[:len(fake)]
	if err := drawReal(p.rng, p.split, p.chosen, real); err != nil {
		return 0, 0, err
	}
	copy(data(p.both)[len(fake):], fake)
	p.mix(real, fake)
	criticLoss, err = p.criticStep.step(ctx, p.adamC)
	return criticLoss, generatorLoss, err
}

// drawInputs draws the batch's labels, in proportion to the packets of each as in a mixed capture, and its noise.
func (p *paper) drawInputs() {
	packets := 0
	for _, set := range p.split.train {
		packets += len(set)
	}
	for b := range p.chosen {
		at := p.rng.IntN(packets)
		for label, set := range p.split.train {
			if at < len(set) {
				p.chosen[b] = label
				break
			}
			at -= len(set)
		}
	}
	drawNoise(p.rng, p.generator.net.Arch, data(p.noise), p.chosen)
	oneHot(data(p.labels), p.chosen)
	oneHot(data(p.bothLabels), slices.Concat(p.chosen, p.chosen))
}

// mix fills mixed with points between captured and generated packets.
func (p *paper) mix(real, fake []float32) {
	mixed := data(p.mixed)
	elements := p.split.geometry.Elements()
	for b := range p.chosen {
		a := p.rng.Float32()
		for i := b * elements; i < (b+1)*elements; i++ {
			mixed[i] = real[i] + a*(fake[i]-real[i])
		}
	}
}

// best implements recipe: the paper keeps the last state.
func (p *paper) best() bool { return p.opts.Paper.Best }

// memory implements recipe.
func (p *paper) memory() *memory {
	m := &memory{source: p.source}
	m.adam("generator", p.adamG)
	m.adam("critic", p.adamC)
	m.tracked(p.generator)
	if p.average != nil {
		m.average("average", p.average)
	}
	return m
}

// export implements recipe: the averaged generator, or the last where there is no average.
func (p *paper) export() (*model.Model, error) {
	net, err := model.NewNet(p.generator.net.Arch)
	if err != nil {
		return nil, err
	}
	trained := 0
	for i, spec := range net.Arch.Tensors() {
		copy(net.Weights[i], p.generator.net.Weights[i])
		if spec.Trained && p.average != nil {
			copy(net.Weights[i], p.average.values[trained])
		}
		if spec.Trained {
			trained++
		}
	}
	return &model.Model{Recipe: model.RecipePaper, Labels: p.split.labels, Geometry: p.split.geometry, Net: net}, nil
}
