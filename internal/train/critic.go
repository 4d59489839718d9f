package train

import (
	"math/rand/v2"

	"gorgonia.org/gorgonia"
)

// critic tells captured packets from generated ones by their n x n matrix x [batch x n*n], values in -1..1:
//
//	h1 = leaky(conv 4x4/2 x + position bias)     [batch x n/2*n/2*32]
//	h2 = leaky(conv 4x4/2 h1 + position bias)    [batch x n/4*n/4*32]
//	h3 = leaky(h2 W3 + label E + b3)             [batch x 256]
//	h4 = leaky(h3 W4 + b4)                       [batch x 128]
//	score = h4 W5 + b5                           [batch x 1]
//
// The bias differs from position to position, because a digit's meaning does.
type critic struct {
	conv1, conv2  conv
	fc3, fc4, fc5 dense
	embed         dense // label one-hot -> 256, without bias
}

const (
	criticChannels = 32
	criticHidden   = 256
	criticLast     = 128
	criticSlope    = 0.2
)

func newCritic(rng *rand.Rand, n, labels int) *critic {
	v1 := halve(n, n, 1)
	v2 := halve(v1.oh, v1.ow, criticChannels)
	return &critic{
		conv1: newConv(rng, "critic.conv1", v1, criticChannels, true),
		conv2: newConv(rng, "critic.conv2", v2, criticChannels, true),
		fc3:   newDense(rng, "critic.fc3", v2.oh*v2.ow*criticChannels, criticHidden),
		fc4:   newDense(rng, "critic.fc4", criticHidden, criticLast),
		fc5:   newDense(rng, "critic.fc5", criticLast, 1),
		embed: newProduct(rng, "critic.embed", labels, criticHidden),
	}
}

func (c *critic) params() []*param {
	var ps []*param
	ps = append(ps, c.conv1.params()...)
	ps = append(ps, c.conv2.params()...)
	ps = append(ps, c.fc3.params()...)
	ps = append(ps, c.fc4.params()...)
	ps = append(ps, c.fc5.params()...)
	return append(ps, c.embed.params()...)
}

// judged are a batch's scores and what each leaky ReLU returned, whose signs inputGrad needs.
type judged struct {
	score          *gorgonia.Node // [batch x 1]
	h1, h2, h3, h4 *gorgonia.Node
}

// judge scores x [batch x n*n] of the given labels, one-hot [batch x labels]. counts may be nil (see matmulCounted).
func (c *critic) judge(g *graph, x, labels, counts *gorgonia.Node) judged {
	var j judged
	j.h1 = g.leaky(criticSlope, c.conv1.forward(g, x, counts))
	j.h2 = g.leaky(criticSlope, c.conv2.forward(g, j.h1, counts))
	j.h3 = g.leaky(criticSlope, g.add(c.fc3.forward(g, j.h2, counts), c.embed.forward(g, labels, counts)))
	j.h4 = g.leaky(criticSlope, c.fc4.forward(g, j.h3, counts))
	j.score = c.fc5.forward(g, j.h4, counts)
	return j
}

// inputGrad returns d score / d x for the first batch rows of what was judged: [batch x n*n]. one is a column of ones.
func (c *critic) inputGrad(g *graph, j judged, one *gorgonia.Node) *gorgonia.Node {
	d := c.fc5.back(g, one)
	d = c.fc4.back(g, g.gate(criticSlope, j.h4, d))
	d = c.fc3.back(g, g.gate(criticSlope, j.h3, d))
	d = c.conv2.back(g, g.gate(criticSlope, j.h2, d))
	return c.conv1.back(g, g.gate(criticSlope, j.h1, d))
}
