package dataset

import (
	"errors"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/packet"
)

func TestAddLabels(t *testing.T) {
	dir := t.TempDir()
	before := mustOpen(t, Options{Dir: dir, Labels: []string{"old"}})
	old := testPackets("old", 0, 5, 100)
	mustAppend(t, before, old)
	mustClose(t, before)

	s := mustOpen(t, Options{Dir: dir, Labels: []string{"dns"}})
	dns := testPackets("dns", 0, 10, 100)
	mustAppend(t, s, dns)
	added := testPacket("ntp", 0, 100)
	if err := s.Append(added); err == nil || err.Error() != `store packet: no label "ntp" in this dataset` {
		t.Errorf("error %v of a label that is not there", err)
	}
	if err := s.AddLabels([]string{"ntp", "dns", "old"}); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, testPackets("ntp", 0, 3, 100))
	mustAppend(t, s, testPackets("dns", 10, 12, 100))
	got := map[string]int{}
	for _, label := range s.Labels() {
		got[label] = s.Count(label)
	}
	if diff := cmp.Diff(map[string]int{"dns": 12, "ntp": 3, "old": 5}, got); diff != "" {
		t.Errorf("packets (-want +got):\n%s", diff)
	}
	if size := mustSize(t, dir); size > s.Stats().Bytes {
		t.Errorf("%d bytes on disk, stats say %d", size, s.Stats().Bytes)
	}
	mustClose(t, s)
	if err := s.AddLabels([]string{"more"}); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v of a closed store", err)
	}
}

func TestSetMaxBytes(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, Options{Dir: dir, Labels: []string{"dns"}, MaxBytes: 3 * MinMaxBytes})
	const n = 12_000
	mustAppend(t, s, testPackets("dns", 0, n, 600))
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	if bytes := s.Stats().Bytes; bytes <= MinMaxBytes {
		t.Fatalf("%d bytes: nothing has to go", bytes)
	}
	if err := s.SetMaxBytes(1000); err == nil {
		t.Error("a store without room for a file a label")
	}
	if err := s.SetMaxBytes(MinMaxBytes); err != nil {
		t.Fatal(err)
	}
	if size := mustSize(t, dir); size > MinMaxBytes || size != s.Stats().Bytes {
		t.Errorf("%d bytes on disk, stats say %d", size, s.Stats().Bytes)
	}
	kept := mustRead(t, s, "dns", 0)
	if len(kept) == 0 {
		t.Fatal("none is kept")
	}
	ends := []packet.Packet{kept[0], kept[len(kept)-1]}
	want := []packet.Packet{testPacket("dns", n-len(kept), 600), testPacket("dns", n-1, 600)}
	if diff := cmp.Diff(want, ends, samePackets()); diff != "" {
		t.Errorf("%d kept, not the newest: the first and the last (-want +got):\n%s", len(kept), diff)
	}
	if err := s.SetMaxBytes(2 * MinMaxBytes); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, testPackets("dns", n, n+8000, 600))
	if bytes := s.Stats().Bytes; bytes <= MinMaxBytes || bytes > 2*MinMaxBytes {
		t.Errorf("%d bytes in a store that was given more room", bytes)
	}
}

// TestFullQuotaTakesNoMemory writes a quota's worth thirty times over, without
// the Sync that a training brings.
func TestFullQuotaTakesNoMemory(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir(), Labels: []string{"dns", "http"}})
	const frame = 1000
	quota := func() {
		for i := range MinMaxBytes / frame / 2 {
			for _, label := range []string{"dns", "http"} {
				if err := s.Append(testPacket(label, i, frame)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	quota()
	quota()
	before := heap()
	for range 30 {
		quota()
	}
	if grown := heap() - before; grown > 32<<10 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	if s.Stats().Evicted < 29*MinMaxBytes/frame {
		t.Errorf("stats %+v: the quota was not full", s.Stats())
	}
}
