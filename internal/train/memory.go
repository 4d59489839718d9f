package train

import (
	"fmt"
	"math/rand/v2"

	"pacgan-appliance/internal/model"
)

// memory is all that a recipe has to remember to go on after a step as if it had never stopped. It leads to the
// recipe's own values: they are read to save it and overwritten to restore it.
type memory struct {
	source   *rand.PCG
	counters []*int
	tensors  []model.Tensor // of float32
}

// add remembers a slice under a name of its own.
func (m *memory) add(name string, values []float32) {
	m.tensors = append(m.tensors, model.Tensor{Name: name, Shape: []int{len(values)}, Data: values})
}

// adam remembers an optimiser and the parameters that it moves.
func (m *memory) adam(name string, a *adam) {
	m.counters = append(m.counters, &a.state.Steps)
	for i, p := range a.params {
		m.add(name+"."+p.name, data(p.value))
		m.add(name+".m."+p.name, a.state.M[i])
		m.add(name+".v."+p.name, a.state.V[i])
	}
}

// average remembers a moving average.
func (m *memory) average(name string, a *average) {
	m.counters = append(m.counters, &a.steps)
	for i, p := range a.params {
		m.add(name+"."+p.name, a.values[i])
	}
}

// tracked remembers the running moments of batch normalisation.
func (m *memory) tracked(gen *generator) {
	m.counters = append(m.counters, &gen.steps)
	for i, t := range gen.tracked {
		m.add(fmt.Sprintf("mean.%d", i), t.mean)
		m.add(fmt.Sprintf("variance.%d", i), t.variance)
	}
}

// recalled is a memory as it was saved.
type recalled struct {
	source   []byte // of PCG
	counters []int
	tensors  map[string]any
}

// restore overwrites the memory by what was saved: all of it, and nothing that does not fit.
func (m *memory) restore(saved recalled) error {
	if len(saved.counters) != len(m.counters) {
		return fmt.Errorf("%d counters, not %d", len(saved.counters), len(m.counters))
	}
	for i, n := range saved.counters {
		if n < 0 {
			return fmt.Errorf("counter %d is %d", i, n)
		}
		*m.counters[i] = n
	}
	for _, t := range m.tensors {
		live := t.Data.([]float32)
		values, ok := saved.tensors[t.Name].([]float32)
		if !ok || len(values) != len(live) {
			return fmt.Errorf("tensor %q is missing, or not of %d numbers", t.Name, len(live))
		}
		for _, x := range values {
			if !finite(x) {
				return fmt.Errorf("tensor %q: a number is not finite", t.Name)
			}
		}
		copy(live, values)
	}
	if err := m.source.UnmarshalBinary(saved.source); err != nil {
		return fmt.Errorf("random numbers: %w", err)
	}
	return nil
}
