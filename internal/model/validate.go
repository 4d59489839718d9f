package model

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
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
		if err := m.Forests[i].validate(); err != nil {
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
		if i >= len(m.Forests) || len(m.Gate.Theta[i]) != len(m.Forests[i].Value) ||
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
