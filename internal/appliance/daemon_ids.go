package appliance

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/idslog"
	"pacgan-appliance/internal/score"
)

const (
	// verdictsLate is how much later than its timeout a packet's record may be written.
	verdictsLate = 5 * time.Second
	idsInterval  = 2 * time.Second
)

// watchers are the IDSs whose alerts are scored while they run. A nil one
// watches none.
type watchers struct {
	*score.Live
	said map[string]bool // problems that were logged and are not over
}

// openWatchers watches the sensors of a config, whose alerts it joins with what
// the truth record takes down.
func openWatchers(cfg config.Config, t *testimony) *watchers {
	if len(cfg.IDS) == 0 {
		return nil
	}
	o := score.LiveOptions{Patience: cfg.Inject.Timeout + verdictsLate}
	for _, i := range cfg.IDS {
		o.Sensors = append(o.Sensors, score.LiveSource{Name: i.Name, Kind: idslog.Kind(i.Kind), Path: i.Path, Silence: i.Silence})
	}
	w := &watchers{Live: score.NewLive(o), said: map[string]bool{}}
	t.Book.Also(w.Truth)
	return w
}

// scores are what the sensors made of the flows so far.
func (w *watchers) scores() []score.LiveScore {
	if w == nil {
		return nil
	}
	return w.Scores()
}

// forgetRules has no signature missed that has not fired again: a rule may have
// been removed on purpose.
func (w *watchers) forgetRules() {
	if w != nil {
		w.ForgetRules()
	}
}

// watchSensors follows the sensors' logs until ctx ends, and logs once what is
// wrong with them.
func (s *service) watchSensors(ctx context.Context, ready func()) error {
	group, ctx := errgroup.WithContext(ctx)
	if s.sensors != nil {
		group.Go(func() error { return s.sensors.Follow(ctx) })
	}
	group.Go(func() error {
		return every(ctx, idsInterval, ready, func() error {
			s.watched.beat()
			s.sayProblems(s.sensors.scores())
			return nil
		})
	})
	return group.Wait()
}

func (s *service) sayProblems(scores []score.LiveScore) {
	now := map[string]bool{}
	for i := range scores {
		for _, problem := range scores[i].Problems() {
			now[problem] = true
			if !s.sensors.said[problem] {
				s.log.Warn(problem)
			}
		}
	}
	if s.sensors == nil {
		return
	}
	for problem := range s.sensors.said {
		if !now[problem] {
			s.log.Info("no longer: " + problem)
		}
	}
	s.sensors.said = now
}

// sensorWarnings are those of all sensors, a line each.
func sensorWarnings(scores []score.LiveScore) []string {
	var out []string
	for i := range scores {
		out = append(out, scores[i].Warnings()...)
	}
	return out
}
