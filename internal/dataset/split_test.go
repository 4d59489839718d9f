package dataset

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/packet"
)

// TestSplit: a quarter is held out, whatever else is there, and it is always the same.
func TestSplit(t *testing.T) {
	const n = 20_000
	packets := testPackets("x", 0, n, 60)
	train, heldOut := Split(packets)
	if len(train)+len(heldOut) != n {
		t.Errorf("%d + %d packets of %d", len(train), len(heldOut), n)
	}
	// Binomial(n, 1/4): five standard deviations.
	if off := math.Abs(float64(len(heldOut)) - n/4.0); off > 5*math.Sqrt(n*3.0/16) {
		t.Errorf("%d of %d held out", len(heldOut), n)
	}
	_, later := Split(packets[n/2:])
	var want []packet.Packet
	for _, p := range heldOut {
		if !p.Time.Before(packets[n/2].Time) {
			want = append(want, p)
		}
	}
	if diff := cmp.Diff(want, later, samePackets()); diff != "" {
		t.Errorf("packets moved when others went (-want +got):\n%s", diff)
	}
}

// TestSplitStaysInTheStore: reading back does not move a packet to the other side.
func TestSplitStaysInTheStore(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir(), Labels: []string{"x"}})
	packets := testPackets("x", 0, 500, 60)
	mustAppend(t, s, packets)
	want, _ := Split(packets)
	got, _ := Split(mustRead(t, s, "x", 0))
	if diff := cmp.Diff(want, got, samePackets()); diff != "" {
		t.Errorf("training packets (-want +got):\n%s", diff)
	}
}

// TestHeldOutIsPinned: the hash is part of the format; models were judged by it.
func TestHeldOutIsPinned(t *testing.T) {
	got := ""
	for _, p := range testPackets("x", 0, 32, 60) {
		if HeldOut(p) {
			got += "h"
		} else {
			got += "."
		}
	}
	if want := ".h.......h.h.....h...h..hh....h."; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestAppendAllocatesNothing between writes.
func TestAppendAllocatesNothing(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir(), Labels: []string{"x"}})
	p := testPacket("x", 0, 60)
	for range 2 * bufferBytes / 76 { // the buffer has grown to its size
		mustAppend(t, s, []packet.Packet{p})
	}
	if allocs := testing.AllocsPerRun(500, func() {
		if err := s.Append(p); err != nil {
			t.Fatal(err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations a packet, want 0", allocs)
	}
}

func BenchmarkAppend(b *testing.B) {
	s := mustOpen(b, Options{Dir: b.TempDir(), Labels: []string{"x"}, MaxBytes: 64 << 20})
	p := testPacket("x", 0, 98)
	b.ReportAllocs()
	b.SetBytes(98)
	for b.Loop() {
		if err := s.Append(p); err != nil {
			b.Fatal(err)
		}
	}
}
