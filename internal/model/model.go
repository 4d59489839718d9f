// Package model is a trained generator as plain data: what training writes, what injection samples
// packets from, and how both are kept on disk. It trains nothing, and knows no graph library.
package model

import (
	"fmt"

	"pacgan-appliance/internal/encoding"
)

// Recipe names how a generator was trained, and so how it samples.
type Recipe string

// The recipes of the configuration's train.recipe.
const (
	RecipeTree  Recipe = "tree"  // the digit trees alone
	RecipeGAN   Recipe = "gan"   // the tree-gated adversarial generator
	RecipePaper Recipe = "paper" // the paper's generator of one matrix of reals
)

// Model is a trained generator. A model is not changed once it stands; samplers share it.
type Model struct {
	Recipe   Recipe
	Labels   []string          // in the order of the configuration: a label's index is its place here
	Geometry encoding.Geometry // of the matrix that the networks see

	Forests []Forest // of each label; recipes tree and gan, else nil
	Gate    *Gate    // recipe gan, else nil
	Net     *Net     // the convolutional generator; recipes gan and paper, else nil
}

// Index returns the index of a label.
func (m *Model) Index(label string) (int, error) {
	for i, l := range m.Labels {
		if l == label {
			return i, nil
		}
	}
	return 0, fmt.Errorf("model has no label %q: it has %q", label, m.Labels)
}
