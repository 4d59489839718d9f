package score

import (
	"os"
	"strconv"
	"testing"
	"time"

	"pacgan-appliance/internal/idslog"
)

// largeWorld has a tenth as many alerts as flows.
func largeWorld(flows int) world {
	return world{flows: flows, labels: 10, clients: 200, ports: 20_000, gap: 5 * time.Millisecond, foreign: flows / 100, alerted: 0.06}
}

// BenchmarkRun scores 100,000 flows, or as many as PACGAN_SCORE_FLOWS says.
func BenchmarkRun(b *testing.B) {
	n := 100_000
	if text := os.Getenv("PACGAN_SCORE_FLOWS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	m := largeWorld(n).make(b, 1)
	for b.Loop() {
		if _, err := Run(b.Context(), Options{Truth: m.truth, Sources: []Source{{Name: "suricata", Kind: idslog.Suricata, Paths: []string{m.eve}}}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/flow")
}

// TestWriteLargeWorld writes a world of PACGAN_SCORE_FLOWS flows to the directory PACGAN_SCORE_DIR, for measuring the
// command on it.
func TestWriteLargeWorld(t *testing.T) {
	dir := os.Getenv("PACGAN_SCORE_DIR")
	if dir == "" {
		t.Skip("PACGAN_SCORE_DIR is not set")
	}
	n, err := strconv.Atoi(os.Getenv("PACGAN_SCORE_FLOWS"))
	if err != nil {
		t.Fatal(err)
	}
	largeWorld(n).makeIn(t, dir, 1)
}
