package train

import (
	"math"
	"math/rand/v2"

	"gorgonia.org/gorgonia"

	"pacgan-appliance/internal/encoding"
	"pacgan-appliance/internal/model"
)

// decoder is the end of recipe gan's generator: it draws each slot's value from its logits, in the forest's order,
// since a slot's tree leads to a node by the values before it, and writes the packet as the critic's matrix.
//
// Drawing has no gradient, so it is given the straight-through Gumbel one (Jang et al., 2016, temperature 1): forward
// the drawn value's digits, backward the derivative of the expected matrix values sum_v p_v unit(v, d) of each
// digit d that the value writes, p = softmax(logits + Gumbel noise). With dunit the gradient of the matrix at digit d,
//
//	d/dlogit_v = p_v sum over d of dunit(d) (unit(v, d) - sum_u p_u unit(u, d))
//
// That a value decides on the nodes of later slots, and a word's length on the places of later digits, is not
// differentiated.
type decoder struct {
	forests  []model.Forest
	geometry encoding.Geometry
	unit     [digitValues]float32 // matrix value of each digit
	capacity int                  // digits
	prior    [][]float32          // [label][place in Forest.Value]: log prior
	first    []int                // [label] of theta: theta holds all labels' values, one after the other
	thetas   int

	labels []int  // [batch] what to draw
	seed   uint64 // of the noise; a new one for each run

	drawn []drawnPacket // [batch]
}

// drawnPacket is what was chosen in a packet.
type drawnPacket struct {
	choices []choice
	weight  []float64 // of each choice's values: p_v, then d/dlogit_v
	bytes   []byte    // the packet
	mean    []float64
}

// choice is a slot where there was one to make.
type choice struct {
	slot, node int
	place      int // digit of the packet where the slot begins
	digits     int // that the drawn value writes
	weight     int // where its weights begin
}

func newDecoder(forests []model.Forest, geometry encoding.Geometry, prior model.Prior, batch int) *decoder {
	d := &decoder{
		forests: forests, geometry: geometry, capacity: geometry.DigitsCapacity(),
		labels: make([]int, batch), drawn: make([]drawnPacket, batch),
	}
	for v := range d.unit {
		d.unit[v] = geometry.ToUnit(geometry.Spread(uint8(v)))
	}
	for i := range forests {
		d.prior = append(d.prior, prior.LogPrior(&forests[i]))
		d.first = append(d.first, d.thetas)
		d.thetas += len(forests[i].Value)
	}
	return d
}

// decode draws packets from logits [batch x capacity*16] (without prior and theta) and theta [thetas x 1], and returns
// their matrices [batch x n*n], -1..1.
func (d *decoder) decode(g *graph, logits, theta *gorgonia.Node) *gorgonia.Node {
	batch, elements := len(d.labels), d.geometry.Elements()
	width := d.capacity * digitValues
	g.want("logits", logits, batch, width)
	g.want("theta", theta, max(d.thetas, 1), 1)
	run := func(out []float32, in [][]float32) {
		parallel(g.threads, batch, len(in[0]), func(lo, hi int) {
			drafts := make([]*model.Draft, len(d.forests))
			for b := lo; b < hi; b++ {
				label := d.labels[b]
				if drafts[label] == nil {
					drafts[label] = d.forests[label].NewDraft()
				}
				d.draw(b, drafts[label], in[0][b*width:(b+1)*width], in[1][d.first[label]:])
				d.write(out[b*elements:(b+1)*elements], d.drawn[b].bytes)
			}
		})
	}
	pull := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		dlogits := d.logitGrad(g, dout)
		return gorgonia.Nodes{dlogits, d.thetaGrad(g, dlogits)}
	}
	return g.apply("decode", batch, elements, []bool{true, true}, run, pull, logits, theta)
}

// draw draws packet b. The label's shape, the widths of its fields and its chains are drawn by their counts: they are
// not trained.
func (d *decoder) draw(b int, draft *model.Draft, logits, theta []float32) {
	label, p := d.labels[b], &d.drawn[b]
	f := &d.forests[label]
	rng := rand.New(rand.NewPCG(d.seed, uint64(b)))
	p.choices, p.weight = p.choices[:0], p.weight[:0]
	for _, s := range draft.Start(drawShape(rng, f)) {
		slot := int(s)
		for more := true; more; {
			node := draft.Node(slot)
			if node == model.Leaf {
				break
			}
			values, counts := f.Support(node)
			at := 0
			switch {
			case len(values) == 1:
			case f.Slots[slot].Kind.Counted():
				at = drawCount(rng, counts)
			default:
				at = d.choose(rng, b, choice{slot: slot, node: node, place: draft.Place(slot), weight: len(p.weight)}, logits, theta)
			}
			more = draft.Set(slot, values[at])
		}
	}
	p.bytes = draft.Append(p.bytes[:0])
}

// choose draws one of a node's values by its logit, notes the choice, and returns the value's index.
func (d *decoder) choose(rng *rand.Rand, b int, c choice, logits, theta []float32) (best int) {
	label, p := d.labels[b], &d.drawn[b]
	f := &d.forests[label]
	values, _ := f.Support(c.node)
	first := int(f.First[c.node])
	top := math.Inf(-1)
	for i, v := range values {
		logit := d.prior[label][first+i] + model.ThetaScale*theta[first+i] + f.Logit(c.slot, v, c.place, logits)
		noisy := float64(logit) + gumbel(rng)
		p.weight = append(p.weight, noisy)
		if noisy > top {
			best, top = i, noisy
		}
	}
	weight, total := p.weight[c.weight:], 0.0
	for i, w := range weight {
		weight[i] = math.Exp(w - top)
		total += weight[i]
	}
	for i := range weight {
		weight[i] /= total
	}
	c.digits = 1
	if f.Slots[c.slot].Kind == model.SlotWord {
		c.digits = 2 * len(f.Written(c.slot, values[best]))
	}
	p.choices = append(p.choices, c)
	return best
}

// gumbel draws Gumbel noise. ExpFloat64 returns 0 once in 2^32 times, whose logarithm would be the end of a training.
func gumbel(rng *rand.Rand) float64 {
	return -math.Log(max(rng.ExpFloat64(), math.SmallestNonzeroFloat64))
}

// drawShape draws a shape by its number of training packets.
func drawShape(rng *rand.Rand, f *model.Forest) int {
	counts := make([]uint32, len(f.Shapes))
	for i, s := range f.Shapes {
		counts[i] = s.Count
	}
	return drawCount(rng, counts)
}

// drawCount draws an index by counts.
func drawCount(rng *rand.Rand, counts []uint32) int {
	if len(counts) == 1 {
		return 0
	}
	var total uint64
	for _, c := range counts {
		total += uint64(c)
	}
	at := rng.Uint64N(total)
	for i, c := range counts {
		if at < uint64(c) {
			return i
		}
		at -= uint64(c)
	}
	return len(counts) - 1 // not reached: at < total
}

// write writes a packet's matrix, values -1..1; words of different packets together may be longer than the matrix,
// which then sees the beginning.
func (d *decoder) write(matrix []float32, packet []byte) {
	fill(matrix, d.geometry.ToUnit(0))
	for i, b := range packet[:min(len(packet), d.geometry.CapacityBytes())] {
		d.fill(matrix, 2*i, d.unit[b>>4])
		d.fill(matrix, 2*i+1, d.unit[b&15])
	}
}

// logitGrad returns d/dlogits [batch x capacity*16]: a value's gradient goes to the logits of all digits that it
// writes.
func (d *decoder) logitGrad(g *graph, dout *gorgonia.Node) *gorgonia.Node {
	batch, elements := len(d.labels), d.geometry.Elements()
	width := d.capacity * digitValues
	run := func(out []float32, in [][]float32) {
		clear(out)
		parallel(g.threads, batch, len(out), func(lo, hi int) {
			for b := lo; b < hi; b++ {
				for _, c := range d.drawn[b].choices {
					d.choiceGrad(b, c, in[0][b*elements:(b+1)*elements], out[b*width:(b+1)*width])
				}
			}
		})
	}
	return g.apply("decode dlogits", batch, width, []bool{false}, run, nil, dout)
}

// choiceGrad turns the weights of a choice into d/dlogit_v, and adds them to the gradients of the digits' logits.
func (d *decoder) choiceGrad(b int, c choice, dout, dlogits []float32) {
	p := &d.drawn[b]
	f := &d.forests[d.labels[b]]
	values, _ := f.Support(c.node)
	weight := p.weight[c.weight : c.weight+len(values)]
	digits := min(c.digits, d.capacity-c.place)
	p.mean = p.mean[:0]
	expected := 0.0 // sum over d of dunit(d) times the mean matrix value
	for at := range digits {
		mean := 0.0
		for i, v := range values {
			mean += weight[i] * float64(d.written(f, c.slot, v, at))
		}
		dunit := float64(d.blockSum(dout, c.place+at))
		p.mean = append(p.mean, dunit)
		expected += dunit * mean
	}
	for i, v := range values {
		own := 0.0
		for at, dunit := range p.mean {
			own += dunit * float64(d.written(f, c.slot, v, at))
		}
		weight[i] *= own - expected
		d.spread(f, c, v, float32(weight[i]), dlogits)
	}
}

// spread adds a value's gradient to the logits that Forest.Logit summed.
func (d *decoder) spread(f *model.Forest, c choice, v uint16, grad float32, dlogits []float32) {
	if f.Slots[c.slot].Kind == model.SlotDigit {
		if c.place < d.capacity {
			dlogits[c.place*digitValues+int(v)] += grad
		}
		return
	}
	for i, b := range f.Written(c.slot, v) {
		at := (c.place + 2*i) * digitValues
		if at+2*digitValues > len(dlogits) {
			return
		}
		dlogits[at+int(b>>4)] += grad
		dlogits[at+digitValues+int(b&15)] += grad
	}
}

// written is the matrix value of the at-th digit that a slot's value writes; of an empty element behind its end.
func (d *decoder) written(f *model.Forest, slot int, v uint16, at int) float32 {
	if f.Slots[slot].Kind == model.SlotDigit {
		return d.unit[v]
	}
	word := f.Written(slot, v)
	switch {
	case at/2 >= len(word):
		return d.geometry.ToUnit(0)
	case at%2 == 0:
		return d.unit[word[at/2]>>4]
	}
	return d.unit[word[at/2]&15]
}

// thetaGrad returns d/dtheta [thetas x 1], the weights that logitGrad left, summed.
func (d *decoder) thetaGrad(g *graph, dlogits *gorgonia.Node) *gorgonia.Node {
	run := func(out []float32, _ [][]float32) {
		clear(out)
		for b := range d.drawn {
			label, p := d.labels[b], &d.drawn[b]
			f := &d.forests[label]
			for _, c := range p.choices {
				first := d.first[label] + int(f.First[c.node])
				for i := range f.First[c.node+1] - f.First[c.node] {
					out[first+int(i)] += model.ThetaScale * float32(p.weight[c.weight+int(i)])
				}
			}
		}
	}
	return g.apply("decode dtheta", max(d.thetas, 1), 1, []bool{false}, run, nil, dlogits)
}

// fill writes v to a digit's block.
func (d *decoder) fill(matrix []float32, digit int, v float32) {
	row, col := d.geometry.Block(digit)
	for r := row; r < row+d.geometry.D; r++ {
		fill(matrix[r*d.geometry.N+col:r*d.geometry.N+col+d.geometry.D], v)
	}
}

// blockSum returns the sum of a digit's block.
func (d *decoder) blockSum(matrix []float32, digit int) float32 {
	row, col := d.geometry.Block(digit)
	var s float32
	for r := row; r < row+d.geometry.D; r++ {
		for _, v := range matrix[r*d.geometry.N+col : r*d.geometry.N+col+d.geometry.D] {
			s += v
		}
	}
	return s
}
