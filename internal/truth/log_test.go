package truth

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/lab/labtest"
)

func TestLogRoundTrip(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "truth")
	const each = 1000
	for process := range 2 { // the second goes on beside the first one's files
		l := mustOpen(t, dir, Options{})
		for i := range each {
			mustAppend(t, l, testRecord(process*each+i))
		}
		mustClose(t, l)
		if got := l.Stats(); got.Written != each || got.Lost != 0 || got.Failing {
			t.Errorf("stats %+v", got)
		}
		r := testRecord(0)
		if err := l.Append(&r, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("Append after Close: %v", err)
		}
	}
	wantIndices(t, dir, 0, 2*each)
	names := mustNames(t, dir)
	if want := []string{"00000001-20261125T085107Z.jsonl", "00000002-20261125T085108Z.jsonl"}; !cmp.Equal(names, want) {
		t.Errorf("files %q, want %q", names, want)
	}
	info, err := os.Stat(filepath.Join(dir, names[0]))
	if err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
}

func TestOnlyOneWrites(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, dir, Options{})
	want := "truth " + dir + ": another process writes there: stop it, or name another directory"
	if _, err := Open(dir, Options{}); err == nil || err.Error() != want {
		t.Errorf("second Open: %v, want %s", err, want)
	}
	want = "truth x: max_bytes 5: must be at least 1048576"
	if _, err := Open("x", Options{MaxBytes: 5}); err == nil || err.Error() != want {
		t.Errorf("Open with 5 bytes: %v, want %s", err, want)
	}
}

// TestLogWithinBound writes eight times what the bound holds, over three
// processes: the newest records are there, without a gap.
func TestLogWithinBound(t *testing.T) {
	dir := t.TempDir()
	const each = 4000 // of about 700 bytes, with the packet
	for process := range 3 {
		l := mustOpen(t, dir, Options{MaxBytes: MinMaxBytes, Packets: true})
		for i := range each {
			mustAppend(t, l, testRecord(process*each+i))
		}
		mustClose(t, l)
	}
	var sum int64
	names := mustNames(t, dir)
	for _, name := range names {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	if sum > MinMaxBytes || sum < MinMaxBytes/2 || len(names) < 12 || len(names)%2 != 0 {
		t.Errorf("%d bytes in %d files, want at most %d, the half at least", sum, len(names), MinMaxBytes)
	}
	indices := mustIndices(t, dir)
	wantIndices(t, dir, int(indices[0]), 3*each)
}

func TestRotationByTime(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{MaxAge: time.Minute})
	begin := testRecord(0).Timestamp.Time
	var want []time.Duration
	for i, offset := range []time.Duration{
		0, 59 * time.Second, // one file
		60 * time.Second, 60*time.Second - time.Millisecond, // the next; a clock that is set a little does not go back
		-time.Hour, -time.Hour + time.Second, // set far: a file of its own
	} {
		r := testRecord(i)
		r.Timestamp.Time = begin.Add(offset)
		mustAppend(t, l, r)
		if i == 3 {
			offset = 60 * time.Second
		}
		want = append(want, offset)
	}
	mustClose(t, l)
	var got []time.Duration
	for r, err := range Read(dir) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r.Timestamp.Sub(begin))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("timestamps (-want +got):\n%s", diff)
	}
	names := []string{"00000001-20261125T085107Z.jsonl", "00000002-20261125T085207Z.jsonl", "00000003-20261125T075107Z.jsonl"}
	if diff := cmp.Diff(names, mustNames(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// TestFullDisk fills a small file system: that is said once, what is lost is
// counted, and once there is room the log goes on. No line is torn.
func TestFullDisk(t *testing.T) {
	labtest.RequireRoot(t)
	mount := t.TempDir()
	if err := unix.Mount("tmpfs", mount, "tmpfs", 0, "size=512k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(mount, 0); err != nil {
			t.Error(err)
		}
	})
	dir := filepath.Join(mount, "truth")
	ballast := filepath.Join(mount, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 300<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	l := mustOpen(t, dir, Options{Packets: true, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	l.mu.Lock()
	l.calm = time.Second
	l.mu.Unlock()
	n := 0
	appendUntil := func(done func(Stats) bool) {
		waitFor(t, func() bool {
			for range 100 {
				mustAppend(t, l, testRecord(n))
				n++
			}
			return done(l.Stats())
		})
	}
	appendUntil(func(s Stats) bool { return s.Failing && s.Lost > 1000 })
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	lost := l.Stats().Lost
	before := l.Stats().Written
	polls := 0
	waitFor(t, func() bool {
		if polls++; polls%200 == 1 { // few: there is not much room
			mustAppend(t, l, testRecord(n))
			n++
		}
		return l.Stats().Written > before && !l.Stats().Failing
	})
	mustClose(t, l)
	stats := l.Stats()
	if stats.Failing || stats.Written+stats.Lost != uint64(n) || stats.Lost < lost {
		t.Errorf("stats %+v of %d", stats, n)
	}
	if got := uint64(len(mustIndices(t, dir))); got != stats.Written {
		t.Errorf("%d records in the files, %d written", got, stats.Written)
	}
	if n := strings.Count(said.String(), "truth is not written"); n != 1 || strings.Count(said.String(), "truth is written again") != 1 {
		t.Errorf("said:\n%s", said.String())
	}
}

var testPacket = []byte{0x45, 0, 0, 20, 0, 0, 0, 0, 64, 59, 0, 0, 10, 77, 1, 5, 10, 77, 2, 2}

func mustOpen(tb testing.TB, dir string, o Options) *Log {
	tb.Helper()
	l, err := Open(dir, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	return l
}

func mustAppend(tb testing.TB, l *Log, r Record) {
	tb.Helper()
	if err := l.Append(&r, testPacket); err != nil {
		tb.Fatal(err)
	}
}

func mustClose(tb testing.TB, l *Log) {
	tb.Helper()
	if err := l.Close(); err != nil {
		tb.Fatal(err)
	}
}

func mustNames(tb testing.TB, dir string) []string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func mustIndices(tb testing.TB, dir string) []uint64 {
	tb.Helper()
	var indices []uint64
	for r, err := range Read(dir) {
		if err != nil {
			tb.Fatal(err)
		}
		indices = append(indices, r.Pacgan.Index)
	}
	return indices
}

// wantIndices wants the records from first up to end, in order.
func wantIndices(tb testing.TB, dir string, first, end int) {
	tb.Helper()
	var want []uint64
	for i := first; i < end; i++ {
		want = append(want, uint64(i))
	}
	if diff := cmp.Diff(want, mustIndices(tb, dir)); diff != "" {
		tb.Errorf("records (-want +got):\n%s", diff)
	}
}

// waitFor polls until done, for a minute at most.
func waitFor(tb testing.TB, done func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); {
		if time.Now().After(deadline) {
			tb.Fatal("not within a minute")
		}
		time.Sleep(time.Millisecond)
	}
}
