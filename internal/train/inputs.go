package train

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"pacgan-appliance/internal/encoding"
	"pacgan-appliance/internal/model"
)

// drawNoise fills x [batch x arch.Inputs()] with what a generator reads: standard normal noise, then, where there is
// more than one, the label one-hot.
func drawNoise(rng *rand.Rand, arch model.Arch, x []float32, labels []int) {
	width := arch.Inputs()
	for b, label := range labels {
		row := x[b*width : (b+1)*width]
		for i := range arch.Noise {
			row[i] = float32(rng.NormFloat64())
		}
		clear(row[arch.Noise:])
		if arch.Labels > 1 {
			row[arch.Noise+label] = 1
		}
	}
}

// oneHot fills y [batch x labels] with a 1 at each row's label.
func oneHot(y []float32, labels []int) {
	width := len(y) / len(labels)
	clear(y)
	for b, label := range labels {
		y[b*width+label] = 1
	}
}

// drawReal fills x [batch x n*n] with training packets of the given labels, drawn with replacement.
func drawReal(rng *rand.Rand, s *split, labels []int, x []float32) error {
	elements := s.geometry.Elements()
	for b, label := range labels {
		packets := s.train[label]
		if err := encodeUnit(s.geometry, x[b*elements:(b+1)*elements], packets[rng.IntN(len(packets))]); err != nil {
			return err
		}
	}
	return nil
}

// encodeUnit writes a packet's matrix to m, its values -1..1.
func encodeUnit(g encoding.Geometry, m []float32, packet []byte) error {
	if err := g.EncodeInto(m, packet); err != nil {
		return err
	}
	for i, y := range m {
		m[i] = g.ToUnit(y)
	}
	return nil
}

// fitForests grows the trees of every label.
func fitForests(ctx context.Context, s *split, threads int) ([]model.Forest, error) {
	var forests []model.Forest
	for i, packets := range s.train {
		f, err := FitTrees(ctx, packets, threads)
		if err != nil {
			return nil, fmt.Errorf("label %q: %w", s.labels[i], err)
		}
		forests = append(forests, *f)
	}
	return forests, nil
}

// finite reports whether x is neither infinite nor NaN.
func finite(x float32) bool { return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0) }
