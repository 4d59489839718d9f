package appliance

import (
	"fmt"
	"io"
	"slices"

	"pacgan-appliance/internal/model"
)

// modelSource draws packets from a model: so many of each label, mixed by
// their shares, each drawn once and handed out as it was drawn.
type modelSource struct {
	samplers []*model.Sampler
	left     []int      // packets still to draw, of each label
	share    []float64  // weight of each label in the mix
	credit   []float64  // smooth weighted round robin
	kept     [][][]byte // [label] what was drawn; none where the source is endless
	buf      []byte
}

// endless is a count of packets that never runs out.
const endless = -1

// newModelSource draws count packets of each label, or an endless number.
// Labels are those of the config, in its order, and must be in the model.
// Packets of a counted source are kept, since the quality is measured on those
// that were sent.
func newModelSource(m *model.Model, labels []string, share []float64, count int, seed uint64) (*modelSource, error) {
	s := &modelSource{share: share, credit: make([]float64, len(labels)), kept: make([][][]byte, len(labels))}
	for _, label := range labels {
		sampler, err := m.NewSampler(label, seed)
		if err != nil {
			return nil, err
		}
		s.samplers = append(s.samplers, sampler)
		s.left = append(s.left, count)
	}
	return s, nil
}

// Next returns the next packet, valid until the call after, and the index of
// its label; io.EOF when all are drawn.
func (s *modelSource) Next() (label int, ip []byte, err error) {
	label = s.pick()
	if label < 0 {
		return 0, nil, io.EOF
	}
	s.buf, err = s.samplers[label].Next(s.buf[:0])
	if err != nil {
		return label, nil, fmt.Errorf("generate: %w", err)
	}
	if s.left[label] != endless {
		s.left[label]--
		s.kept[label] = append(s.kept[label], slices.Clone(s.buf))
	}
	return label, s.buf, nil
}

// pick takes the label whose share is furthest behind (smooth weighted round
// robin), and -1 when none has packets left.
func (s *modelSource) pick() int {
	best, total := -1, 0.0
	for i, left := range s.left {
		if left == 0 {
			continue
		}
		s.credit[i] += s.share[i]
		total += s.share[i]
		if best < 0 || s.credit[i] > s.credit[best] {
			best = i
		}
	}
	if best >= 0 {
		s.credit[best] -= total
	}
	return best
}
