package model

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValidateErrors(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, tt := range []struct {
		name   string
		recipe Recipe
		change func(m *Model)
		want   string
	}{
		{"recipe", RecipeTree, func(m *Model) { m.Recipe = "x" }, `recipe "x": must be "tree", "gan" or "paper"`},
		{"geometry", RecipeTree, func(m *Model) { m.Geometry.D = 0 }, "geometry n=8 w=16 d=0: n must be a multiple of d, from d to 4096"},
		{"no label", RecipeTree, func(m *Model) { m.Labels = nil }, "0 labels: must be 1 to 1024"},
		{"label twice", RecipeTree, func(m *Model) { m.Labels[1] = "ping" }, `label "ping": names must differ and not be empty`},
		{"empty label", RecipeTree, func(m *Model) { m.Labels[0] = "" }, `label "": names must differ and not be empty`},
		{"a label without trees", RecipeTree, func(m *Model) { m.Forests = m.Forests[:1] }, "2 labels have 1 sets of trees"},
		{"no gate", RecipeGAN, func(m *Model) { m.Gate = nil }, "the gate's parameters are not those of the labels"},
		{"prior", RecipeGAN, func(m *Model) { m.Gate.Prior = "x" }, `prior "x": must be "uniform" or "frequency"`},
		{"theta's shape", RecipeGAN, func(m *Model) { m.Gate.Theta[1] = m.Gate.Theta[1][1:] }, `gate of label "dns": its shape is not that of the trees and the geometry`},
		{"bias' shape", RecipeGAN, func(m *Model) { m.Gate.Bias[0] = nil }, `gate of label "ping": its shape is not that of the trees and the geometry`},
		{"theta NaN", RecipeGAN, func(m *Model) { m.Gate.Theta[0][3] = nan }, `gate of label "ping": a number is not finite`},
		{"bias infinite", RecipeGAN, func(m *Model) { m.Gate.Bias[0][3] = inf }, `gate of label "ping": a number is not finite`},
		{"no network", RecipePaper, func(m *Model) { m.Net = nil }, "the convolutional generator is missing"},
		{"another recipe's network", RecipePaper, func(m *Model) { m.Net = mustModel(t, RecipeGAN).Net }, "network gate of n=8 d=2 and 2 labels in a model of recipe paper, n=8 w=16 d=2 and 2 labels"},
		{"architecture", RecipePaper, func(m *Model) { m.Net.Arch.Noise = 0 }, "network paper: noise, labels, hidden and channels must be 1 to 65536 each, not 0"},
		{"a tensor too few", RecipePaper, func(m *Model) { m.Net.Weights = m.Net.Weights[1:] }, "network paper has 21 tensors, not 22"},
		{"a tensor's shape", RecipePaper, func(m *Model) { m.Net.Weights[0] = nil }, "network paper: fc1.weight has 0 numbers, not [5 5]"},
		{"a weight NaN", RecipePaper, func(m *Model) { m.Net.Weights[3][0] = nan }, "network paper: fc1.mean: a number is not finite"},
		{"a negative variance", RecipePaper, func(m *Model) { m.Net.Weights[4][1] = -1 }, "network paper: fc1.variance: a variance is negative"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := mustModel(t, tt.recipe)
			tt.change(m)
			err := m.Validate()
			if err == nil {
				t.Fatalf("no error, want %q", tt.want)
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestValidateForestErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(f *Forest)
		want   string
	}{
		{"no shape", func(f *Forest) { f.Shapes = nil }, "no shapes"},
		{"an array too short", func(f *Forest) { f.Count = f.Count[1:] }, "arrays do not agree in length"},
		{"values left over", func(f *Forest) { f.First[6] = 9 }, "nodes do not cover the values"},
		{"children left over", func(f *Forest) { f.FirstKid[6] = 1 }, "nodes do not cover the children"},
		{"a node without values", func(f *Forest) { f.First[1] = 0 }, "node 0: values 0 to 0 of 10"},
		{"values that end elsewhere", func(f *Forest) { f.First[1] = 99 }, "node 0: values 0 to 99 of 10"},
		{"a value twice", func(f *Forest) { f.Value[1] = 0 }, "node 0: value 0: must be ascending"},
		{"never seen", func(f *Forest) { f.Count[0] = 0 }, "node 0: value 0 was never seen"},
		{"a leaf with children", func(f *Forest) { f.Split[1] = Leaf }, "node 1: children 0 to 2 of 2, split on slot -1"},
		{"a split without children", func(f *Forest) { f.Split[5] = 2 }, "node 5: children 2 to 2 of 2, split on slot 2"},
		{"a child twice", func(f *Forest) { f.KidValue[1] = 0 }, "node 1: child of value 0: must be ascending"},
		{"a circle", func(f *Forest) { f.Kid[0] = 1 }, "node 1: child 1: must come after its parent, before 6, and have no other"},
		{"a child of two", func(f *Forest) { f.Kid[1] = 2 }, "node 1: child 2: must come after its parent, before 6, and have no other"},
		{"a child beyond all", func(f *Forest) { f.Kid[1] = 6 }, "node 1: child 6: must come after its parent, before 6, and have no other"},
		{"a shape without packets", func(f *Forest) { f.Shapes[0].Count = 0 }, "shape 0: 0 packets, 6 slots, 4 of them drawn"},
		{"a shape of more slots", func(f *Forest) { f.Shapes[0].Slots = 7 }, "shape 0: 5 packets, 7 slots, 4 of them drawn"},
		{"slots left over", func(f *Forest) { f.Slots = append(f.Slots, f.Slots[0]) }, "1 slots and 0 draws belong to no shape"},
		{"drawn twice", func(f *Forest) { f.Order[1] = 2 }, "shape 0: draws slot 2 twice, or it is another's"},
		{"another's slot", func(f *Forest) { f.Order[1] = 6 }, "shape 0: draws slot 6 twice, or it is another's"},
		{"drawn too early", func(f *Forest) { f.Order[0], f.Order[1] = 3, 2 }, "shape 0: slot 3: node 1 splits on slot 2, which is not drawn before"},
		{"a digit before its width", func(f *Forest) { f.Order = []int32{2, 4, 3, 5} }, "shape 0: slot 4: is drawn before its width"},
		{"a root of no tree", func(f *Forest) { f.Slots[4].Root = 6 }, "shape 0: slot 4: root 6 of 6 nodes"},
		{"a root inside a tree", func(f *Forest) { f.Slots[4].Root = 1 }, "shape 0: slot 4: root 1 is another's"},
		{"a digit of 16", func(f *Forest) { f.Value[7] = 16 }, "shape 0: slot 4: node 4: value 16: at most 15"},
		{"a word of none", func(f *Forest) { f.Value[1] = 2 }, "shape 0: slot 2: node 0: value 2: at most 1"},
		{"what is fixed is drawn", func(f *Forest) { f.Order[0] = 0 }, "shape 0: slot 0: kind 0 is not drawn"},
		{"what is to be drawn is not", func(f *Forest) { f.Order, f.Shapes[0].Draws = f.Order[:2], 2 }, "shape 0: slot 4: kind 4: drawn false"},
		{"words of no list", func(f *Forest) { f.Slots[0].Word = 3 }, "shape 0: slot 0: words 3 to 4 of 3"},
		{"words before the list", func(f *Forest) { f.Slots[0].Word = -1 }, "shape 0: slot 0: words -1 to 0 of 3"},
		{"a long length", func(f *Forest) { f.Slots[1].Size = 3 }, "shape 0: slot 1: a length of 3 bytes"},
		{"half a byte", func(f *Forest) { f.Slots[5].At = 3 }, "shape 0: slot 4: half a byte"},
		{"a width that is none", func(f *Forest) { f.Slots[4].Width, f.Slots[5].Width = 2, 2 }, "shape 0: slot 4: its width is slot 2"},
		{"a fixed slot with a width", func(f *Forest) { f.Slots[0].Width = 3 }, "shape 0: slot 0: its width is slot 3"},
		{"a packet to exhaust memory", func(f *Forest) { f.Words[0] = make([]byte, maxBytes) }, "shape 0: packets of up to 1048582 bytes: at most 1048576"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := mustModel(t, RecipeTree)
			tt.change(&m.Forests[1])
			err := m.Validate()
			if err == nil {
				t.Fatalf("no error, want %q", tt.want)
			}
			if diff := cmp.Diff(`trees of label "dns": `+tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}
