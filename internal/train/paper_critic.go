package train

import (
	"math/rand/v2"

	"gorgonia.org/gorgonia"
)

// paperCritic is the paper's critic, its gaps filled from TF-GAN's MNIST example: x [batch x n*n], values in -1..1,
//
//	h1 = leaky(conv 4x4/2 x + b1)                              [batch x n/2*n/2*64]
//	h2 = leaky(conv 4x4/2 h1 + b2)                             [batch x n/4*n/4*128]
//	h3 = leaky(gamma * layerNorm(h2 W3 + label E) + beta)      [batch x 1024]
//	score = h3 W4 + b4                                         [batch x 1]
//
// With NormNone, h3 = leaky(h2 W3 + label E + beta). The label's term is ours: the paper's network cannot be asked for a label.
type paperCritic struct {
	conv1, conv2 conv
	fc3, embed   dense  // without bias
	gamma, beta  *param // [1 x 1024]
	fc4          dense
	norm         Norm
}

const (
	paperSlope   = 0.01
	paperHidden  = 1024
	normEpsilon  = 1e-6
	paperDecay   = 2.5e-5
	slopeEpsilon = 1e-10 // keeps the square root's derivative finite
)

func newPaperCritic(rng *rand.Rand, n, labels int, norm Norm) *paperCritic {
	v1 := halve(n, n, 1)
	v2 := halve(v1.oh, v1.ow, 64)
	c := &paperCritic{
		norm:  norm,
		conv1: newConv(rng, "critic.conv1", v1, 64, false),
		conv2: newConv(rng, "critic.conv2", v2, 128, false),
		fc3:   newProduct(rng, "critic.fc3", v2.oh*v2.ow*128, paperHidden),
		embed: newProduct(rng, "critic.embed", labels, paperHidden),
		gamma: newParam("critic.gamma", newMatrix(1, paperHidden)),
		beta:  newParam("critic.beta", newMatrix(1, paperHidden)),
		fc4:   newDense(rng, "critic.fc4", paperHidden, 1),
	}
	fill(data(c.gamma.value), 1)
	for _, p := range []*param{c.conv1.w, c.conv2.w, c.fc3.w, c.embed.w, c.fc4.w} {
		p.decay = paperDecay
	}
	return c
}

func (c *paperCritic) params() []*param {
	ps := append(c.conv1.params(), c.conv2.params()...)
	ps = append(ps, c.fc3.w, c.embed.w, c.beta)
	if c.norm == NormLayer {
		ps = append(ps, c.gamma)
	}
	return append(ps, c.fc4.params()...)
}

// paperJudged are a batch's scores and what inputGrad needs.
type paperJudged struct {
	score             *gorgonia.Node // [batch x 1]
	h1, h2, h3        *gorgonia.Node // of the leaky ReLUs
	normal, deviation *gorgonia.Node // layerNorm's output [batch x 1024], and 1/deviation [batch x 1]
}

func (c *paperCritic) judge(g *graph, x, labels *gorgonia.Node) paperJudged {
	var j paperJudged
	j.h1 = g.leaky(paperSlope, c.conv1.forward(g, x, nil))
	j.h2 = g.leaky(paperSlope, c.conv2.forward(g, j.h1, nil))
	sum := g.add(c.fc3.forward(g, j.h2, nil), c.embed.forward(g, labels, nil))
	if c.norm == NormLayer {
		j.normal, j.deviation = g.layerNorm(normEpsilon, sum)
		sum = c.scaled(g, j.normal)
	}
	j.h3 = g.leaky(paperSlope, g.addBias(sum, g.param(c.beta)))
	j.score = c.fc4.forward(g, j.h3, nil)
	return j
}

// inputGrad returns d score / d x [batch x n*n]; one is a column of ones.
func (c *paperCritic) inputGrad(g *graph, j paperJudged, one *gorgonia.Node) *gorgonia.Node {
	d := g.gate(paperSlope, j.h3, c.fc4.back(g, one))
	if c.norm == NormLayer {
		d = g.layerNormBack(j.normal, j.deviation, c.scaled(g, d))
	}
	d = c.fc3.back(g, d)
	d = c.conv2.back(g, g.gate(paperSlope, j.h2, d))
	return c.conv1.back(g, g.gate(paperSlope, j.h1, d))
}

// scaled returns gamma * x.
func (c *paperCritic) scaled(g *graph, x *gorgonia.Node) *gorgonia.Node {
	rows, cols := dims(x)
	return g.mul(x, g.tile(rows, cols, g.param(c.gamma)))
}
