package appliance

import (
	"testing"
	"time"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/packet"
)

// tallyOf has packets of one label: decided and answered ones of the model,
// and of captured packets.
func tallyOf(decided, answered, controls, answeredControls uint64) tally {
	count := func(decided, answered uint64) []labelCounts {
		return []labelCounts{{name: "dns", Counts: Counts{Generated: decided, Answered: answered, Expired: decided - answered}}}
	}
	var t tally
	t[fromModel], t[fromCapture] = count(decided, answered), count(controls, answeredControls)
	return t
}

// TestDriftWatch: 990 of 1000 packets are answered in a good window, 500 in a
// bad one.
func TestDriftWatch(t *testing.T) {
	own := &model.Judgement{Canary: &model.Canary{Labels: []model.CanaryLabel{{Label: "dns", Model: outcomeOf(200, share(198, 200))}}}}
	const reason = "dns: 50.0 % of 1,000 packets answered, 99.0 % when the model was tried"
	type window struct{ decided, answered, controls, answeredControls uint64 }
	good, bad := window{1000, 990, 10, 10}, window{1000, 500, 10, 10}
	tests := []struct {
		name    string
		windows []window
		want    string
	}{
		{"as good as it was", []window{good, good, good}, ""},
		{"one bad window", []window{good, bad}, ""},
		{"not in a row", []window{bad, good, bad}, ""},
		{"two in a row", []window{good, bad, bad}, reason},
		{"paused between them", []window{bad, {}, bad}, reason},
		{"over", []window{bad, bad, good}, ""},
		{"a dead network", []window{{1000, 0, 10, 0}, {1000, 0, 10, 0}}, ""},
		{"no controls", []window{{1000, 500, 0, 0}, {1000, 500, 0, 0}}, reason},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var d driftWatch
			var sum window
			now := time.Unix(1e6, 0)
			look := func() {
				d.look(now, "m1", own, tallyOf(sum.decided, sum.answered, sum.controls, sum.answeredControls), shifted{})
			}
			look()
			for _, w := range tt.windows {
				sum = window{sum.decided + w.decided, sum.answered + w.answered, sum.controls + w.controls, sum.answeredControls + w.answeredControls}
				now = now.Add(driftWindow)
				look()
			}
			if d.reason != tt.want || d.due(now) != (tt.want != "") {
				t.Errorf("reason %q, due %v; want %q", d.reason, d.due(now), tt.want)
			}
			d.look(now, "m2", own, tally{}, shifted{})
			if d.reason != "" || d.due(now) {
				t.Errorf("another model inherits %q", d.reason)
			}
		})
	}
}

// TestDriftBackoff doubles the time between two trainings, up to a day.
func TestDriftBackoff(t *testing.T) {
	d := driftWatch{reason: "worse"}
	now := time.Unix(1e6, 0)
	for _, hours := range []time.Duration{1, 2, 4, 8, 16, 24, 24} {
		d.trained(now)
		if d.due(now.Add(hours*time.Hour-1)) || !d.due(now.Add(hours*time.Hour)) {
			t.Errorf("not held back for %d h but until %v", hours, d.next.Sub(now))
		}
		now = d.next
	}
}

// TestDriftOfCaptures is due at the end of the window in which captures have
// shifted, whatever is answered, and learns from what has been captured since.
func TestDriftOfCaptures(t *testing.T) {
	now := time.Unix(1e6, 0)
	until := now.Add(-time.Hour)
	var d driftWatch
	d.look(now, "m1", nil, tally{}, shifted{"dns: field qname", until})
	if d.due(now) {
		t.Error("due before a window has passed")
	}
	now = now.Add(driftWindow)
	d.look(now, "m1", nil, tally{}, shifted{"dns: field qname", until})
	if !d.due(now) || d.reason != "dns: field qname" || !d.since.Equal(until) {
		t.Errorf("got %+v", d)
	}
	d.trained(now)
	now = now.Add(driftWindow)
	d.look(now, "m1", nil, tally{}, shifted{"dns: field qname", until}) // the new model was kept aside
	if d.due(now) || !d.due(now.Add(driftBackoff)) {
		t.Error("not held back after a training")
	}
}

// TestShift compares stored packets on both sides of a training.
func TestShift(t *testing.T) {
	store, err := dataset.Open(dataset.Options{Dir: t.TempDir(), Labels: []string{"dns"}, MaxBytes: 1 << 22})
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	at := time.Unix(1e6, 0)
	capture := func(n int, host byte) {
		for _, ip := range queries4(t, n, 20) {
			copy(ip[16:20], []byte{10, 77, 2, host})
			at = at.Add(time.Second)
			must(t, store.Append(packet.Packet{Label: "dns", Time: at, Frame: behind(etherHeader(0x0800), [][]byte{ip})[0]}))
		}
		must(t, store.Flush())
	}
	s := &service{store: store}
	cfg := config.Default()
	cfg.Labels = []config.Label{{Name: "dns"}, {Name: "further"}}
	s.cfg.Store(&cfg)
	capture(600, 2)
	until := at
	live := &liveModel{manifest: &model.Manifest{Labels: []string{"dns", "gone"}, Training: &model.Training{Until: until}}}
	capture(shiftLeast, 2)
	for _, tt := range []struct {
		name string
		more int
		want shifted
	}{
		{"more of the same", 0, shifted{}},
		{"another server", 300, shifted{"dns: field dst of 550 new packets is at distance 1.00 from what the model learned, where that is at 0.00 in itself", until}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			capture(tt.more, 9)
			got, err := s.shift(live)
			must(t, err)
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
	live.manifest.Training = nil
	if got, err := s.shift(live); err != nil || got != (shifted{}) {
		t.Errorf("got %+v, %v of a model that does not say what it learned", got, err)
	}
}
