package model

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
)

// netBatch is how many noise vectors the convolutional generator takes at once.
const netBatch = 64

// Sampler draws packets of one label from a model. Samplers are independent of each other: the same
// model, label and seed give the same packets, whatever else is drawn. A sampler is for one goroutine.
type Sampler struct {
	recipe Recipe
	label  int
	labels int
	model  *Model
	forest *Forest // recipes tree and gan
	rng    *rand.Rand

	digits []uint8   // of the packet being drawn
	base   []float32 // recipe gan: [place in forest.Value] logit without the network's part

	net     *forward  // recipes gan and paper
	outputs []float32 // of the network's last batch, not used up yet
	output  int       // length of one packet's outputs
}

// NewSampler returns a sampler for one label of the model. The model must be valid, as loaded ones
// are (see [Model.Validate]), and must not change while it is in use.
func (m *Model) NewSampler(label string, seed uint64) (*Sampler, error) {
	index, err := m.Index(label)
	if err != nil {
		return nil, err
	}
	s := &Sampler{
		recipe: m.Recipe, label: index, labels: len(m.Labels), model: m,
		rng: rand.New(rand.NewPCG(seed, streamOf(label))),
	}
	switch m.Recipe {
	case RecipeTree:
	case RecipeGAN, RecipePaper:
		s.net = newForward(m.Net, netBatch)
		s.output = m.Net.Arch.Outputs().Len()
	default:
		return nil, fmt.Errorf("sample from recipe %q: must be %q, %q or %q", m.Recipe, RecipeTree, RecipeGAN, RecipePaper)
	}
	if m.Recipe != RecipePaper {
		s.forest = &m.Forests[index]
		s.digits = make([]uint8, s.forest.Digits())
	}
	if m.Recipe == RecipeGAN {
		s.base = m.Gate.logits(s.forest, index)
	}
	return s, nil
}

// streamOf gives each label random numbers of its own, by its name: the order of the labels does not
// matter.
func streamOf(label string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(label)) // a hash's Write never fails
	return h.Sum64()
}

// Next appends one generated IP packet to dst. Checksums are as they were trained: zero. It
// allocates only where dst lacks room.
func (s *Sampler) Next(dst []byte) ([]byte, error) {
	if s.recipe == RecipePaper {
		return s.nextPaper(dst)
	}
	var logits []float32
	if s.recipe == RecipeGAN {
		logits = s.nextOutput()
	}
	f := s.forest
	s.draw(0, 2*f.MinLen, logits)
	length := int(s.drawCount(f.Walk(f.Digits(), s.digits)))
	s.draw(2*f.MinLen, 2*length, logits)
	for i := 0; i < 2*length; i += 2 {
		dst = append(dst, s.digits[i]<<4|s.digits[i+1])
	}
	return dst, nil
}

// draw draws the digits from lo to hi, left to right; logits are the network's, nil for trees alone.
func (s *Sampler) draw(lo, hi int, logits []float32) {
	f := s.forest
	for i := lo; i < hi; i++ {
		node := f.Walk(i, s.digits)
		first, end := f.First[node], f.First[node+1]
		switch {
		case end-first == 1: // nothing to decide
			s.digits[i] = uint8(f.Value[first])
		case logits == nil:
			s.digits[i] = uint8(s.drawCount(node))
		default:
			s.digits[i] = uint8(s.drawLogits(node, logits[i*valuesPerNode:][:valuesPerNode]))
		}
	}
}

// drawCount draws one of a node's values by how often training had it.
func (s *Sampler) drawCount(node int) uint16 {
	values, counts := s.forest.Support(node)
	var total uint64
	for _, c := range counts {
		total += uint64(c)
	}
	at := s.rng.Uint64N(total)
	for i, c := range counts {
		if at < uint64(c) {
			return values[i]
		}
		at -= uint64(c)
	}
	return values[len(values)-1] // not reached: at < total
}

// drawLogits draws one of a node's values with probability softmax(base + net).
func (s *Sampler) drawLogits(node int, net []float32) uint16 {
	values, _ := s.forest.Support(node)
	base := s.base[s.forest.First[node]:][:len(values)]
	var weight [valuesPerNode]float64
	highest := math.Inf(-1)
	for i, v := range values {
		weight[i] = float64(base[i] + net[v])
		highest = max(highest, weight[i])
	}
	total := 0.0
	for i := range values {
		weight[i] = math.Exp(weight[i] - highest)
		total += weight[i]
	}
	at := s.rng.Float64() * total
	for i, v := range values {
		if at < weight[i] {
			return v
		}
		at -= weight[i]
	}
	return values[len(values)-1] // rounding took the last of the mass
}

// nextPaper decodes the next matrix of the paper's generator. The packet ends where its IPv4 total
// length says (RFC 791); where that is not in the matrix, all of it is returned, and fails framing.
func (s *Sampler) nextPaper(dst []byte) ([]byte, error) {
	g := s.model.Geometry
	start := len(dst)
	dst, err := g.AppendDecode(dst, s.nextOutput(), g.CapacityBytes())
	if err != nil {
		return dst, err
	}
	packet := dst[start:]
	if len(packet) < 4 {
		return dst, nil
	}
	if total := int(binary.BigEndian.Uint16(packet[2:])); total > 0 && total < len(packet) {
		dst = dst[:start+total]
	}
	return dst, nil
}

// nextOutput returns the network's outputs for the next packet, after a new batch where the last is
// used up: logits [digit][16], or the paper's matrix with values 0..16w.
func (s *Sampler) nextOutput() []float32 {
	if len(s.outputs) == 0 {
		s.fillInput()
		s.outputs = s.net.run()
		if s.recipe == RecipePaper {
			for i, v := range s.outputs {
				s.outputs[i] = s.model.Geometry.FromUnit(v)
			}
		}
	}
	next := s.outputs[:s.output]
	s.outputs = s.outputs[s.output:]
	return next
}

// fillInput draws the noise of a batch and sets the label.
func (s *Sampler) fillInput() {
	arch := s.model.Net.Arch
	for in := s.net.input; len(in) > 0; in = in[arch.Inputs():] {
		row := in[:arch.Inputs()]
		for i := range arch.Noise {
			row[i] = float32(s.rng.NormFloat64())
		}
		clear(row[arch.Noise:])
		if s.labels > 1 {
			row[arch.Noise+s.label] = 1
		}
	}
}
