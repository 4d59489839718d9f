package model

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestChainFeatures says what a chain tells of "a1 bob: 10.4 eve" by hand, with "a", "b", "bo", "bob" and "eve" known.
func TestChainFeatures(t *testing.T) {
	known := [][]byte{[]byte("a"), []byte("a1"), []byte("b"), []byte("bo"), []byte("bob"), []byte("e"), []byte("ev"), []byte("eve")}
	none, unknown := uint16(NoToken), uint16(UnknownToken)
	for _, tt := range []struct {
		text    string
		feature int
		want    uint16
	}{
		{"", chainByte, chainNone},
		{"a", chainByte, 'a'},
		{"a1", chainByte + 1, 'a'},
		{"a", chainByte + 7, chainNone},
		{"", chainClass, chainNone},
		{"a1 ", chainClass + 1, classDigit},
		{"a1 bob", chainPlace, 6},
		{"", chainRun, 0},
		{"a1 bob", chainRun, 3},
		{"a1 bob: 10", chainRun, 2},
		{"a1 ", chainPart, 0},
		{"a1", chainPart, 2},
		{"", chainToken, none},
		{"a1 bo", chainToken, 3},
		{"a1 box", chainToken, unknown},
		{"a1 boxer", chainToken, unknown},
		{"a1 bob:", chainToken, none},
		{"a1 bob: 10", chainToken, unknown},
		{"a1 bob: 10.4", chainBefore, unknown},
		{"a1 bob: 10.4", chainBefore + 1, 4},
		{"a1 bob: 10.4 ", chainBefore + 2, 4},
		{"a1 bob: 10.4 ", chainName, 4},
		{"a1 bob: 10.4 eve", chainName + 1, none}, // a1 is too short
		{"a1 bob: 10.4 eve.", chainName + 1, 4},
		{"a1 bob: 10.4 eve.", chainName, 7},
		{"a1 bob: 10.4 eve.", chainFirst, 4},
		{"a1 bob: 10.4 eve.", chainFirst + 1, 7},
		{"a1 bob: 10.4 ", chainFirst + 2, none},
		{"a1 bob: 10.4", chainWhere, 1<<3 | 1},
		{"a1 bob: 10.12345678", chainWhere, 1<<3 | 7},
		{"a1 bob: 10.4", chainTokenNum, 3},
		{"a1 bob: 10.4 ", chainSince, 2},
		{"a1 bob: 10.4 eve.", chainSince, 0},
	} {
		t.Run(fmt.Sprintf("%d of %q", tt.feature, tt.text), func(t *testing.T) {
			var c Chain
			c.Reset(known, Frame{})
			for _, b := range []byte(tt.text) {
				c.Push(b)
			}
			if got := c.Value(tt.feature); got != tt.want {
				t.Errorf("value %d, want %d", got, tt.want)
			}
		})
	}
}

// chainForest is a chain of "x", "y" or nothing and then up to three "z", a slot for its first name ("x" is known), and a
// word that follows that: "X" behind an x, else "O".
func chainForest() Forest {
	leaf := int32(Leaf)
	return Forest{
		Shapes: []Shape{{Count: 1, Slots: 3, Draws: 3}},
		Slots: []Slot{
			{Kind: SlotChain, Root: 0, Word: 0, Size: 1, Width: leaf, At: 4},
			{Kind: SlotToken, Root: leaf, Width: 0, At: chainToken},
			{Kind: SlotWord, Root: 5, Word: 1, Size: 2, Width: leaf},
		},
		Words: [][]byte{[]byte("x"), []byte("O"), []byte("X")},
		Order: []int32{0, 1, 2},
		// The chain's: of any byte, the first, those behind it, after an x, after others; the word's: of any, O, X.
		Split:    []int32{ChainSplit(chainPlace), leaf, ChainSplit(chainByte), leaf, leaf, 1, leaf, leaf},
		FirstKid: []int32{0, 2, 2, 4, 4, 4, 6, 6, 6},
		KidValue: []uint16{0, Other, 'x', Other, 0, Other - 2},
		Kid:      []int32{1, 2, 3, 4, 6, 7},
		First:    []int32{0, 1, 3, 4, 5, 7, 9, 10, 11},
		Value:    []uint16{ChainEnd, 'x', 'y', 'z', ChainEnd, 'z', ChainEnd, 0, 1, 1, 0},
		Count:    []uint32{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
	}
}

// TestChain: a chain ends at its end or at its length, a number leads to the child of the next value, what has no child to
// that of all others; what it says decides on what is drawn after it.
func TestChain(t *testing.T) {
	m := mustModel(t, RecipeTree)
	m.Forests[0] = chainForest()
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	got := frequencies(t, m, "ping", 4000)
	want := map[string]float64{}
	for packet, share := range map[string]float64{"xX": 1. / 2, "yO": 1. / 4, "yzO": 1. / 8, "yzzO": 1. / 16, "yzzzO": 1. / 16} {
		want[fmt.Sprintf("%x", packet)] = share
	}
	compareFrequencies(t, want, got)
}

func TestChainErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(f *Forest)
		want   string
	}{
		{"no length", func(f *Forest) { f.Slots[0].At = 0 }, "shape 0: slot 0: a chain of up to 0 bytes"},
		{"an endless one", func(f *Forest) { f.Slots[0].At = Absent }, "shape 0: slot 0: a chain of up to 65535 bytes"},
		{"entries without a length", func(f *Forest) { f.Slots[0].Add = Frame{Form: FrameBinary, Head: 2, Align: 1}.Packed() }, "shape 0: slot 0: entries of form 0x100021"},
		{"entries of no form", func(f *Forest) { f.Slots[0].Add = 15 }, "shape 0: slot 0: entries of form 0xf"},
		{"entries of more than a form", func(f *Forest) { f.Slots[0].Add = 1 << 30 }, "shape 0: slot 0: entries of form 0x40000000"},
		{"tokens of no list", func(f *Forest) { f.Slots[0].Size = 4 }, "shape 0: slot 0: words 0 to 4 of 3"},
		{"fewer than none", func(f *Forest) { f.Slots[0].Size = -1 }, "shape 0: slot 0: words 0 to -1 of 3"},
		{"tokens in disorder", func(f *Forest) { f.Slots[0].Size = 2 }, "shape 0: slot 0: the beginnings of tokens must be ascending"},
		{"a byte of 257", func(f *Forest) { f.Value[0] = ChainEnd + 1 }, "shape 0: slot 0: node 0: value 257: at most 256"},
		{"a feature too many", func(f *Forest) { f.Split[0] = ChainSplit(ChainFeatures) }, "shape 0: slot 0: node 0 splits on slot -43, which is not drawn before"},
		{"a feature in another tree", func(f *Forest) { f.Split[5] = ChainSplit(0) }, "shape 0: slot 2: node 5 splits on slot -2, which is not drawn before"},
		{"with a width", func(f *Forest) { f.Slots[0].Width = 2 }, "shape 0: slot 0: is drawn before its width"},
		{"a token of no chain", func(f *Forest) { f.Slots[1].Width = 2 }, "shape 0: slot 1: root -1, feature 15 of slot 2: must be of the chain that was drawn last, 0"},
		{"a token before its chain", func(f *Forest) { f.Order[0], f.Order[1] = 1, 0 }, "shape 0: slot 1: root -1, feature 15 of slot 0: must be of the chain that was drawn last, -1"},
		{"a token of no feature", func(f *Forest) { f.Slots[1].At = ChainFeatures }, "shape 0: slot 1: root -1, feature 41 of slot 0: must be of the chain that was drawn last, 0"},
		{"a packet to exhaust memory", func(f *Forest) {
			f.Words[1], f.Slots[0].At = make([]byte, maxBytes), 1000
		}, "shape 0: packets of up to 1049576 bytes: at most 1048576"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := mustModel(t, RecipeTree)
			m.Forests[1] = chainForest()
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

func TestDrawingAChainDoesNotAllocate(t *testing.T) {
	m := mustModel(t, RecipeTree)
	m.Forests[0] = chainForest()
	s, packet := mustSampler(t, m, "ping", 1), make([]byte, 0, 16)
	if n := testing.AllocsPerRun(100, func() { packet, _ = s.Next(packet[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
