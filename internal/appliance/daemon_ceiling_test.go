package appliance

import (
	"path/filepath"
	"regexp"
	"testing"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/truth"
)

// ceilings are the decided packets of each label's ceiling, and the answered.
func ceilings(s Status) (decided, answered []uint64) {
	for _, l := range s.Labels {
		if l.Ceiling == nil {
			return nil, nil
		}
		decided, answered = append(decided, l.Ceiling.Decided), append(answered, l.Ceiling.Answered)
	}
	return decided, answered
}

// TestCeiling injects captured packets between generated ones: they are
// counted apart, and answered as long as the servers answer.
func TestCeiling(t *testing.T) {
	withoutRace(t)
	d := mustDaemon(t, nil)
	d.train(t)
	var first Status // the new model's trial had controls of its own
	var before []uint64
	eventually(t, "no label has a ceiling", func() bool {
		first = d.status(t)
		before, _ = ceilings(first)
		return before != nil
	})
	eventually(t, "no control is injected", func() bool {
		decided, _ := ceilings(d.status(t))
		return len(decided) == 3 && min(decided[0]-before[0], decided[1]-before[1], decided[2]-before[2]) >= 5
	})
	s := d.status(t)
	decided, answered := ceilings(s)
	for i, l := range s.Labels {
		if answered[i] != decided[i] || l.Ceiling.Low >= 1 || l.Ceiling.Rate != 1 {
			t.Errorf("label %s: ceiling %+v", l.Label, l.Ceiling)
		}
		generated, controls := l.Generated-first.Labels[i].Generated, l.Ceiling.Generated-first.Labels[i].Ceiling.Generated
		if generated < 50*controls {
			t.Errorf("label %s: %d controls to %d generated packets: more than a hundredth", l.Label, controls, generated)
		}
	}
	must(t, d.network.StopServers(t.Context()))
	eventually(t, "a dead network does not show in the ceiling", func() bool {
		now, left := ceilings(d.status(t))
		return now[0]-left[0] > 5 && now[1]-left[1] > 5 && now[2]-left[2] > 5
	})
	d.mustDo(t, "paused: nothing is injected until resume", "pause")
	eventually(t, "packets stay in flight", func() bool {
		all := d.status(t).All
		return all.Inflight == 0 && all.Ceiling.Decided == all.Ceiling.Generated
	})
	for _, l := range d.status(t).Labels {
		if l.accounted() != l.Generated {
			t.Errorf("label %s: %d generated, %d accounted for", l.Label, l.Generated, l.accounted())
		}
	}
	if table := d.do(t, "status").Stdout; !regexp.MustCompile(`ceiling +rejected.*\n +ping .* % of [0-9]+ `).MatchString(table) {
		t.Errorf("status does not show the ceiling:\n%s", table)
	}
	d.stop(t)
	captured := map[string]uint64{}
	for _, r := range mustMatchTruth(t, filepath.Join(d.cfg.State.Dir, truthDir), d.allOrigins(t)) {
		if r.Pacgan.Source == truth.SourceCapture {
			captured[r.Pacgan.Label]++
		}
	}
	for i, n := range decided {
		if label := s.Labels[i].Label; captured[label] < n {
			t.Errorf("label %s: %d records of captured packets, %d were injected before the servers died", label, captured[label], n)
		}
	}
}

// TestReplay injects nothing but captured packets. None of them is counted as
// generated, and nothing is trained.
func TestReplay(t *testing.T) {
	d := mustDaemon(t, func(c *config.Config) { c.Inject.Source = config.SourceCapture })
	if s := d.status(t); s.State != stateCapturing || s.Line != "capturing: waits for packets of every label to inject" {
		t.Errorf("first status: %s: %s", s.State, s.Line)
	}
	for _, label := range lab.Labels() {
		must(t, d.network.Traffic(t.Context(), label, 400, nil))
	}
	eventually(t, "no captured packet is answered", func() bool {
		_, answered := ceilings(d.status(t))
		return len(answered) == 3 && min(answered[0], answered[1], answered[2]) > 100
	})
	s := d.status(t)
	if s.All.Ceiling.Rate < 0.99 || s.State != stateInjecting || !regexp.MustCompile(`^injecting captured packets 500/s, [0-9.]+ % answered \([0-9,]+ of [0-9,]+\)$`).MatchString(s.Line) {
		t.Errorf("status: %s: %s", s.State, s.Line)
	}
	if s.All.Generated != 0 || s.Model != nil || s.Training != nil {
		t.Errorf("packets were generated, or a model trained: %+v", s)
	}
	d.write(t, func(c *config.Config) { c.Labels[0].Share = 2 })
	d.mustDo(t, "reloaded; changed: label ping (share)", "reload")
	before, _ := ceilings(s)
	eventually(t, "the reload ended the injection", func() bool {
		now, _ := ceilings(d.status(t))
		return now[0] > before[0]+100
	})
	d.stop(t)
	d.start(t) // with what is stored
	before, _ = ceilings(d.status(t))
	eventually(t, "no captured packet is injected after a restart", func() bool {
		now, _ := ceilings(d.status(t))
		return now[0] > before[0]
	})
}
