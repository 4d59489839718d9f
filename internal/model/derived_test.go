package model

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestForms: a number in one form is the same number in another, and is written as it was read.
func TestForms(t *testing.T) {
	for _, tt := range []struct {
		read  Form
		text  string
		want  uint64
		write Form
		size  int
		as    string
	}{
		{FormDecimal, "50461", 50461, FormBinary, 2, "\xc5\x1d"},
		{FormBinary, "\x0a\x4d\x02\x55", 0x0a4d0255, FormDotted4, 0, "10.77.2.85"},
		{FormDotted4, "10.77.2.85", 0x0a4d0255, FormHex, 0, "a4d0255"},
		{FormDotted2, "2.85", 0x0255, FormDecimal, 0, "597"},
		{FormDotted3, "77.2.0", 0x4d0200, FormDotted3, 0, "77.2.0"},
		{FormHex, "44b698ff", 1152817407, FormDecimal, 0, "1152817407"},
		{FormHexUpper, "44B698FF", 1152817407, FormHex, 10, "0044b698ff"},
		{FormHex, "ffffffffffffffff", 1<<64 - 1, FormHexUpper, 4, "FFFF"},
		{FormDecimal, "0", 0, FormHex, 0, "0"},
		{FormLength, "abc", 3, FormDecimal, 2, "03"},
		{FormBinary, "", 0, FormDecimal, 0, "0"},
	} {
		t.Run(fmt.Sprintf("%d of %q", tt.read, tt.text), func(t *testing.T) {
			n := tt.read.Number([]byte(tt.text))
			if n != tt.want {
				t.Errorf("number %d, want %d", n, tt.want)
			}
			if got := tt.write.Append([]byte("x"), n, tt.size); string(got) != "x"+tt.as {
				t.Errorf("form %d of %d bytes: %q, want %q", tt.write, tt.size, got, "x"+tt.as)
			}
		})
	}
}

// derivedForest is handForest and, behind it, its byte in decimal (0x61 or 0x62, or nothing), the length of its word
// and that of the byte plus 3 in hex, of two digits, and the word once more.
func derivedForest() Forest {
	f := handForest()
	leaf := int32(Leaf)
	f.Shapes[0].Slots, f.Shapes[0].Draws = 9, 7
	f.Slots = append(f.Slots,
		Slot{Kind: SlotDerived, Root: leaf, Word: 0, Width: leaf},
		Slot{Kind: SlotDerived, Root: leaf, Word: 1, Size: 2, Width: leaf},
		Slot{Kind: SlotDerived, Root: leaf, Word: 2, Width: leaf})
	f.Order = append(f.Order, 6, 7, 8)
	f.Derived = []Derivation{
		{From: 4, Slots: 2, Read: FormBinary, Write: FormDecimal},
		{From: 2, Slots: 4, Read: FormLength, Write: FormHex, Add: 3},
		{From: 2, Slots: 1, Read: FormRaw, Write: FormRaw},
	}
	return f
}

func TestDerivedSlots(t *testing.T) {
	m := mustModel(t, RecipeTree)
	m.Forests[0] = derivedForest()
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "m")
	mustDo(t, SaveAs(dir, m, testManifest()))
	loaded, _, err := Load(dir)
	mustDo(t, err)
	if diff := cmp.Diff(m, loaded); diff != "" {
		t.Fatalf("saved and loaded (-want +got):\n%s", diff)
	}
	s := mustSampler(t, loaded, "ping", 1)
	seen := map[string]bool{}
	for range 500 {
		p, err := s.Next(nil)
		mustDo(t, err)
		seen[string(p)] = true
	}
	want := map[string]bool{
		"E\x00\x09a004a": true, "E\x00\x0baa9705a": true, "E\x00\x0bab9805a": true,
		"E\x00\x0dbca9706bc": true, "E\x00\x0dbcb9806bc": true,
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("packets (-want +got):\n%s", diff)
	}
}

// TestValidateDerivedErrors: what reads others reads slots that are there and drawn before, and grows by no power.
func TestValidateDerivedErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(f *Forest)
		want   string
	}{
		{"no derivation", func(f *Forest) { f.Slots[6].Word = 3 }, "slot 6: root -1, derivation 3 of 3, 0 bytes"},
		{"a tree", func(f *Forest) { f.Slots[6].Root = 0 }, "slot 6: root 0, derivation 0 of 3, 0 bytes"},
		{"a negative size", func(f *Forest) { f.Slots[6].Size = -1 }, "slot 6: root -1, derivation 0 of 3, -1 bytes"},
		{"slots of no shape", func(f *Forest) { f.Derived[0].Slots = 6 }, "slot 6: reads 6 slots from slot 4"},
		{"slots without end", func(f *Forest) { f.Derived[0].Slots = 1<<31 - 1 }, "slot 6: reads 2147483647 slots from slot 4"},
		{"slots before the first", func(f *Forest) { f.Derived[0].From = -1 }, "slot 6: reads 2 slots from slot -1"},
		{"an unknown form", func(f *Forest) { f.Derived[0].Read = forms }, "slot 6: reads form 9, writes form 2"},
		{"a length written", func(f *Forest) { f.Derived[0].Write = FormLength }, "slot 6: reads form 1, writes form 8"},
		{"a copy in another form", func(f *Forest) { f.Derived[2].Write = FormHex }, "slot 8: reads form 0, writes form 3"},
		{"read before it is drawn", func(f *Forest) { f.Order[3], f.Order[4] = 6, 5 }, "slot 6: reads slot 5, which is drawn after it"},
		{"counted before it is drawn", func(f *Forest) { f.Derived[1].From, f.Derived[1].Slots = 6, 3 }, "slot 7: counts slot 8, which is drawn after it"},
		{"reads a length", func(f *Forest) { f.Derived[2].From = 1 }, "slot 8: reads slot 1, a length"},
		{"reads itself", func(f *Forest) { f.Derived[2].From = 8 }, "slot 8: reads slot 8, which is drawn after it"},
		{"too long a copy", func(f *Forest) { f.Words[1] = make([]byte, Absent) }, "slot 8: 65535 bytes"},
		{"a width", func(f *Forest) { f.Slots[6].Width = 3 }, "slot 6: its width is slot 3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := mustModel(t, RecipeTree)
			m.Forests[0] = derivedForest()
			tt.change(&m.Forests[0])
			err := m.Validate()
			if err == nil {
				t.Fatalf("no error, want %q", tt.want)
			}
			if diff := cmp.Diff(`trees of label "ping": shape 0: `+tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}
