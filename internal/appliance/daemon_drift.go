package appliance

import (
	"fmt"
	"slices"
	"time"

	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/quality"
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

// shifted says why traffic is no longer what a model has learned; "": it is.
type shifted struct {
	reason string
	since  time.Time // when the newest packet was captured that it has learned
}

// look compares at the end of a window, and begins the next. Captures that have
// shifted are drift at once; fewer answers in several windows.
func (d *driftWatch) look(now time.Time, id string, j *model.Judgement, counts tally, captures shifted) {
	if id != d.model {
		*d = driftWatch{model: id, began: now, before: counts, next: d.next, backoff: d.backoff}
		return
	}
	if now.Sub(d.began) < driftWindow {
		return
	}
	reason, measured := decline(j, d.before, counts)
	switch {
	case captures.reason != "":
		d.reason, d.since = captures.reason, captures.since
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

const (
	// shiftPackets of a label are compared at most, of those that a model has
	// learned; half as many newer ones.
	shiftPackets = 2000
	// shiftLeast is how many newer ones it takes.
	shiftLeast = 250
	// shiftMost is how much further than the learned packets' halves from each
	// other the newer ones may lie away in any field, on the scale of 0 to 1.
	// With shiftLeast packets chance makes up less than half of it.
	shiftMost = 0.25
)

// shift compares what was captured since a model's training with what it has
// learned.
func (s *service) shift(live *liveModel) (shifted, error) {
	training := live.manifest.Training
	if training == nil || training.Until.IsZero() {
		return shifted{}, nil
	}
	for _, label := range labelNames(*s.cfg.Load()) {
		if !slices.Contains(live.manifest.Labels, label) {
			continue
		}
		captured, err := s.store.Read(label, 2*shiftPackets)
		if err != nil {
			return shifted{}, err
		}
		newer := len(captured)
		for newer > 0 && captured[newer-1].Time.After(training.Until) {
			newer--
		}
		if len(captured)-newer < shiftLeast || newer < 2*shiftLeast {
			continue
		}
		learned, _ := ipPackets(captured[max(0, newer-shiftPackets):newer])
		fresh, _ := ipPackets(captured[max(newer, len(captured)-shiftPackets/2):])
		if most := quality.ShiftOf(learned, fresh); most.By() > shiftMost {
			return shifted{fmt.Sprintf("%s: field %s of %s new packets is at distance %.2f from what the model learned, where that is at %.2f in itself",
				label, most.Field, thousands(len(fresh)), most.Distance, most.Within), training.Until}, nil
		}
	}
	return shifted{}, nil
}
