package member

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/fleettest"
)

// gateway is the part of one that hands truth over.
type gateway struct {
	dir, kept string
	conn      *natsConn
	key       nkeys.KeyPair
	written   int // records
	file      string
	number    int
}

// mustHub runs a hub whose store and port can be had again.
func mustHub(tb testing.TB, dir string, port int) (*server.Server, jetstream.JetStream) {
	tb.Helper()
	s := fleettest.Server(tb, dir, port)
	c := mustConnect(tb, s.ClientURL(), "hub")
	must(tb, fleet.Setup(tb.Context(), c.js, fleet.Bounds{TruthBytes: 1 << 30, DataBytes: 1 << 28, ModelBytes: 1 << 28, Replicas: 1}, []string{"a"}))
	return s, c.js
}

func mustGateway(tb testing.TB, url string) *gateway {
	tb.Helper()
	g := &gateway{dir: filepath.Join(tb.TempDir(), "truth"), conn: mustConnect(tb, url, "a"), key: fleettest.Key(tb, "a")}
	must(tb, os.MkdirAll(g.dir, 0o755))
	g.kept = filepath.Join(tb.TempDir(), "cursor")
	g.rotate()
	return g
}

// rotate begins a further file.
func (g *gateway) rotate() {
	g.number++
	began := time.Date(2026, 1, 2, 3, 0, g.number, 0, time.UTC)
	g.file = filepath.Join(g.dir, fmt.Sprintf("%08d-%s.jsonl", g.number, began.Format("20060102T150405Z")))
}

// write appends text as a truth log does.
func (g *gateway) write(tb testing.TB, text string) {
	tb.Helper()
	f, err := os.OpenFile(g.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	must(tb, err)
	_, err = f.WriteString(text)
	must(tb, errors.Join(err, f.Close()))
}

func (g *gateway) records(tb testing.TB, n int) {
	tb.Helper()
	var b bytes.Buffer
	for range n {
		fmt.Fprintf(&b, `{"index":%d,"rest":"%0550d"}`+"\n", g.written, 0)
		g.written++
	}
	g.write(tb, b.String())
}

func (g *gateway) uploader() *Uploader {
	u := NewUploader(g.conn.Conn, g.conn.js, "a", g.key, g.dir, g.kept, slog.New(slog.DiscardHandler))
	u.look = 5 * time.Millisecond
	return u
}

// start runs a new uploader until stop.
func (g *gateway) start(tb testing.TB) (u *Uploader, stop func()) {
	tb.Helper()
	u = g.uploader()
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx) }()
	return u, func() {
		tb.Helper()
		cancel()
		must(tb, <-done)
	}
}

// arrived are the records that a hub has, in its order.
func arrived(tb testing.TB, js jetstream.JetStream) []int {
	tb.Helper()
	s, err := js.Stream(tb.Context(), fleet.TruthStream)
	must(tb, err)
	info, err := s.Info(tb.Context())
	must(tb, err)
	var out []int
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq && info.State.Msgs > 0; seq++ {
		m, err := s.GetMsg(tb.Context(), seq)
		must(tb, err)
		lines := bytes.SplitAfter(m.Data, []byte{'\n'})
		if last := lines[len(lines)-1]; len(last) > 0 {
			tb.Fatalf("message %d ends with half a line: %.80q", seq, last)
		}
		if want := strconv.Itoa(len(lines) - 1); m.Header.Get(fleet.RecordsHeader) != want || len(m.Data) > batchBytes {
			tb.Errorf("message %d: %d bytes, header %v, want %s records", seq, len(m.Data), m.Header, want)
		}
		for _, line := range lines[:len(lines)-1] {
			var n int
			if _, err := fmt.Sscanf(string(line), `{"index":%d`, &n); err != nil {
				tb.Fatalf("message %d: %.80q", seq, line)
			}
			out = append(out, n)
		}
	}
	return out
}

// mustArrive waits for as many records, and wants those from first on, each once and in order.
func mustArrive(tb testing.TB, js jetstream.JetStream, u *Uploader, first, want int) {
	tb.Helper()
	eventually(tb, fmt.Sprintf("spool %+v, want %d records there", u.Spool(), want), func() bool {
		s := u.Spool()
		return s.Bytes == 0 && count(tb, js) >= want
	})
	got := arrived(tb, js)
	if len(got) != want {
		tb.Errorf("%d records arrived, want %d", len(got), want)
	}
	for i, n := range got {
		if n != first+i {
			tb.Fatalf("record %d is the one of index %d, want %d", i, n, first+i)
		}
	}
}

// count is the number of records that a hub has, or -1 while it cannot be asked.
func count(tb testing.TB, js jetstream.JetStream) int {
	ctx, cancel := context.WithTimeout(tb.Context(), 5*time.Second)
	defer cancel()
	s, err := js.Stream(ctx, fleet.TruthStream)
	if err != nil {
		return -1
	}
	sum := 0
	state := s.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
		m, err := s.GetMsg(ctx, seq)
		if err != nil {
			return -1
		}
		sum += bytes.Count(m.Data, []byte{'\n'})
	}
	return sum
}

func TestUploadFollowsTheDirectory(t *testing.T) {
	s, js := mustHub(t, t.TempDir(), 0)
	g := mustGateway(t, s.ClientURL())
	g.records(t, 1200) // more than two batches
	u, stop := g.start(t)
	defer stop()
	mustArrive(t, js, u, 0, 1200)

	g.write(t, `{"index":1200,`) // torn for now
	eventually(t, "the half line is not seen", func() bool { return u.Spool().Bytes == int64(len(`{"index":1200,`)) })
	if n := count(t, js); n != 1200 {
		t.Errorf("%d records with half a line", n)
	}
	g.write(t, `"rest":""}`+"\n")
	g.written++
	mustArrive(t, js, u, 0, 1201)

	g.write(t, `{"torn by kill -9`)
	g.rotate()
	g.number++ // a number without a file
	g.rotate()
	g.records(t, 3)
	g.rotate()
	g.records(t, 700)
	mustArrive(t, js, u, 0, 1201+703)
	if s := u.Spool(); s.Sent != 1904 || s.Lost != 0 {
		t.Errorf("spool %+v", s)
	}
}

// TestUploadWhileTheHubIsAway: what is written meanwhile arrives once, in order, whenever the hub dies.
func TestUploadWhileTheHubIsAway(t *testing.T) {
	dir := t.TempDir()
	s, _ := mustHub(t, dir, 0)
	port := s.Addr().(*netTCPAddr).Port
	g := mustGateway(t, s.ClientURL())
	u, stop := g.start(t)
	defer stop()
	for round := range 3 {
		g.records(t, 5000)
		eventually(t, "nothing is sent", func() bool { return u.Spool().Sent > uint64(round*7000) })
		s.Shutdown() // in the middle of it
		s.WaitForShutdown()
		g.records(t, 1000)
		g.rotate()
		g.records(t, 1000)
		s, _ = mustHub(t, dir, port)
	}
	js := mustConnect(t, s.ClientURL(), "reader").js
	mustArrive(t, js, u, 0, 3*7000)
}

// TestUploadKilled: an uploader that is stopped at any moment and begun anew sends nothing twice, whatever has become of
// the cursor that it keeps.
func TestUploadKilled(t *testing.T) {
	s, js := mustHub(t, t.TempDir(), 0)
	g := mustGateway(t, s.ClientURL())
	g.records(t, 1)
	u, stop := g.start(t)
	mustArrive(t, js, u, 0, 1)
	stop()
	stale, err := os.ReadFile(g.kept)
	must(t, err)
	for i := range 12 {
		g.records(t, 3000)
		if i%4 == 3 {
			g.rotate()
		}
		u, stop := g.start(t)
		eventually(t, "nothing is sent", func() bool { return u.Spool().Sent > uint64(i%3*500) })
		stop()
		switch i % 3 {
		case 0:
			must(t, os.Remove(g.kept))
		case 1:
			must(t, os.WriteFile(g.kept, stale, 0o644))
		case 2:
			must(t, os.WriteFile(g.kept, []byte("nonsense"), 0o644))
		}
	}
	u, stop = g.start(t)
	defer stop()
	mustArrive(t, js, u, 0, 36_001)
}

// TestUploadInDoubt: of two that send the same in one name, as a gateway does that has not heard the hub's answer, the hub
// takes each record of one.
func TestUploadInDoubt(t *testing.T) {
	s, js := mustHub(t, t.TempDir(), 0)
	g := mustGateway(t, s.ClientURL())
	g.records(t, 20_000)
	one, stopOne := g.start(t)
	defer stopOne()
	g.kept += "2"
	_, stopTwo := g.start(t)
	defer stopTwo()
	mustArrive(t, js, one, 0, 20_000)
}

// TestUploadCursorOfItsOwn: a hub that has no message of ours gets what follows the cursor that is kept here.
func TestUploadCursorOfItsOwn(t *testing.T) {
	s, js := mustHub(t, t.TempDir(), 0)
	g := mustGateway(t, s.ClientURL())
	g.records(t, 100)
	u, stop := g.start(t)
	mustArrive(t, js, u, 0, 100)
	stop()
	stream, err := js.Stream(t.Context(), fleet.TruthStream)
	must(t, err)
	must(t, stream.Purge(t.Context()))
	g.records(t, 50)
	u, stop = g.start(t)
	defer stop()
	mustArrive(t, js, u, 100, 50)
}

// TestUploadOfANewDirectory: a truth directory that was removed begins with the first number again.
func TestUploadOfANewDirectory(t *testing.T) {
	s, js := mustHub(t, t.TempDir(), 0)
	g := mustGateway(t, s.ClientURL())
	for range 5 {
		g.records(t, 10)
		g.rotate()
	}
	u, stop := g.start(t)
	mustArrive(t, js, u, 0, 50)
	stop()
	must(t, os.RemoveAll(g.dir))
	must(t, os.MkdirAll(g.dir, 0o755))
	for i := range 7 {
		g.file = filepath.Join(g.dir, fmt.Sprintf("%08d-20260103T00000%dZ.jsonl", i+1, i))
		g.records(t, 10)
	}
	u, stop = g.start(t)
	defer stop()
	mustArrive(t, js, u, 0, 120)
}

// TestUploadEvicted: what is removed before the hub had it is counted in bytes, once, and the rest arrives. What was
// open already is no loss.
func TestUploadEvicted(t *testing.T) {
	g := &gateway{dir: t.TempDir(), kept: filepath.Join(t.TempDir(), "cursor")}
	sp := spool{dir: g.dir}
	var names []string
	for range 5 {
		g.rotate()
		g.records(t, 10)
		names = append(names, g.file)
	}
	size := func(i int) int64 {
		info, err := os.Stat(names[i])
		must(t, err)
		return info.Size()
	}
	must(t, sp.look())
	b, err := sp.next(1000) // one line of the first
	must(t, err)
	sp.sent(b)
	if b.records != 1 {
		t.Fatalf("%d records", b.records)
	}
	want := size(1) + size(2)
	for _, name := range names[:3] {
		must(t, os.Remove(name))
	}
	got := 1
	for range 2 {
		must(t, sp.look())
		if sp.lost != want {
			t.Errorf("lost %d bytes, want %d", sp.lost, want)
		}
	}
	for {
		b, err := sp.next(batchBytes)
		must(t, err)
		if b.records == 0 {
			break
		}
		got += b.records
		sp.sent(b)
	}
	if got != 10+20 {
		t.Errorf("%d records were read, want 30", got)
	}
	must(t, os.Remove(names[3])) // was sent
	must(t, sp.look())
	if sp.lost != want || sp.bytes() != 0 {
		t.Errorf("lost %d, left %d", sp.lost, sp.bytes())
	}
	sp.close()

	sp = spool{dir: g.dir} // the look is older than the removal
	must(t, sp.look())
	want = size(4)
	must(t, os.Remove(names[4]))
	g.rotate()
	g.records(t, 1)
	if b, err := sp.next(batchBytes); err != nil || b.records != 0 {
		t.Errorf("%d records of a file that is gone, %v", b.records, err)
	}
	must(t, sp.look())
	b, err = sp.next(batchBytes)
	if err != nil || b.records != 1 || sp.lost != want {
		t.Errorf("%d records, %d bytes lost, want 1 and %d; %v", b.records, sp.lost, want, err)
	}
	sp.close()
}

// BenchmarkUpload is a backlog that is handed over to a hub that syncs each message.
func BenchmarkUpload(b *testing.B) {
	s, js := mustHub(b, b.TempDir(), 0)
	g := mustGateway(b, s.ClientURL())
	const backlog = 100_000
	for range backlog / 10_000 {
		g.records(b, 10_000)
		g.rotate()
	}
	b.ReportAllocs()
	total := 0
	for b.Loop() {
		stream, err := js.Stream(b.Context(), fleet.TruthStream)
		must(b, err)
		must(b, stream.Purge(b.Context()))
		_ = os.Remove(g.kept)
		u, stop := g.start(b)
		eventually(b, "not sent", func() bool { return u.Spool().Sent == backlog })
		stop()
		total += backlog
	}
	b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "records/s")
}
