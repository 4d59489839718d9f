package web

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func mustHistory(tb testing.TB, path string) *History {
	tb.Helper()
	h, err := OpenHistory(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { h.Close() })
	return h
}

func mustAdd(tb testing.TB, h *History, at time.Time, labels ...Label) {
	tb.Helper()
	if err := h.Add(at, labels); err != nil {
		tb.Fatal(err)
	}
}

// answered is a label whose packets, so many since the start, were all answered.
func answered(name string, n uint64) Label {
	return Label{Name: name, Counts: Counts{Generated: n, OnWire: n, Answered: n}}
}

// total sums the points of a span.
func total(h *History, span Span, label string, now time.Time) Ends {
	var e Ends
	for _, p := range h.Points(span, label, now) {
		e.add(p.Ends)
	}
	return e
}

func TestHistoryCountsGrowth(t *testing.T) {
	all := func(n uint64) []Label { return []Label{answered("dns", n)} }
	tests := []struct {
		name string
		adds [][]Label // one each 2 s
		want uint32    // of dns, in the last 10 minutes
	}{
		{"first is the base", [][]Label{all(100)}, 0},
		{"growth", [][]Label{all(100), all(150), all(170)}, 70},
		{"restart from 0", [][]Label{all(100), all(130), all(20), all(50)}, 80},
		{"label that comes and goes", [][]Label{{}, all(100), all(110), {}, all(300), all(301)}, 11},
		{"other labels are apart", [][]Label{all(1), {answered("dns", 4), answered("ping", 9)}, {answered("ping", 90), answered("dns", 5)}}, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := mustHistory(t, filepath.Join(t.TempDir(), "history"))
			now := noon
			for i, labels := range tt.adds {
				now = noon.Add(time.Duration(i) * 2 * time.Second)
				mustAdd(t, h, now, labels...)
			}
			want := Ends{Generated: tt.want, OnWire: tt.want, Answered: tt.want}
			for _, span := range Spans() {
				if diff := cmp.Diff(want, total(h, span, "dns", now)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", span.Name, diff)
				}
			}
		})
	}
}

func TestHistoryHasEachDenominator(t *testing.T) {
	h := mustHistory(t, filepath.Join(t.TempDir(), "history"))
	mustAdd(t, h, noon, Label{Name: "dns"})
	mustAdd(t, h, noon.Add(2*time.Second), sample().Labels[1])
	points := h.Points(Spans()[0], "dns", noon.Add(3*time.Second))
	last := points[len(points)-1]
	want := Point{Start: noon.Add(2 * time.Second), Step: 2 * time.Second, Ends: Ends{
		Generated: 1000, OnWire: 994, Answered: 900, Rejected: 84, Expired: 9, Failed: 3, Blocked: 2, Malformed: 1}}
	if diff := cmp.Diff(want, last); diff != "" {
		t.Errorf("last point (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(sample().Labels[1].Success, last.Success()); diff != "" {
		t.Errorf("success (-want +got):\n%s", diff)
	}
}

// TestHistoryOfTwoMonths runs the clock over 60 days: what is kept is exact,
// and neither the file nor the memory grows.
func TestHistoryOfTwoMonths(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	h := mustHistory(t, path)
	var now time.Time
	var n uint64
	run := func(days int, step time.Duration) {
		for end := now.Add(time.Duration(days) * 24 * time.Hour); now.Before(end); now = now.Add(step) {
			n += uint64(step / time.Second) // 1 packet/s
			mustAdd(t, h, now, answered("dns", n))
		}
	}
	now = noon
	run(2, 30*time.Second)
	before := liveHeap()
	run(58, 30*time.Second)
	if grown := int64(liveHeap()) - int64(before); grown > 1<<20 {
		t.Errorf("58 days took %d bytes of memory", grown)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != int64(historySize()) {
		t.Errorf("file: %v, %v; want %d bytes", info, err, historySize())
	}
	now = now.Add(-time.Second)
	for _, span := range Spans() {
		got, want := total(h, span, "dns", now).Answered, uint32(span.Length()/time.Second)
		if got+30 < want || got > want {
			t.Errorf("%s: %d packets, want %d", span.Name, got, want)
		}
	}
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestHistoryOutlivesAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	killed := mustHistory(t, path) // not closed before the next is opened
	mustAdd(t, killed, noon, answered("dns", 0))
	mustAdd(t, killed, noon.Add(2*time.Second), answered("dns", 40))
	h := mustHistory(t, path)
	mustAdd(t, h, noon.Add(4*time.Second), answered("dns", 40))
	mustAdd(t, h, noon.Add(6*time.Second), answered("dns", 60))
	for _, span := range Spans() {
		if got := total(h, span, "dns", noon.Add(6*time.Second)).Answered; got != 60 {
			t.Errorf("%s: %d answered, want 60", span.Name, got)
		}
	}
}

func TestHistoryDamage(t *testing.T) {
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[at] ^= 0xff; return b }
	}
	hour := headerSize + (Spans()[0].Points+Spans()[1].Points+slot(Spans()[2], noon))*recordSize
	tests := []struct {
		name  string
		spoil func([]byte) []byte
		want  [3]uint32 // answered in each span
		err   string
	}{
		{"sound", func(b []byte) []byte { return b }, [3]uint32{40, 40, 40}, ""},
		{"torn hour", flip(hour + 100), [3]uint32{40, 40, 0}, ""},
		{"cells without end", func(b []byte) []byte {
			rec := record(b[hour : hour+recordSize])
			binary.LittleEndian.PutUint32(rec[4:], 1<<30)
			rec.seal()
			return b
		}, [3]uint32{40, 40, 0}, ""},
		{"other version", flip(len(historyMagic)), [3]uint32{}, "format 254, this program has 1: move it away and start again"},
		{"other file", flip(0), [3]uint32{}, "not a history: move it away and start again"},
		{"cut", func(b []byte) []byte { return b[:5000] }, [3]uint32{}, "not a whole history (unexpected EOF): move it away and start again"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "history")
			h := mustHistory(t, path)
			mustAdd(t, h, noon, answered("dns", 0))
			mustAdd(t, h, noon.Add(2*time.Second), answered("dns", 40))
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
			mustSpoil(t, path, tt.spoil)
			again, err := OpenHistory(path)
			if tt.err != "" {
				if err == nil || err.Error() != "web: history "+path+": "+tt.err {
					t.Errorf("error %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			var got [3]uint32
			for i, span := range Spans() {
				got[i] = total(again, span, "dns", noon.Add(2*time.Second)).Answered
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answered (-want +got):\n%s", diff)
			}
		})
	}
}

func mustSpoil(tb testing.TB, path string, spoil func([]byte) []byte) {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, spoil(b), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func TestHistoryKeepsGoingWithoutADisk(t *testing.T) {
	h := mustHistory(t, filepath.Join(t.TempDir(), "history"))
	mustAdd(t, h, noon, answered("dns", 0))
	readOnly, err := os.Open(h.file.Name())
	if err != nil {
		t.Fatal(err)
	}
	h.file.Close()
	h.file = readOnly // each write fails, as on a disk that is full
	if err := h.Add(noon, []Label{answered("dns", 5)}); err == nil {
		t.Error("no error of a failed write")
	}
	if got := total(h, Spans()[1], "dns", noon).Answered; got != 5 {
		t.Errorf("%d answered in memory, want 5", got)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if err := h.Add(noon, nil); !errors.Is(err, errHistoryClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestHistoryFullRecord(t *testing.T) {
	rec := make(record, recordSize)
	rec.reset(60)
	for i := range maxCells + 3 {
		rec.add(uint64(i), Ends{Answered: 1})
		rec.add(uint64(i), Ends{Answered: ^uint32(0)})
	}
	if rec.cells() != maxCells || rec.ends(maxCells) != (Ends{}) || rec.ends(0).Answered != ^uint32(0) {
		t.Errorf("%d cells, first %+v, one too many %+v", rec.cells(), rec.ends(0), rec.ends(maxCells))
	}
}
