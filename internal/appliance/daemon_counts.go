package appliance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pacgan-appliance/internal/verify"
)

// countsFile is where, in the state directory, the counts outlive the daemon;
// a damaged one is kept beside it under damagedSuffix.
const (
	countsFile    = "counters.json"
	damagedSuffix = ".damaged"
	countsFormat  = 1 // of the file
)

// countsInterval is how often the counts are saved, beside at the end. A daemon
// that is killed loses what it counted since: at most this long. Its counts
// then fall, which Prometheus takes for a start from 0.
const countsInterval = time.Minute

// countsRetry is how soon they are tried again that the disk did not take.
const countsRetry = time.Second

// originNames are the origins in the file.
var originNames = [allOrigins]string{fromModel: "model", fromCapture: "control", fromCanary: "canary"}

// countsKey is whose counts they are.
type countsKey struct {
	origin origin
	label  string
}

// pastCounts are the counts of all daemons before this one.
type pastCounts struct {
	since time.Time // from when they grow
	of    map[countsKey]labelCounts
}

// savedCounts is the file's content.
type savedCounts struct {
	Format int          `json:"format"`
	Since  time.Time    `json:"since"`
	Saved  time.Time    `json:"saved"`
	Counts []savedLabel `json:"counts"`
}

// savedLabel are the counts of one label's packets of one origin.
type savedLabel struct {
	Label  string `json:"label"`
	Origin string `json:"origin"`
	Counts
	RTT verify.Histogram `json:"rtt"`
}

// settled has expired what had no end yet: nobody will see its reply.
func (c Counts) settled() Counts {
	c.Inflight = 0
	if ends := c.accounted(); ends < c.Generated {
		c.Expired += c.Generated - ends
	}
	return c
}

// withPast adds what earlier daemons counted to this one's counts, by slot.
func (s *service) withPast(counts []labelCounts) {
	for slot := range counts {
		c := &counts[slot]
		if past, ok := s.past.of[countsKey{origin(slot % int(allOrigins)), c.name}]; ok {
			c.add(past.Counts)
			c.rtt.Merge(&past.rtt)
		}
	}
}

// saveCounts writes the counts down as a later daemon goes on from them.
func (s *service) saveCounts() error {
	t, err := s.counts()
	if err != nil {
		return fmt.Errorf("save the counts: %w", err)
	}
	out := savedCounts{Format: countsFormat, Since: s.past.since, Saved: time.Now().UTC()}
	for o, labels := range t {
		for _, c := range labels {
			out.Counts = append(out.Counts, savedLabel{c.name, originNames[o], c.settled(), c.rtt})
		}
	}
	if err := writeJSON(filepath.Join(s.cfg.Load().State.Dir, countsFile), out); err != nil {
		return fmt.Errorf("save the counts: %w", err)
	}
	return nil
}

// keepCounts saves the counts while the daemon runs. A disk that takes them
// not is said once, and costs nothing else.
func (s *service) keepCounts(ctx context.Context, ready func()) error {
	uncounted := false
	for next := time.Duration(0); wait(ctx, next); {
		s.counted.beat()
		err := s.saveCounts()
		ready()
		failed := err != nil
		switch {
		case failed && !uncounted:
			s.log.Warn("a restart would lose what is counted from now on: see to the disk", "error", err)
		case uncounted && !failed:
			s.log.Info("the counts are saved again")
		}
		uncounted, next = failed, countsInterval
		if failed {
			next = countsRetry
		}
	}
	return nil
}

// lastCounts saves the counts at the end of the daemon, when no packet moves
// any more and all of them must add up.
func (s *service) lastCounts() error {
	counts, err := s.wire.passingCounts()
	if err != nil {
		return err
	}
	return errors.Join(checkIdentity(counts), s.saveCounts())
}

// loadCounts takes up the counts of the daemons before this one. A file that
// cannot be understood is kept aside, and the counts begin at 0.
func (s *service) loadCounts() error {
	cfg := s.cfg.Load()
	path := filepath.Join(cfg.State.Dir, countsFile)
	s.past = pastCounts{since: s.started}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	past, err := parseCounts(text)
	if err != nil {
		s.log.Error("the counts begin at 0: the file of them is damaged and kept aside", "file", path+damagedSuffix, "error", err)
		return os.Rename(path, path+damagedSuffix)
	}
	var dropped []string
	for key := range past.of {
		if !slices.Contains(labelNames(*cfg), key.label) { // else names would gather for ever
			delete(past.of, key)
			dropped = append(dropped, key.label)
		}
	}
	if len(dropped) > 0 {
		slices.Sort(dropped)
		s.log.Warn("the counts of labels that the config lacks are dropped", "labels", strings.Join(slices.Compact(dropped), ", "))
	}
	s.past = past
	return nil
}

// parseCounts reads the file, and checks that every packet in it has its end.
func parseCounts(text []byte) (pastCounts, error) {
	var saved savedCounts
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&saved); err != nil {
		return pastCounts{}, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return pastCounts{}, errors.New("something follows the counts")
	}
	if saved.Format != countsFormat {
		return pastCounts{}, fmt.Errorf("format %d, this version reads %d", saved.Format, countsFormat)
	}
	past := pastCounts{saved.Since, map[countsKey]labelCounts{}}
	for _, l := range saved.Counts {
		o := slices.Index(originNames[:], l.Origin)
		if o < 0 {
			return pastCounts{}, fmt.Errorf("label %q: unknown origin %q", l.Label, l.Origin)
		}
		key := countsKey{origin(o), l.Label}
		if _, twice := past.of[key]; twice {
			return pastCounts{}, fmt.Errorf("label %q: counts of origin %s twice", l.Label, l.Origin)
		}
		if got := l.accounted(); got != l.Generated || l.Inflight != 0 {
			return pastCounts{}, fmt.Errorf("label %q: %d packets generated and %d accounted for, %d in flight", l.Label, l.Generated, got, l.Inflight)
		}
		past.of[key] = labelCounts{Counts: l.Counts, name: l.Label, rtt: l.RTT}
	}
	return past, nil
}
