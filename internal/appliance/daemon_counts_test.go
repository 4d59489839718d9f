package appliance

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/truth"
)

// atRest pauses the daemon and waits until every packet has its end. What
// was counted until then is exact.
func (d *running) atRest(t *testing.T) Status {
	t.Helper()
	if got := d.do(t, "pause"); got.Code != ExitDone {
		t.Fatalf("pause: %+v", got)
	}
	eventually(t, "packets stay in flight", func() bool { return d.status(t).All.Inflight == 0 })
	s := d.status(t)
	for _, l := range append(s.Labels, s.All) {
		if got := l.accounted(); got != l.Generated {
			t.Errorf("label %q: %d generated, %d accounted for", l.Label, l.Generated, got)
		}
	}
	return s
}

func mustSaved(t *testing.T, d *running) map[countsKey]labelCounts {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(d.cfg.State.Dir, countsFile))
	must(t, err)
	saved, err := parseCounts(text)
	must(t, err)
	return saved.of
}

func (d *running) kill(t *testing.T) {
	t.Helper()
	must(t, d.cmd.Process.Signal(syscall.SIGKILL))
	d.ended = true
	if err := d.cmd.Wait(); err == nil {
		t.Error("killed, and no error")
	}
	eventually(t, "the keeper does not clean up", func() bool {
		_, err := os.Stat("/sys/class/net/inj0")
		return err != nil
	})
}

// TestCountsOutliveTheDaemon restarts it at rest, in the middle of packets and
// conversations, and after kill -9: the counts go on, and each packet of every
// daemon is in exactly one of them.
func TestCountsOutliveTheDaemon(t *testing.T) {
	d := mustDaemon(t, nil)
	d.train(t)
	first := d.atRest(t)
	if !first.CountsSince.Equal(first.Started) {
		t.Errorf("counts since %v, started %v", first.CountsSince, first.Started)
	}
	d.stop(t)
	mustMatchTruth(t, filepath.Join(d.cfg.State.Dir, truthDir), d.allOrigins(t))
	d.start(t)
	second := d.atRest(t)
	if diff := cmp.Diff(first.Labels, second.Labels); diff != "" {
		t.Errorf("after an orderly end (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(first.All, second.All); diff != "" {
		t.Errorf("all, after an orderly end (-before +after):\n%s", diff)
	}
	if !second.CountsSince.Equal(first.CountsSince) || !second.Started.After(first.Started) {
		t.Errorf("counts since %v, before %v", second.CountsSince, first.CountsSince)
	}

	d.mustDo(t, "resumed", "resume")
	eventually(t, "no conversation is open", func() bool {
		s := d.status(t)
		return s.Labels[2].Inflight > 0 && s.All.Answered > second.All.Answered+100
	})
	d.stop(t)
	saved := mustSaved(t, d)
	must(t, writeMark(filepath.Join(d.cfg.State.Dir, pausedFile))) // so that nothing is added
	d.start(t)
	third := d.atRest(t)
	for _, l := range third.Labels {
		if diff := cmp.Diff(saved[countsKey{fromModel, l.Label}].Counts, l.Counts); diff != "" {
			t.Errorf("label %s, stopped in full swing (-saved +after):\n%s", l.Label, diff)
		}
	}
	if third.All.Answered <= second.All.Answered+100 {
		t.Errorf("%d answered, %d before the daemon injected", third.All.Answered, second.All.Answered)
	}

	d.mustDo(t, "resumed", "resume")
	eventually(t, "no packet is answered", func() bool { return d.status(t).All.Answered > third.All.Answered+100 })
	d.kill(t)
	saved = mustSaved(t, d)
	must(t, writeMark(filepath.Join(d.cfg.State.Dir, pausedFile)))
	d.start(t)
	fourth := d.atRest(t)
	for i, l := range fourth.Labels {
		if diff := cmp.Diff(saved[countsKey{fromModel, l.Label}].Counts, l.Counts); diff != "" {
			t.Errorf("label %s, killed (-saved +after):\n%s", l.Label, diff)
		}
		if l.Generated < third.Labels[i].Generated {
			t.Errorf("label %s: %d generated, %d before the last start", l.Label, l.Generated, third.Labels[i].Generated)
		}
	}
	d.mustDo(t, "resumed", "resume")
	eventually(t, "no packet is answered after the kill", func() bool { return d.status(t).All.Answered > fourth.All.Answered+100 })
	d.atRest(t)
	d.stop(t)
	d.checkTruthAfterKill(t)
}

// allOrigins are the saved counts of each label, of whatever origin.
func (d *running) allOrigins(t *testing.T) []labelCounts {
	t.Helper()
	saved := mustSaved(t, d)
	counts := make([]labelCounts, len(d.cfg.Labels))
	for i, l := range d.cfg.Labels {
		counts[i].name = l.Name
		for o := range allOrigins {
			counts[i].add(saved[countsKey{o, l.Name}].Counts)
		}
	}
	return counts
}

// checkTruthAfterKill reads the records of all daemons, one of which was killed:
// there is no other damage than a torn line, and no verdict is missing but of
// packets that a daemon's end left under way.
func (d *running) checkTruthAfterKill(t *testing.T) {
	t.Helper()
	answered, stopped := 0, 0
	for r, err := range truth.Read(filepath.Join(d.cfg.State.Dir, truthDir)) {
		switch {
		case errors.Is(err, truth.ErrTorn):
		case err != nil:
			t.Error(err)
		case r.Pacgan.Verdict == truth.Answered:
			answered++
		case r.Pacgan.Verdict == truth.Unknown:
			stopped++
			if r.Pacgan.Reason != truth.ReasonStopped {
				t.Errorf("record %+v", r.Pacgan)
			}
		}
	}
	if answered < 200 || stopped > answered {
		t.Errorf("%d records of answered packets, %d of unknown ends", answered, stopped)
	}
}

// goodCounts is a file of two labels.
const goodCounts = `{"format":1,"since":"2026-01-02T03:04:05Z","saved":"2026-01-03T03:04:05Z","counts":[
{"label":"dns","origin":"model","generated":10,"answered":7,"rejected":{"nxdomain":1},"expired":2,"rtt":{"100":7}},
{"label":"gone","origin":"control","generated":1,"answered":1}]}`

// TestLoadCounts takes up a file, or begins at 0 and keeps what is damaged.
func TestLoadCounts(t *testing.T) {
	replaced := func(old, with string) string { return strings.Replace(goodCounts, old, with, 1) }
	tests := []struct{ name, file, fault string }{
		{"good", goodCounts, ""},
		{"torn", goodCounts[:100], "unexpected EOF"},
		{"empty", "", "EOF"},
		{"more", goodCounts + "{}", "something follows the counts"},
		{"format", replaced(`"format":1`, `"format":2`), "format 2, this version reads 1"},
		{"a digit", replaced(`"generated":10`, `"generated":11`), `label \"dns\": 11 packets generated and 10 accounted for, 0 in flight`},
		{"in flight", replaced(`"expired":2`, `"inflight":2`), `label \"dns\": 10 packets generated and 10 accounted for, 2 in flight`},
		{"origin", replaced("control", "moon"), `label \"gone\": unknown origin \"moon\"`},
		{"twice", replaced(`"label":"gone","origin":"control"`, `"label":"dns","origin":"model"`), `label \"dns\": counts of origin model twice`},
		{"bin", replaced(`"100":7`, `"9999":7`), "verify: round-trip times in bin 9999 of "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := mustWrite(t, filepath.Join(dir, countsFile), tt.file)
			var log bytes.Buffer
			s := &service{started: time.Unix(1e9, 0), log: slog.New(slog.NewTextHandler(&log, nil))}
			s.cfg.Store(&config.Config{State: config.State{Dir: dir}, Labels: []config.Label{{Name: "dns"}}})
			must(t, s.loadCounts())
			if tt.fault == "" {
				past := s.past.of[countsKey{fromModel, "dns"}]
				if len(s.past.of) != 1 || past.Answered != 7 || past.rtt.Count() != 7 || s.past.since.Year() != 2026 {
					t.Errorf("taken up: %+v", s.past)
				}
				if !strings.Contains(log.String(), `msg="the counts of labels that the config lacks are dropped" labels=gone`) {
					t.Errorf("log: %s", &log)
				}
				return
			}
			kept, err := os.ReadFile(path + damagedSuffix)
			must(t, err)
			if string(kept) != tt.file || len(s.past.of) > 0 || !s.past.since.Equal(s.started) {
				t.Errorf("%q is kept, counts %+v", kept, s.past)
			}
			if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), tt.fault) || !strings.Contains(log.String(), path+damagedSuffix) {
				t.Errorf("log: %s, want %s", &log, tt.fault)
			}
		})
	}
}

// TestSettled: what has no end yet expires, and a fault of the counts stays to be seen.
func TestSettled(t *testing.T) {
	for _, tt := range []struct {
		name       string
		give, want Counts
	}{
		{"at rest", Counts{Generated: 3, Answered: 3}, Counts{Generated: 3, Answered: 3}},
		{"in flight", Counts{Generated: 5, Answered: 3, Expired: 1, Inflight: 1}, Counts{Generated: 5, Answered: 3, Expired: 2}},
		{"on its way", Counts{Generated: 6, Answered: 3, Inflight: 1}, Counts{Generated: 6, Answered: 3, Expired: 3}},
		{"fault", Counts{Generated: 3, Answered: 4}, Counts{Generated: 3, Answered: 4}},
	} {
		if diff := cmp.Diff(tt.want, tt.give.settled()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
