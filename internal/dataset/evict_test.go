package dataset

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pacgan-appliance/internal/packet"
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

// TestExpire: packets of several ages, of a label that is written to and of one
// that nothing comes for any more. A store that was closed knows their ages.
func TestExpire(t *testing.T) {
	dir := t.TempDir()
	const keep = 8 * time.Hour
	open := func() *Store {
		return mustOpen(t, Options{Dir: dir, Labels: []string{"dns", "idle"}, MaxBytes: MinMaxBytes})
	}
	s := open()
	add := func(label string, hours ...int) {
		t.Helper()
		for _, h := range hours {
			p := testPacket(label, 0, 60)
			p.Time = time.Now().Add(-time.Duration(h) * time.Hour)
			mustAppend(t, s, []packet.Packet{p})
			if err := s.Expire(1000 * time.Hour); err != nil { // nothing is that old
				t.Fatal(err)
			}
		}
	}
	check := func(when string, want map[string][]int) {
		t.Helper()
		if err := s.Expire(keep); err != nil {
			t.Fatal(err)
		}
		got := map[string][]int{}
		for label := range want {
			got[label] = nil
			for _, p := range mustRead(t, s, label, 0) {
				got[label] = append(got[label], int(time.Since(p.Time).Hours()))
			}
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: hours (-want +got):\n%s", when, diff)
		}
	}
	add("idle", 7)
	add("dns", 7, 6)
	check("all young", map[string][]int{"dns": {7, 6}, "idle": {7}})
	add("dns", 3) // in a file of its own: the one before is more than an hour old
	mustClose(t, s)
	s = open()
	check("reopened", map[string][]int{"dns": {7, 6, 3}, "idle": {7}})
	mustClose(t, s)
	for _, label := range []string{"dns", "idle"} { // two hours pass
		path := filepath.Join(dir, label, "0001.pcap")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sec := binary.LittleEndian.Uint32(b[fileHeaderBytes:])
		binary.LittleEndian.PutUint32(b[fileHeaderBytes:], sec-2*3600)
		mustWrite(t, path, b)
	}
	s = open()
	check("two hours later", map[string][]int{"dns": {3}, "idle": nil})
	if stats := s.Stats(); stats.Evicted != 3 {
		t.Errorf("stats %+v", stats)
	}
	mustClose(t, s)
}
