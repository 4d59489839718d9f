package model

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/encoding"
)

// handForest is what training makes of the packets 10 (twice) and 25ab (twice), with one packet 2f more: its low
// digit 15 was seen under the high digit 2 alone, and the length follows the low digit.
func handForest() Forest {
	leaf := int32(Leaf)
	return Forest{
		MinLen: 1,
		Root:   []int32{0, 1, 4, 5, 6},
		Split:  []int32{leaf, 0, leaf, leaf, leaf, leaf, 1, leaf, leaf},
		Kids:   []int32{leaf, 0, leaf, leaf, leaf, leaf, 16, leaf, leaf},
		Child: []int32{
			leaf, 2, 3, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf,
			7, leaf, leaf, leaf, leaf, 8, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf,
		},
		First: []int32{0, 2, 5, 6, 8, 9, 10, 12, 13, 14},
		Value: []uint16{1, 2 /* digit 1: */, 0, 5, 15, 0, 5, 15 /* 2, 3: */, 10, 11 /* length: */, 1, 2, 1, 2},
		Count: []uint32{2, 3, 2, 2, 1, 2, 2, 1, 2, 2, 3, 2, 2, 2},
	}
}

// mustModel returns a small valid model with two labels that have the same trees.
func mustModel(tb testing.TB, recipe Recipe) *Model {
	tb.Helper()
	m := &Model{Recipe: recipe, Labels: []string{"ping", "dns"}, Geometry: encoding.Geometry{N: 8, W: 16, D: 2}}
	if recipe != RecipePaper {
		m.Forests = []Forest{handForest(), handForest()}
	}
	switch recipe {
	case RecipeGAN:
		m.Gate = NewGate(PriorUniform, m.Forests, m.Geometry.DigitsCapacity())
		m.Net = mustNet(tb, Arch{Kind: NetGate, N: 8, D: 2, Noise: 3, Labels: 2, Channels: [3]int{4, 3, 2}}, 1)
	case RecipePaper:
		m.Net = mustNet(tb, Arch{Kind: NetPaper, N: 8, D: 2, Noise: 3, Labels: 2, Hidden: 5, Channels: [3]int{4, 3, 2}}, 1)
	}
	if err := m.Validate(); err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestWalk(t *testing.T) {
	f := handForest()
	for _, tt := range []struct {
		name   string
		digit  int
		digits []uint8
		want   int
	}{
		{"a root without a split", 0, nil, 0},
		{"a known value", 1, []uint8{2}, 3},
		{"an unknown value stays at the inner node", 1, []uint8{9}, 1},
		{"the length tree", 4, []uint8{2, 5}, 8},
		{"the length tree, unknown", 4, []uint8{2, 15}, 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := f.Walk(tt.digit, tt.digits); got != tt.want {
				t.Errorf("node %d, want %d", got, tt.want)
			}
		})
	}
}

func TestDependentAndFree(t *testing.T) {
	f := handForest()
	if diff := cmp.Diff([]bool{true, true, false, false}, f.Dependent()); diff != "" {
		t.Errorf("dependent (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]bool{true, true, false, false}, f.Free()); diff != "" {
		t.Errorf("free (-want +got):\n%s", diff)
	}
}

// TestTreeFrequencies: packets are as frequent as the counts along their walks say.
func TestTreeFrequencies(t *testing.T) {
	got := frequencies(t, mustModel(t, RecipeTree), "ping", 30000)
	want := map[string]float64{
		"10":   2. / 5,
		"25ab": 3. / 5 * 2 / 3,
		"2f":   3. / 5 * 1 / 3 * 3 / 5, // the length's inner node: 3 of 1 byte, 2 of 2
		"2fab": 3. / 5 * 1 / 3 * 2 / 5,
	}
	compareFrequencies(t, want, got)
}

// TestGateFrequencies: with a silent network, packets are as frequent as softmax(prior + 20 theta +
// bias) says.
func TestGateFrequencies(t *testing.T) {
	for _, tt := range []struct {
		name   string
		prior  Prior
		theta  float32 // of digit 0 = 2
		bias   float32 // of digit 0 = 2
		second float64 // probability of digit 0 = 2
	}{
		{"uniform", PriorUniform, 0, 0, 1. / 2},
		{"frequency", PriorFrequency, 0, 0, 3. / 5},
		{"theta counts 20 times", PriorUniform, 0.05, 0, math.E / (1 + math.E)},
		{"bias", PriorFrequency, 0, 1, 3 * math.E / (2 + 3*math.E)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := mustModel(t, RecipeGAN)
			for _, w := range m.Net.Weights {
				clear(w)
			}
			m.Gate.Prior = tt.prior
			m.Gate.Theta[0][2], m.Gate.Bias[0][2] = tt.theta, tt.bias
			m.Gate.Bias[0][7] = 50 // a value that training never had stays impossible
			sum := 0.0
			for packet, share := range frequencies(t, m, "ping", 30000) {
				switch packet[0] {
				case '2':
					sum += share
				case '1':
				default:
					t.Errorf("packet %s: digit 0 was never %c", packet, packet[0])
				}
			}
			if math.Abs(sum-tt.second) > 0.015 {
				t.Errorf("digit 0 is 2 in %.3f, want %.3f", sum, tt.second)
			}
		})
	}
}

// TestNetworkDecides: the network's logits reach the digit that they are for, and differ with the
// label.
func TestNetworkDecides(t *testing.T) {
	m := mustModel(t, RecipeGAN)
	weights := map[string][]float32{}
	for i, spec := range m.Net.Arch.Tensors() {
		clear(m.Net.Weights[i])
		weights[spec.Name] = m.Net.Weights[i]
	}
	// Label "dns", the second input after three of noise, drives channel 0 at each pixel; that says 2.
	fc, channels := weights["fc.weight"], 4
	outputs := len(weights["fc.bias"])
	for o := 0; o < outputs; o += channels {
		fc[4*outputs+o] = 10
	}
	for k := range Kernel * Kernel {
		weights["deconv1.weight"][k*3] = 1
		weights["deconv2.weight"][k*2] = 1
	}
	weights["logits.weight"][2] = 10
	for label, want := range map[string]float64{"ping": 1. / 2, "dns": 1} {
		got := frequencies(t, m, label, 4000)
		if share := got["25ab"] + got["2f"] + got["2fab"]; math.Abs(share-want) > 0.04 {
			t.Errorf("%s: digit 0 is 2 in %.3f, want %.3f", label, share, want)
		}
	}
}

// TestPaperDecodes: matrices become packets by equation (2), cut at the IPv4 total length.
func TestPaperDecodes(t *testing.T) {
	for _, tt := range []struct {
		name         string
		matrix, want []byte
	}{
		{"ends at its total length", []byte{0x45, 0, 0, 6, 1, 2, 3, 4}, []byte{0x45, 0, 0, 6, 1, 2}},
		{"as long as the matrix", []byte{0x45, 0, 0, 8, 1, 2, 3, 4}, []byte{0x45, 0, 0, 8, 1, 2, 3, 4}},
		{"says more than there is", []byte{0x45, 0, 1, 0, 1, 2, 3, 4}, []byte{0x45, 0, 1, 0, 1, 2, 3, 4}},
		{"says nothing", []byte{0x45, 0, 0, 0, 1, 2, 3, 4}, []byte{0x45, 0, 0, 0, 1, 2, 3, 4}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := mustModel(t, RecipePaper)
			s := mustSampler(t, m, "ping", 1)
			matrix, err := m.Geometry.Encode(tt.matrix)
			if err != nil {
				t.Fatal(err)
			}
			s.outputs = matrix // as if the network had made it
			got, err := s.Next([]byte{0xff})
			if diff := cmp.Diff(append([]byte{0xff}, tt.want...), got); diff != "" || err != nil {
				t.Errorf("error %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// TestPaperScalesTanh: an output of tanh = -1 + 1/16 is digit 0, its opposite is 15.
func TestPaperScalesTanh(t *testing.T) {
	for bias, want := range map[float32]byte{-9: 0x00, 0: 0x88, 9: 0xff} {
		m := mustModel(t, RecipePaper)
		for _, w := range m.Net.Weights {
			clear(w)
		}
		m.Net.Weights[len(m.Net.Weights)-1][0] = bias // conv.bias
		got, err := mustSampler(t, m, "ping", 1).Next(nil)
		if err != nil || len(got) != 8 || got[0] != want {
			t.Errorf("bias %v: packet %x (%v), want bytes %x", bias, got, err, want)
		}
	}
}

// TestSamplersAreIndependent: a label's packets depend on model, label and seed, not on what else is
// sampled, nor on the order of the labels.
func TestSamplersAreIndependent(t *testing.T) {
	for _, recipe := range []Recipe{RecipeTree, RecipeGAN, RecipePaper} {
		t.Run(string(recipe), func(t *testing.T) {
			m := mustModel(t, recipe)
			want := packets(t, mustSampler(t, m, "dns", 1), 200)
			a, b := mustSampler(t, m, "dns", 1), mustSampler(t, m, "ping", 1)
			var got, other []string
			for range 200 {
				got = append(got, packets(t, a, 1)...)
				other = append(other, packets(t, b, 1)...)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("interleaved (-want +got):\n%s", diff)
			}
			if cmp.Equal(want, other) {
				t.Error("two labels draw the same packets")
			}
			if cmp.Equal(want, packets(t, mustSampler(t, m, "dns", 2), 200)) {
				t.Error("two seeds draw the same packets")
			}
		})
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	for _, recipe := range []Recipe{RecipeTree, RecipeGAN, RecipePaper} {
		t.Run(string(recipe), func(t *testing.T) {
			s := mustSampler(t, mustModel(t, recipe), "ping", 1)
			buffer := make([]byte, 0, 64)
			allocs := testing.AllocsPerRun(3*netBatch, func() { buffer, _ = s.Next(buffer[:0]) })
			if allocs != 0 {
				t.Errorf("%v allocations a packet, want 0", allocs)
			}
		})
	}
}

func TestNewSamplerErrors(t *testing.T) {
	m := mustModel(t, RecipeTree)
	_, label := m.NewSampler("ntp", 1)
	m.Recipe = "magic"
	_, recipe := m.NewSampler("dns", 1)
	for _, tt := range []struct {
		err  error
		want string
	}{
		{label, `model has no label "ntp": it has ["ping" "dns"]`},
		{recipe, `sample from recipe "magic": must be "tree", "gan" or "paper"`},
	} {
		if tt.err == nil || tt.err.Error() != tt.want {
			t.Errorf("error %v, want %q", tt.err, tt.want)
		}
	}
}

func frequencies(tb testing.TB, m *Model, label string, count int) map[string]float64 {
	tb.Helper()
	shares := map[string]float64{}
	for _, p := range packets(tb, mustSampler(tb, m, label, 3), count) {
		shares[p] += 1 / float64(count)
	}
	return shares
}

func compareFrequencies(t *testing.T, want, got map[string]float64) {
	t.Helper()
	for packet := range got {
		if _, ok := want[packet]; !ok {
			t.Errorf("packet %s is not possible", packet)
		}
	}
	for packet, share := range want {
		if math.Abs(got[packet]-share) > 0.015 { // five standard deviations of 30,000 draws
			t.Errorf("packet %s: %.3f, want %.3f", packet, got[packet], share)
		}
	}
}

func packets(tb testing.TB, s *Sampler, count int) (hex []string) {
	tb.Helper()
	for range count {
		p, err := s.Next(nil)
		if err != nil {
			tb.Fatal(err)
		}
		hex = append(hex, fmt.Sprintf("%x", p))
	}
	return hex
}

func mustSampler(tb testing.TB, m *Model, label string, seed uint64) *Sampler {
	tb.Helper()
	s, err := m.NewSampler(label, seed)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}
