package model

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"pacgan-appliance/internal/encoding"
)

// maxLabels bounds a label table, so that a hostile file cannot exhaust memory.
const maxLabels = 1 << 10

// Validate reports what would make sampling from the model wrong: parts that are missing or do not
// fit together, indices out of range, numbers that are not finite.
func (m *Model) Validate() error {
	if err := m.Geometry.Validate(); err != nil {
		return err
	}
	if err := validateLabels(m.Labels); err != nil {
		return err
	}
	switch m.Recipe {
	case RecipeTree:
		return m.validateForests()
	case RecipeGAN:
		return cmp.Or(m.validateForests(), m.validateNet(NetGate), m.validateGate())
	case RecipePaper:
		return m.validateNet(NetPaper)
	}
	return fmt.Errorf("recipe %q: must be %q, %q or %q", m.Recipe, RecipeTree, RecipeGAN, RecipePaper)
}

func validateLabels(labels []string) error {
	if len(labels) == 0 || len(labels) > maxLabels {
		return fmt.Errorf("%d labels: must be 1 to %d", len(labels), maxLabels)
	}
	for i, l := range labels {
		if l == "" || slices.Contains(labels[:i], l) {
			return fmt.Errorf("label %q: names must differ and not be empty", l)
		}
	}
	return nil
}

func (m *Model) validateForests() error {
	if len(m.Forests) != len(m.Labels) {
		return fmt.Errorf("%d labels have %d sets of trees", len(m.Labels), len(m.Forests))
	}
	for i := range m.Forests {
		if err := m.Forests[i].validate(m.Geometry); err != nil {
			return fmt.Errorf("trees of label %q: %w", m.Labels[i], err)
		}
	}
	return nil
}

func (m *Model) validateGate() error {
	if m.Gate == nil || len(m.Gate.Theta) != len(m.Labels) || len(m.Gate.Bias) != len(m.Labels) {
		return errors.New("the gate's parameters are not those of the labels")
	}
	if err := m.Gate.Prior.validate(); err != nil {
		return err
	}
	for i, label := range m.Labels {
		if i >= len(m.Forests) || len(m.Gate.Theta[i]) != m.Forests[i].Nodes()*valuesPerNode ||
			len(m.Gate.Bias[i]) != m.Geometry.DigitsCapacity()*valuesPerNode {
			return fmt.Errorf("gate of label %q: its shape is not that of the trees and the geometry", label)
		}
		if !finite(m.Gate.Theta[i]) || !finite(m.Gate.Bias[i]) {
			return fmt.Errorf("gate of label %q: a number is not finite", label)
		}
	}
	return nil
}

func (m *Model) validateNet(kind NetKind) error {
	if m.Net == nil {
		return errors.New("the convolutional generator is missing")
	}
	a := m.Net.Arch
	if err := a.Validate(); err != nil {
		return err
	}
	if a.Kind != kind || a.N != m.Geometry.N || a.D != m.Geometry.D || a.Labels != len(m.Labels) {
		return fmt.Errorf("network %s of n=%d d=%d and %d labels in a model of recipe %s, %v and %d labels",
			a.Kind, a.N, a.D, a.Labels, m.Recipe, m.Geometry, len(m.Labels))
	}
	tensors := a.Tensors()
	if len(m.Net.Weights) != len(tensors) {
		return fmt.Errorf("network %s has %d tensors, not %d", a.Kind, len(m.Net.Weights), len(tensors))
	}
	for i, t := range tensors {
		if len(m.Net.Weights[i]) != t.Len() {
			return fmt.Errorf("network %s: %s has %d numbers, not %v", a.Kind, t.Name, len(m.Net.Weights[i]), t.Shape)
		}
		if !finite(m.Net.Weights[i]) {
			return fmt.Errorf("network %s: %s: a number is not finite", a.Kind, t.Name)
		}
		if strings.HasSuffix(t.Name, ".variance") && slices.Min(m.Net.Weights[i]) < 0 {
			return fmt.Errorf("network %s: %s: a variance is negative", a.Kind, t.Name)
		}
	}
	return nil
}

func finite(x []float32) bool {
	for _, v := range x {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return false
		}
	}
	return true
}

// validate reports what would lead a walk astray: each child comes after its parent, so that no walk
// goes in a circle, and each split is on a digit that is drawn before.
func (f *Forest) validate(g encoding.Geometry) error {
	digits, nodes := f.Digits(), f.Nodes()
	switch {
	case digits < 0 || digits%2 != 0 || digits > 2*g.CapacityBytes():
		return fmt.Errorf("%d digits: must be even, and geometry %v holds %d", digits, g, 2*g.CapacityBytes())
	case f.MinLen < 0 || 2*f.MinLen > digits:
		return fmt.Errorf("shortest packet of %d bytes, longest of %d", f.MinLen, digits/2)
	case len(f.Kids) != nodes || len(f.First) != nodes+1 || len(f.Count) != len(f.Value) || len(f.Child)%valuesPerNode != 0:
		return errors.New("arrays do not agree in length")
	case f.First[0] != 0 || int(f.First[nodes]) != len(f.Value):
		return errors.New("nodes do not cover the values")
	case f.Root[0] != 0:
		return errors.New("the first tree does not begin at node 0")
	}
	for i, root := range f.Root {
		end := int32(nodes)
		if i < digits {
			end = f.Root[i+1]
		}
		if root >= end || int(end) > nodes {
			return fmt.Errorf("tree %d has nodes %d to %d", i, root, end)
		}
		for node := root; node < end; node++ {
			if err := f.validateNode(i, node, end); err != nil {
				return fmt.Errorf("tree %d, node %d: %w", i, node, err)
			}
		}
	}
	return nil
}

// validateNode checks a node of tree i, whose nodes end before end.
func (f *Forest) validateNode(i int, node, end int32) error {
	features, lowest, highest := i, 0, encoding.Values-1
	if i == f.Digits() {
		features, lowest, highest = 2*f.MinLen, f.MinLen, f.Digits()/2
	}
	first, last := f.First[node], f.First[node+1]
	if first < 0 || first >= last || int(last) > len(f.Value) {
		return fmt.Errorf("values %d to %d of %d", first, last, len(f.Value))
	}
	for at := first; at < last; at++ {
		v := int(f.Value[at])
		if v < lowest || v > highest || at > first && f.Value[at-1] >= f.Value[at] {
			return fmt.Errorf("value %d: must be ascending, %d to %d", v, lowest, highest)
		}
		if f.Count[at] == 0 {
			return fmt.Errorf("value %d was never seen", v)
		}
	}
	split := f.Split[node]
	if split == Leaf {
		return nil
	}
	if split < 0 || int(split) >= features {
		return fmt.Errorf("splits on digit %d: only %d are known before", split, features)
	}
	kids := int(f.Kids[node])
	if kids < 0 || kids > len(f.Child)-valuesPerNode {
		return fmt.Errorf("children at %d of %d", kids, len(f.Child))
	}
	for _, child := range f.Child[kids : kids+valuesPerNode] {
		if child != Leaf && (child <= node || child >= end) {
			return fmt.Errorf("child %d: must come after its parent, before %d", child, end)
		}
	}
	return nil
}
