package appliance

import (
	"fmt"
	"io"
	"slices"
	"time"

	"pacgan-appliance/internal/inject"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/truth"
)

// source is the injector's source of labelled packets: so many of each label,
// taken from a drawer in an order.
type source struct {
	drawer drawer
	order  order
	left   []int        // packets still to draw, of each label
	slots  []int        // where each label's packets are counted; nil: at the label's index
	origin truth.Origin // in the truth record
	drawn  []uint64     // packets drawn so far, of each label
	kept   [][][]byte   // [label] what was drawn; nil: nothing is kept
	buf    []byte
}

// drawer has the packets of each label.
type drawer interface {
	// draw appends the label's next packet to buf.
	draw(label int, buf []byte) ([]byte, error)
}

// order says which label comes next.
type order interface {
	// pick takes a label of those that have packets left; -1 when none has.
	pick(left []int) int
	// due is when the packet comes that pick gives next, since the beginning.
	due(left []int) time.Duration
}

// endless is a count of packets that never runs out.
const endless = -1

// Next implements inject.Source: the next packet is valid until the call
// after; io.EOF when all are drawn.
func (s *source) Next() (p inject.Packet, err error) {
	label := s.order.pick(s.left)
	if label < 0 {
		return p, io.EOF
	}
	s.buf, err = s.drawer.draw(label, s.buf[:0])
	if err != nil {
		return p, err
	}
	p = inject.Packet{Label: label, IP: s.buf, Tag: s.origin.Tag(s.drawn[label])}
	s.drawn[label]++
	if s.left[label] != endless {
		s.left[label]--
	}
	if s.kept != nil {
		s.kept[label] = append(s.kept[label], slices.Clone(s.buf))
	}
	if s.slots != nil {
		p.Label = s.slots[label]
	}
	return p, nil
}

// due is when the packet is due that Next gives next, since the source began;
// 0 where only a rate says so.
func (s *source) due() time.Duration { return s.order.due(s.left) }

// modelDrawer draws packets from a model, each once.
type modelDrawer []*model.Sampler // by label

func (d modelDrawer) draw(label int, buf []byte) ([]byte, error) {
	ip, err := d[label].Next(buf)
	if err != nil {
		return buf, fmt.Errorf("generate: %w", err)
	}
	return ip, nil
}

// newModelSource draws count packets of each label, or an endless number.
// Labels are those of the config, in its order, and must be in the model.
// Packets of a counted source are kept, since the quality is measured on those
// that were sent.
func newModelSource(m *model.Model, labels []string, o order, count int, seed uint64) (*source, error) {
	var d modelDrawer
	for _, label := range labels {
		sampler, err := m.NewSampler(label, seed)
		if err != nil {
			return nil, err
		}
		d = append(d, sampler)
	}
	s := &source{drawer: d, order: o, left: slices.Repeat([]int{count}, len(labels)), drawn: make([]uint64, len(labels))}
	if count != endless {
		s.kept = make([][][]byte, len(labels))
	}
	return s, nil
}

// shareOrder mixes labels by their weights: the label whose share is furthest
// behind comes next (smooth weighted round robin).
type shareOrder struct {
	share, credit []float64
}

func newShareOrder(share []float64) *shareOrder {
	return &shareOrder{share, make([]float64, len(share))}
}

func (o *shareOrder) pick(left []int) int {
	best, total := -1, 0.0
	for i, n := range left {
		if n == 0 {
			continue
		}
		o.credit[i] += o.share[i]
		total += o.share[i]
		if best < 0 || o.credit[i] > o.credit[best] {
			best = i
		}
	}
	if best >= 0 {
		o.credit[best] -= total
	}
	return best
}

// due is at once: how many come a second is for others to say.
func (o *shareOrder) due([]int) time.Duration { return 0 }
