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
		{"no tree", func(f *Forest) { f.Root = nil }, "-1 digits: must be even, and geometry n=8 w=16 d=2 holds 16"},
		{"half a byte", func(f *Forest) { f.Root = f.Root[:4] }, "3 digits: must be even, and geometry n=8 w=16 d=2 holds 16"},
		{"longer than the matrix", func(f *Forest) { f.Root = make([]int32, 19) }, "18 digits: must be even, and geometry n=8 w=16 d=2 holds 16"},
		{"shortest after longest", func(f *Forest) { f.MinLen = 3 }, "shortest packet of 3 bytes, longest of 2"},
		{"an array too short", func(f *Forest) { f.Kids = f.Kids[1:] }, "arrays do not agree in length"},
		{"half a child table", func(f *Forest) { f.Child = f.Child[8:] }, "arrays do not agree in length"},
		{"values left over", func(f *Forest) { f.First[9] = 13 }, "nodes do not cover the values"},
		{"nodes before the first tree", func(f *Forest) { f.Root[0] = 1 }, "the first tree does not begin at node 0"},
		{"an empty tree", func(f *Forest) { f.Root[2] = 1 }, "tree 1 has nodes 1 to 1"},
		{"a tree beyond the nodes", func(f *Forest) { f.Root[4] = 9 }, "tree 4 has nodes 9 to 9"},
		{"a node without values", func(f *Forest) { f.First[1] = 0 }, "tree 0, node 0: values 0 to 0 of 14"},
		{"values that end elsewhere", func(f *Forest) { f.First[1] = 99 }, "tree 0, node 0: values 0 to 99 of 14"},
		{"a digit of 16", func(f *Forest) { f.Value[1] = 16 }, "tree 0, node 0: value 16: must be ascending, 0 to 15"},
		{"a value twice", func(f *Forest) { f.Value[1] = 1 }, "tree 0, node 0: value 1: must be ascending, 0 to 15"},
		{"a length beyond the trees", func(f *Forest) { f.Value[13] = 3 }, "tree 4, node 8: value 3: must be ascending, 1 to 2"},
		{"a length below the shortest", func(f *Forest) { f.Value[12] = 0 }, "tree 4, node 7: value 0: must be ascending, 1 to 2"},
		{"never seen", func(f *Forest) { f.Count[0] = 0 }, "tree 0, node 0: value 1 was never seen"},
		{"splits on itself", func(f *Forest) { f.Split[1] = 1 }, "tree 1, node 1: splits on digit 1: only 1 are known before"},
		{"splits before the first digit", func(f *Forest) { f.Split[1] = -2 }, "tree 1, node 1: splits on digit -2: only 1 are known before"},
		{"length splits on what may be absent", func(f *Forest) { f.Split[6] = 2 }, "tree 4, node 6: splits on digit 2: only 2 are known before"},
		{"children out of range", func(f *Forest) { f.Kids[1] = 17 }, "tree 1, node 1: children at 17 of 32"},
		{"children before the first", func(f *Forest) { f.Kids[1] = -16 }, "tree 1, node 1: children at -16 of 32"},
		{"a circle", func(f *Forest) { f.Child[1] = 1 }, "tree 1, node 1: child 1: must come after its parent, before 4"},
		{"a child in another tree", func(f *Forest) { f.Child[1] = 4 }, "tree 1, node 1: child 4: must come after its parent, before 4"},
		{"a child before all", func(f *Forest) { f.Child[1] = -2 }, "tree 1, node 1: child -2: must come after its parent, before 4"},
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
