package model

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
)

// How many noise vectors a convolutional generator takes at once. The one of recipe gan is as fast with 16 as with 64, in a
// quarter of the memory, which every sampler has for itself; the paper's reads 50 MB of weights each time. A gan's packets depend on
// it, as the noise of a batch is drawn before its packets.
const (
	gateBatch  = 16
	paperBatch = 64
)

// Sampler draws packets of one label from a model. Samplers are independent of each other: the same
// model, label and seed give the same packets, whatever else is drawn. A sampler is for one goroutine.
type Sampler struct {
	recipe Recipe
	label  int
	labels int
	model  *Model
	rng    *rand.Rand

	forest *Forest // recipes tree and gan
	draft  *Draft
	upTo   []uint64 // [place in forest.Value] count of it and those before it in its node
	shapes []uint64 // packets of each shape and those before it

	base   []float32 // recipe gan: [place in forest.Value] logit without bias and network
	bias   []float32 // recipe gan: of the label, as Gate has it; nil where all are 0
	weight []float64 // room for a node's values

	net     *forward  // recipes gan and paper; nil where all that it says is 0
	input   []float32 // of the network: a batch of noise and labels
	left    int       // packets of the last batch that are not drawn yet
	outputs []float32 // of these packets
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
	case RecipeGAN:
		s.wire(gateBatch)
	case RecipePaper:
		s.wire(paperBatch)
	default:
		return nil, fmt.Errorf("sample from recipe %q: must be %q, %q or %q", m.Recipe, RecipeTree, RecipeGAN, RecipePaper)
	}
	if m.Recipe != RecipePaper {
		s.plant(&m.Forests[index])
	}
	if m.Recipe == RecipeGAN {
		s.base = m.Gate.logits(s.forest, index)
		if slices.ContainsFunc(m.Gate.Bias[index], func(b float32) bool { return b != 0 }) {
			s.bias = m.Gate.Bias[index]
		}
	}
	return s, nil
}

// wire prepares the network.
func (s *Sampler) wire(batch int) {
	net := s.model.Net
	if net.silent() {
		s.input = make([]float32, batchOf(net.Arch, batch)*net.Arch.Inputs())
		return
	}
	s.net = newForward(net, batch)
	s.input = s.net.input
}

// plant prepares drawing from a label's trees.
func (s *Sampler) plant(f *Forest) {
	s.forest, s.draft = f, f.NewDraft()
	s.upTo = make([]uint64, len(f.Count))
	most := 0
	for node := range f.Nodes() {
		var total uint64
		for at := f.First[node]; at < f.First[node+1]; at++ {
			total += uint64(f.Count[at])
			s.upTo[at] = total
		}
		most = max(most, int(f.First[node+1]-f.First[node]))
	}
	s.weight = make([]float64, most)
	var total uint64
	for _, shape := range f.Shapes {
		total += uint64(shape.Count)
		s.shapes = append(s.shapes, total)
	}
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
	for _, slot := range s.draft.Start(s.pick(s.shapes)) {
		for more := true; more; {
			node := s.draft.Node(int(slot))
			if node == Leaf {
				break
			}
			more = s.draft.Set(int(slot), s.forest.Value[s.place(int(slot), node, logits)])
		}
	}
	return s.draft.Append(dst), nil
}

// place draws one of a node's values and returns its place in forest.Value. The network has no say in how long fields
// are.
func (s *Sampler) place(slot, node int, logits []float32) int {
	first, end := int(s.forest.First[node]), int(s.forest.First[node+1])
	switch {
	case end-first == 1: // nothing to decide
		return first
	case s.recipe == RecipeTree || s.forest.Slots[slot].Kind.Counted():
		return first + s.pick(s.upTo[first:end])
	}
	return first + s.pickLogits(slot, node, logits)
}

// pick draws an index by counts; upTo are their sums.
func (s *Sampler) pick(upTo []uint64) int {
	if len(upTo) == 1 {
		return 0
	}
	at := s.rng.Uint64N(upTo[len(upTo)-1])
	if len(upTo) <= valuesPerNode {
		i := 0
		for at >= upTo[i] {
			i++
		}
		return i
	}
	i, _ := slices.BinarySearch(upTo, at+1)
	return i
}

// pickLogits draws one of a node's values with probability softmax(base + what bias and network say of the
// digits that the value writes).
func (s *Sampler) pickLogits(slot, node int, net []float32) int {
	first, end := s.forest.First[node], s.forest.First[node+1]
	place := s.draft.Place(slot)
	weight := s.weight[:end-first]
	highest := math.Inf(-1)
	for i := range weight {
		at := first + int32(i)
		w := s.base[at] + s.forest.Logit(slot, s.forest.Value[at], place, net) + s.forest.Logit(slot, s.forest.Value[at], place, s.bias)
		weight[i] = float64(w)
		highest = max(highest, weight[i])
	}
	total := 0.0
	for i := range weight {
		weight[i] = math.Exp(weight[i] - highest)
		total += weight[i]
	}
	at := s.rng.Float64() * total
	for i, w := range weight {
		if at < w {
			return i
		}
		at -= w
	}
	return len(weight) - 1 // rounding took the last of the mass
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
// used up: logits [digit][16], nil if all are 0, or the paper's matrix with values 0..16w. A silent network's noise is drawn all
// the same: what comes after it does not depend on how the network is run.
func (s *Sampler) nextOutput() []float32 {
	if s.left == 0 {
		s.left = len(s.input) / s.model.Net.Arch.Inputs()
		s.fillInput()
		if s.net != nil {
			s.outputs = s.net.run()
		}
		if s.recipe == RecipePaper {
			for i, v := range s.outputs {
				s.outputs[i] = s.model.Geometry.FromUnit(v)
			}
		}
	}
	one := len(s.outputs) / s.left
	s.left--
	next := s.outputs[:one]
	s.outputs = s.outputs[one:]
	return next
}

// fillInput draws the noise of a batch and sets the label.
func (s *Sampler) fillInput() {
	arch := s.model.Net.Arch
	for in := s.input; len(in) > 0; in = in[arch.Inputs():] {
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
