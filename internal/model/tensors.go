package model

import (
	"fmt"
)

// The tensors of a model's file, for each label's index I:
//
//	forest.I.shapes [shape][3], .slots [slot][7]        the fields of Shape and of Slot
//	forest.I.words, .word_end                           the bytes of all words, and where each ends
//	forest.I.order, .split, .first_kid, .kid_value, .kid, .first, .value, .count    as in Forest
//	gate.I.theta [place in forest.I.value], gate.I.bias [digit][16]
//	net.NAME                                                                   as in Arch.Tensors

// tensors returns what of the model is kept in safetensors; the manifest holds the rest.
func (m *Model) tensors() []Tensor {
	var ts []Tensor
	for i := range m.Forests {
		ts = append(ts, m.Forests[i].tensors(fmt.Sprintf("forest.%d.", i))...)
	}
	if m.Gate != nil {
		for i, theta := range m.Gate.Theta {
			bias, prefix := m.Gate.Bias[i], fmt.Sprintf("gate.%d.", i)
			ts = append(ts,
				Tensor{prefix + "theta", []int{len(theta)}, theta},
				Tensor{prefix + "bias", []int{len(bias) / valuesPerNode, valuesPerNode}, bias})
		}
	}
	if m.Net != nil {
		for i, spec := range m.Net.Arch.Tensors() {
			ts = append(ts, Tensor{"net." + spec.Name, spec.Shape, m.Net.Weights[i]})
		}
	}
	return ts
}

// takeTensors fills the model, whose manifest is applied, with the tensors of its file: each that it
// needs has to be there, and no other.
func (m *Model) takeTensors(tensors []Tensor, prior Prior, arch *Arch) error {
	box := make(tensorBox, len(tensors))
	for _, t := range tensors {
		box[t.Name] = t.Data
	}
	var err error
	switch m.Recipe {
	case RecipeTree:
		err = m.takeForests(box)
	case RecipeGAN:
		if err = m.takeForests(box); err == nil {
			err = m.takeGate(box, prior)
		}
		if err == nil {
			err = m.takeNet(box, arch)
		}
	case RecipePaper:
		err = m.takeNet(box, arch)
	}
	if err != nil {
		return err
	}
	for name := range box {
		return fmt.Errorf("tensor %q is not part of recipe %q", name, m.Recipe)
	}
	return nil
}

func (m *Model) takeForests(box tensorBox) error {
	m.Forests = make([]Forest, len(m.Labels))
	for i := range m.Forests {
		if err := m.Forests[i].take(box, fmt.Sprintf("forest.%d.", i)); err != nil {
			return err
		}
	}
	return nil
}

func (m *Model) takeGate(box tensorBox, prior Prior) error {
	m.Gate = &Gate{Prior: prior, Theta: make([][]float32, len(m.Labels)), Bias: make([][]float32, len(m.Labels))}
	for i := range m.Labels {
		if err := take(box, fmt.Sprintf("gate.%d.theta", i), &m.Gate.Theta[i]); err != nil {
			return err
		}
		if err := take(box, fmt.Sprintf("gate.%d.bias", i), &m.Gate.Bias[i]); err != nil {
			return err
		}
	}
	return nil
}

func (m *Model) takeNet(box tensorBox, arch *Arch) error {
	if arch == nil {
		return fmt.Errorf("recipe %q without a network", m.Recipe)
	}
	if err := arch.Validate(); err != nil {
		return err
	}
	m.Net = &Net{Arch: *arch}
	for _, spec := range arch.Tensors() {
		var weights []float32
		if err := take(box, "net."+spec.Name, &weights); err != nil {
			return err
		}
		m.Net.Weights = append(m.Net.Weights, weights)
	}
	return nil
}

// tensorBox is the data of a file's tensors by name.
type tensorBox map[string]any

// take moves a tensor's data out of the box.
func take[T any](box tensorBox, name string, dst *[]T) error {
	data, ok := box[name]
	if !ok {
		return fmt.Errorf("tensor %q is missing", name)
	}
	typed, ok := data.([]T)
	if !ok {
		return fmt.Errorf("tensor %q is %s, not %s", name, dtypeOf(data), dtypeOf(*dst))
	}
	*dst = typed
	delete(box, name)
	return nil
}
