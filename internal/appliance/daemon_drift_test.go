package appliance

import (
	"testing"
	"time"

	"pacgan-appliance/internal/model"
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
			look := func() { d.look(now, "m1", own, tallyOf(sum.decided, sum.answered, sum.controls, sum.answeredControls)) }
			look()
			for _, w := range tt.windows {
				sum = window{sum.decided + w.decided, sum.answered + w.answered, sum.controls + w.controls, sum.answeredControls + w.answeredControls}
				now = now.Add(driftWindow)
				look()
			}
			if d.reason != tt.want || d.due(now) != (tt.want != "") {
				t.Errorf("reason %q, due %v; want %q", d.reason, d.due(now), tt.want)
			}
			d.look(now, "m2", own, tally{})
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
