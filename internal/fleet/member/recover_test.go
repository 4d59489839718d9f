package member

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/fleettest"
)

// said is a log that tests read.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) count(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.text.String(), what)
}

// TestUploadBehindOthers: whatever others have the hub write in a gateway's name, its records are there once, in order, and
// it goes on, also where it was killed and what it keeps is old or lost.
func TestUploadBehindOthers(t *testing.T) {
	s, js := mustHub(t, t.TempDir(), 0)
	g := mustGateway(t, s.ClientURL())
	public := fleettest.Public(t, "a")
	stream, err := js.Stream(t.Context(), fleet.TruthStream)
	must(t, err)
	forge := map[string]func(){
		"junk": func() {
			_, err := js.Publish(t.Context(), fleet.TruthSubject("a"), []byte("junk"))
			must(t, err)
		},
		"signed by another": func() {
			m, err := fleet.NewBatch(fleettest.Key(t, "b"), "a", fleet.Batch{Cursor: "00000001-20260102T030001Z.jsonl:0", Records: 1}, []byte("{}\n"))
			must(t, err)
			_, err = js.PublishMsg(t.Context(), m)
			must(t, err)
		},
		"the first batch again": func() {
			first, err := stream.GetMsg(t.Context(), 1)
			must(t, err)
			first.Header.Del(jetstream.ExpectedLastSubjSeqHeader) // with it, the hub itself does not take it
			_, err = js.PublishMsg(t.Context(), &nats.Msg{Subject: first.Subject, Header: first.Header, Data: first.Data})
			must(t, err)
		},
	}
	var want uint64
	arrive := func(t *testing.T, u *Uploader) {
		t.Helper()
		var got bytes.Buffer
		eventually(t, "not all arrives", func() bool {
			got.Reset()
			_, err := fleet.ExportTruth(t.Context(), js, public, "a", &got)
			return err == nil && bytes.Count(got.Bytes(), []byte{'\n'}) >= g.written && u.Spool().Bytes == 0
		})
		disk, err := os.ReadFile(g.file)
		must(t, err)
		if !bytes.Equal(disk, got.Bytes()) {
			t.Fatalf("the hub has %d records, the gateway %d, or others", bytes.Count(got.Bytes(), []byte{'\n'}), g.written)
		}
	}
	g.records(t, 1200)
	u, stop := g.start(t)
	arrive(t, u)
	stop()
	stale, err := os.ReadFile(g.kept)
	must(t, err)
	for name, write := range forge {
		t.Run(name, func(t *testing.T) {
			log := &said{}
			u := g.uploader()
			u.log = slog.New(slog.NewTextHandler(log, nil))
			stop := background(t, u.Run)
			for range 3 { // in mid-run
				g.records(t, 700)
				arrive(t, u)
				write()
				want++
			}
			g.records(t, 700)
			arrive(t, u)
			stop()
			if n := log.count("others write truth in this gateway's name"); n != 1 || log.count("level=WARN") > 0 {
				t.Errorf("said %d times:\n%s", n, &log.text)
			}
			for _, kept := range []string{string(stale), "", "nonsense"} { // killed, and others wrote since
				write()
				want++
				must(t, os.WriteFile(g.kept, []byte(kept), 0o644))
				g.records(t, 10)
				u, stop := g.start(t)
				arrive(t, u)
				stop()
			}
		})
	}
	done, err := fleet.ExportTruth(t.Context(), js, public, "a", &bytes.Buffer{})
	if err != nil || done.Foreign != want {
		t.Errorf("%d messages are counted as others', want %d; %v", done.Foreign, want, err)
	}
}
