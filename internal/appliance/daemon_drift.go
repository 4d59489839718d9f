package appliance

import (
	"fmt"
	"time"

	"pacgan-appliance/internal/model"
)

const (
	// driftWindow is how long success is counted before it is compared.
	driftWindow = 10 * time.Minute
	// driftWindows in a row must be worse: one of forty of an equal model is by
	// chance.
	driftWindows = 2
	// driftBackoff is how long no other training follows one because of drift;
	// it doubles each time, up to driftBackoffMost, while drift stays.
	driftBackoff     = time.Hour
	driftBackoffMost = 24 * time.Hour
)

// driftWatch compares the success of the model in use with its own when it was
// tried. It is for one goroutine.
type driftWatch struct {
	model   string // in use; "": none
	began   time.Time
	before  tally // when the window began
	worse   int   // windows in a row
	since   time.Time
	reason  string // of the last of driftWindows worse ones; "": no drift
	next    time.Time
	backoff time.Duration
}

// look compares at the end of a window, and begins the next.
func (d *driftWatch) look(now time.Time, id string, j *model.Judgement, counts tally) {
	if id != d.model {
		*d = driftWatch{model: id, began: now, before: counts, next: d.next, backoff: d.backoff}
		return
	}
	if now.Sub(d.began) < driftWindow {
		return
	}
	reason, measured := decline(j, d.before, counts)
	switch {
	case !measured: // paused, say: nothing is known
	case reason == "":
		d.worse, d.reason, d.backoff = 0, "", 0
	default:
		if d.worse == 0 {
			d.since = d.began
		}
		if d.worse++; d.worse >= driftWindows {
			d.reason = reason
		}
	}
	d.began, d.before = now, counts
}

// due reports whether to train because of drift now.
func (d *driftWatch) due(now time.Time) bool { return d.reason != "" && !now.Before(d.next) }

// trained holds further trainings because of drift back.
func (d *driftWatch) trained(now time.Time) {
	d.backoff = min(max(driftBackoff, 2*d.backoff), driftBackoffMost)
	d.next = now.Add(d.backoff)
}

// decline says of which label fewer packets were answered than when the model
// was tried. Where captured packets fare as badly it is the network's fault.
func decline(j *model.Judgement, before, after tally) (reason string, measured bool) {
	if j == nil || j.Canary == nil {
		return "", false
	}
	for _, l := range j.Canary.Labels {
		own := successOf(l.Model)
		live := successOf(passed(before.of(fromModel, l.Label), after.of(fromModel, l.Label)))
		if own.Decided == 0 || live.Decided == 0 {
			continue
		}
		measured = true
		ceiling := successOf(passed(before.of(fromCapture, l.Label), after.of(fromCapture, l.Label)))
		if below(live, own) && !below(ceiling, own) && reason == "" {
			reason = fmt.Sprintf("%s: %.1f %% of %s packets answered, %.1f %% when the model was tried",
				l.Label, 100*live.Rate, thousands(live.Decided), 100*own.Rate)
		}
	}
	return reason, measured
}
