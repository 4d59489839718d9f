package dataset

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEviction: the oldest go first, the largest label pays, and none loses its last file.
func TestEviction(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, Labels: []string{"big", "small"}, MaxBytes: 20_000, FileBytes: 2000}
	s := mustOpen(t, o)
	small := testPackets("small", 0, 5, 100)
	mustAppend(t, s, small)
	for i := range 1000 {
		mustAppend(t, s, testPackets("big", i, i+1, 100))
		if bytes := s.Stats().Bytes; bytes > o.MaxBytes {
			t.Fatalf("after %d packets: %d bytes, at most %d allowed", i, bytes, o.MaxBytes)
		}
	}
	if diff := cmp.Diff(small, mustRead(t, s, "small", 0), samePackets()); diff != "" {
		t.Errorf("the small label (-want +got):\n%s", diff)
	}
	kept := mustRead(t, s, "big", 0)
	if diff := cmp.Diff(testPackets("big", 1000-len(kept), 1000, 100), kept, samePackets()); diff != "" {
		t.Errorf("the big label does not end with its newest (-want +got):\n%s", diff)
	}
	if got := s.Stats(); got.Evicted != 1000-len(kept) || got.Stored != 1005 || len(kept) < 100 {
		t.Errorf("stats %+v with %d kept", got, len(kept))
	}
	if size := mustSize(t, dir); size != s.Stats().Bytes {
		t.Errorf("%d bytes on disk, stats say %d", size, s.Stats().Bytes)
	}
}

// TestEvictionWithoutSecondFile: more labels than the budget has room for still stay within it.
func TestEvictionWithoutSecondFile(t *testing.T) {
	var labels []string
	for i := range 10 {
		labels = append(labels, fmt.Sprintf("l%d", i))
	}
	s := mustOpen(t, Options{Dir: t.TempDir(), Labels: labels, MaxBytes: 3000, FileBytes: 2000})
	for i := range 100 {
		mustAppend(t, s, testPackets(labels[i%10], i, i+1, 200))
		if bytes := s.Stats().Bytes; bytes > 3000 {
			t.Fatalf("after %d packets: %d bytes", i, bytes)
		}
	}
	sum := 0
	for _, label := range labels {
		sum += len(mustRead(t, s, label, 0))
	}
	if got := s.Stats(); sum == 0 || got.Evicted+sum != 100 {
		t.Errorf("%d packets left, stats %+v", sum, got)
	}
}
