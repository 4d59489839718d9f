package model

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/encoding"
)

// handForest has a slot of each kind: a fixed byte, the packet's length, the word "a" or "bc", and a byte that packets
// with "a" may lack.
func handForest() Forest {
	leaf := int32(Leaf)
	return Forest{
		Shapes: []Shape{{Count: 5, Slots: 6, Draws: 4}},
		Slots: []Slot{
			{Kind: SlotFixed, Root: leaf, Word: 0, Width: leaf},
			{Kind: SlotLength, Root: leaf, Size: 2, Add: 1, Width: leaf},
			{Kind: SlotWord, Root: 0, Word: 1, Size: 2, Width: leaf},
			{Kind: SlotWidth, Root: 1, Width: leaf},
			{Kind: SlotDigit, Root: 4, Width: 3, At: 0},
			{Kind: SlotDigit, Root: 5, Width: 3, At: 1},
		},
		Words:    [][]byte{{0x45}, []byte("a"), []byte("bc")},
		Order:    []int32{2, 3, 4, 5},
		Split:    []int32{leaf, 2, leaf, leaf, leaf, leaf},
		FirstKid: []int32{0, 0, 2, 2, 2, 2, 2},
		KidValue: []uint16{0, 1},
		Kid:      []int32{2, 3},
		First:    []int32{0, 2, 4, 6, 7, 8, 10},
		Value:    []uint16{0, 1 /* width: */, 0, 1, 0, 1, 1 /* digits: */, 6, 1, 2},
		Count:    []uint32{3, 2, 2, 3, 2, 1, 2, 3, 2, 1},
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
		name string
		slot int
		word uint16
		want int
	}{
		{"a root without a split", 2, 0, 0},
		{"a known value", 3, 1, 3},
		{"an unknown value stays at the inner node", 3, 2, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := f.Walk(tt.slot, []uint16{0, 0, tt.word, 0, 0, 0}); got != tt.want {
				t.Errorf("node %d, want %d", got, tt.want)
			}
		})
	}
}

// TestDraft writes one packet by hand, and says where each slot begins.
func TestDraft(t *testing.T) {
	f := handForest()
	d := f.NewDraft()
	if diff := cmp.Diff([]int32{2, 3, 4, 5}, d.Start(0)); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	for _, step := range []struct {
		slot, place int
		value       uint16
	}{{2, 6, 1}, {3, 10, 1}, {4, 10, 6}, {5, 11, 2}} {
		if got := d.Place(step.slot); got != step.place {
			t.Errorf("slot %d begins at digit %d, want %d", step.slot, got, step.place)
		}
		if d.Node(step.slot) == Leaf {
			t.Errorf("slot %d is absent", step.slot)
		}
		d.Set(step.slot, step.value)
	}
	if diff := cmp.Diff([]byte("\x45\x00\x07bcb"), d.Append(nil)); diff != "" {
		t.Errorf("packet (-want +got):\n%s", diff)
	}
	d.Start(0)
	d.Set(2, 0)
	d.Set(3, 0)
	if d.Node(4) != Leaf || d.Node(5) != Leaf {
		t.Error("a digit beyond its field's width is to be drawn")
	}
	if diff := cmp.Diff([]byte("\x45\x00\x05a"), d.Append(nil)); diff != "" {
		t.Errorf("short packet (-want +got):\n%s", diff)
	}
}

// countingForest is a word and a letter that says how many bytes there are: "ax" or "bcdy".
func countingForest() Forest {
	leaf := int32(Leaf)
	return Forest{
		Shapes: []Shape{{Count: 4, Slots: 3, Draws: 3}},
		Slots: []Slot{
			{Kind: SlotBehind, Root: leaf, Width: leaf},
			{Kind: SlotWord, Root: 0, Word: 0, Size: 2, Width: leaf},
			{Kind: SlotWord, Root: 1, Word: 2, Size: 2, Width: leaf},
		},
		Words:    [][]byte{[]byte("a"), []byte("bcd"), []byte("x"), []byte("y")},
		Order:    []int32{1, 0, 2},
		Split:    []int32{leaf, 0, leaf, leaf},
		FirstKid: []int32{0, 0, 2, 2, 2},
		KidValue: []uint16{2, 4},
		Kid:      []int32{2, 3},
		First:    []int32{0, 2, 4, 5, 6},
		Value:    []uint16{0, 1, 0, 1, 0, 1},
		Count:    []uint32{1, 1, 1, 1, 1, 1},
	}
}

// TestBehind: trees split on how many bytes there are behind a slot, which follows from what is drawn.
func TestBehind(t *testing.T) {
	m := mustModel(t, RecipeTree)
	m.Forests[0] = countingForest()
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	got := frequencies(t, m, "ping", 1000)
	if len(got) != 2 || got[fmt.Sprintf("%x", "ax")] == 0 || got[fmt.Sprintf("%x", "bcdy")] == 0 {
		t.Errorf("drawn %v, want ax and bcdy", got)
	}
	for _, tt := range []struct {
		name   string
		change func(f *Forest)
		want   string
	}{
		{"known too early", func(f *Forest) { f.Order = []int32{0, 1, 2} }, `trees of label "ping": shape 0: slot 0: slot 1 behind it is drawn after it`},
		{"with a tree", func(f *Forest) { f.Slots[0].Root = 2 }, `trees of label "ping": shape 0: slot 0: root 2 of what is not drawn`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m.Forests[0] = countingForest()
			tt.change(&m.Forests[0])
			if err := m.Validate(); err == nil || err.Error() != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

// TestShapesAreDrawnByCount adds a second shape, of one fixed byte.
func TestShapesAreDrawnByCount(t *testing.T) {
	m := mustModel(t, RecipeTree)
	f := &m.Forests[0]
	f.Shapes = append(f.Shapes, Shape{Count: 15, Slots: 1})
	f.Slots = append(f.Slots, Slot{Kind: SlotFixed, Root: Leaf, Width: Leaf})
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	if got := frequencies(t, m, "ping", 30000)["45"]; math.Abs(got-0.75) > 0.015 {
		t.Errorf("the second shape's share is %.3f, want 0.75", got)
	}
}

// TestTreeFrequencies: packets are as frequent as the counts along their walks say.
func TestTreeFrequencies(t *testing.T) {
	got := frequencies(t, mustModel(t, RecipeTree), "ping", 30000)
	want := map[string]float64{
		"45000561":     3. / 5 * 2 / 3,
		"4500066161":   3. / 5 * 1 / 3 * 2 / 3,
		"4500066162":   3. / 5 * 1 / 3 * 1 / 3,
		"450007626361": 2. / 5 * 2 / 3,
		"450007626362": 2. / 5 * 1 / 3,
	}
	compareFrequencies(t, want, got)
}

// TestGateFrequencies: with a silent network, packets are as frequent as softmax(prior + 20 theta +
// bias) says.
func TestGateFrequencies(t *testing.T) {
	for _, tt := range []struct {
		name   string
		prior  Prior
		theta  float32 // of the word bc
		bias   float32 // of its last digit
		second float64 // probability of the word bc
	}{
		{"uniform", PriorUniform, 0, 0, 1. / 2},
		{"frequency", PriorFrequency, 0, 0, 2. / 5},
		{"theta counts 20 times", PriorUniform, 0.05, 0, math.E / (1 + math.E)},
		{"bias", PriorFrequency, 0, 1, 2 * math.E / (3 + 2*math.E)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := mustModel(t, RecipeGAN)
			for _, w := range m.Net.Weights {
				clear(w)
			}
			m.Gate.Prior = tt.prior
			m.Gate.Theta[0][1] = tt.theta
			m.Gate.Bias[0][9*valuesPerNode+3] = tt.bias // digit 9, the low one of c = 63
			m.Gate.Bias[0][7*valuesPerNode+5] = 50      // a value that training never had stays impossible
			sum := 0.0
			for packet, share := range frequencies(t, m, "ping", 30000) {
				switch packet[6:8] {
				case "62":
					sum += share
				case "61":
				default:
					t.Errorf("packet %s: the word was never that", packet)
				}
			}
			if math.Abs(sum-tt.second) > 0.015 {
				t.Errorf("the word is bc in %.3f, want %.3f", sum, tt.second)
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
	for label, want := range map[string]float64{"ping": 1. / 2, "dns": 1} { // bc = 6263 has a 2, a = 61 none
		got := frequencies(t, m, label, 4000)
		if share := got["450007626361"] + got["450007626362"]; math.Abs(share-want) > 0.04 {
			t.Errorf("%s: the word is bc in %.3f, want %.3f", label, share, want)
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
			s.outputs, s.left = matrix, 1 // as if the network had made it
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
			allocs := testing.AllocsPerRun(3*paperBatch, func() { buffer, _ = s.Next(buffer[:0]) })
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
