package appliance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"pacgan-appliance/internal/idslog"
	"pacgan-appliance/internal/score"
)

// startSensor has the lab's sensor watch from before the first packet on.
func (r *labRun) startSensor(ctx context.Context) error {
	if r.o.ids == "" {
		return nil
	}
	if err := r.o.clearTruth(r.state); err != nil {
		return err
	}
	ph := r.p.startPhase(r.o.ids, 1)
	if err := r.lab.StartIDS(ctx); err != nil {
		return err
	}
	ph.end("its engine has started; it writes " + r.lab.EVE())
	return nil
}

// truthFor is where the lab keeps the truth that a sensor is scored against,
// where nobody named a place.
func (o labOptions) truthFor(state string) string {
	if o.ids == "" || o.truth != "" {
		return o.truth
	}
	return filepath.Join(state, truthDir)
}

// clearTruth removes what an earlier run of the lab kept, and refuses a place
// that has other records: the sensor knows nothing of them, and they would be
// its misses.
func (o labOptions) clearTruth(state string) error {
	if o.truth == "" {
		return os.RemoveAll(o.truthFor(state))
	}
	entries, err := os.ReadDir(o.truth)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("--truth: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("--truth %s: is not empty, and a sensor is scored by all that is there: name a new directory", o.truth)
	}
	return nil
}

// scoreSensor ends the sensor and reads what it said of the injected packets,
// and how many frames it was too slow for; nil where none ran.
func (r *labRun) scoreSensor(ctx context.Context) (s *score.Score, lost uint64, err error) {
	if r.o.ids == "" {
		return nil, 0, nil
	}
	ph := r.p.startPhase("score", 1)
	if lost, err = r.lab.StopIDS(ctx); err != nil {
		return nil, 0, err
	}
	s, err = score.Run(ctx, score.Options{
		Truth:   r.o.truthFor(r.state),
		Sources: []score.Source{{Name: r.o.ids, Kind: idslog.Suricata, Paths: []string{r.lab.EVE()}}},
	})
	if err != nil {
		return nil, 0, err
	}
	ph.end(thousands(int(s.Truth.Records)) + " records of truth")
	return s, lost, nil
}

// printScore prints what the sensor made of the injected packets.
func printScore(w io.Writer, s *score.Score, lost uint64) error {
	if s == nil {
		return nil
	}
	fmt.Fprintln(w, "\nWhat the sensor made of the injected packets")
	if lost > 0 {
		fmt.Fprintf(w, "The sensor was too slow for %s frames and never saw them: what it missed is not all its rules' fault. Lower --rate.\n", thousands(lost))
	}
	return score.Write(w, s)
}
