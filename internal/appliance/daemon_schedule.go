package appliance

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/ktime"
	"pacgan-appliance/internal/train"
)

const (
	pollInterval  = time.Second      // whether there are enough packets, or it is time
	retryInterval = 10 * time.Minute // a first training that failed
	// newPacketsInterval is the least time between a training and another one
	// for the sake of new packets.
	newPacketsInterval = time.Hour
)

// timetable says when a training on schedule is due.
type timetable struct {
	text     string // of the schedule that next is from
	schedule cron.Schedule
	next     time.Time
}

// due reports whether a training is due now, by a schedule that may change.
func (t *timetable) due(text string, now time.Time) (bool, error) {
	if text != t.text {
		schedule, err := cron.ParseStandard(text)
		if err != nil {
			return false, fmt.Errorf("train.schedule: %w", err)
		}
		t.text, t.schedule = text, schedule
		t.restart(now)
	}
	if sooner := t.schedule.Next(now); sooner.Before(t.next) {
		t.next = sooner // the clock was put back: nobody waits until it is there again
	}
	return !t.next.IsZero() && !now.Before(t.next), nil
}

// restart counts from now on: a training has ended.
func (t *timetable) restart(now time.Time) { t.next = t.schedule.Next(now) }

// scheduler says when to train. It is for one goroutine.
type scheduler struct {
	*service
	table   timetable
	retry   time.Time         // before it no further try to get a first model
	trained time.Time         // when the last training ended
	counted map[string]uint64 // packets captured of each label when it began
	drift   driftWatch
	ripe    ripening
}

// trainAlways trains a first model as soon as there are enough packets, of the
// labels that have them where others come too slowly; further ones on the schedule, when enough new packets came or traffic
// drifted, and one whenever it is asked to.
func (s *service) trainAlways(ctx context.Context) error {
	at := &scheduler{service: s, trained: time.Now()}
	var err error
	if at.counted, err = s.labelled(); err != nil {
		return err
	}
	tick := time.NewTimer(0)
	defer tick.Stop()
	if train.Unfinished(s.trainingDir()) {
		s.askForTraining()
	}
	for {
		s.trainer.polled.beat()
		asked := false
		tick.Reset(ktime.Beat(pollInterval))
		select {
		case <-ctx.Done():
			return nil
		case <-s.trainer.request:
			asked = true
		case <-s.fleetNews():
			s.takeFromFleet(ctx)
		case <-tick.C:
		}
		if err := s.replay(); err != nil {
			return err
		}
		o, err := at.occasion(time.Now(), asked)
		if err != nil {
			return err
		}
		if o.why == "" {
			continue
		}
		if err := at.train(ctx, o); err != nil {
			return err
		}
	}
}

// occasion is why to train now; one without a reason says not to.
func (s *scheduler) occasion(now time.Time, asked bool) (occasion, error) {
	cfg := s.cfg.Load()
	due, err := s.table.due(cfg.Train.Schedule, now)
	if err != nil {
		return occasion{}, err
	}
	if err := s.watchDrift(now); err != nil {
		return occasion{}, err
	}
	live := s.current.Load()
	enough := s.enough()
	ripe := s.ripe.look(now, len(enough), len(cfg.Labels))
	o := occasion{recipe: cfg.Train.Recipe}
	switch {
	case asked:
		o.why = "a request"
	case s.replays(): // nothing is drawn from models
	case s.tooFew(live, enough):
		if live != nil && due {
			s.log.Warn("not trained on schedule: too few packets", "missing", s.missing())
			s.table.restart(now)
		}
	case live.wants(enough):
		if ripe && now.After(s.retry) {
			o.why = "enough packets for the first model"
			if live != nil {
				o.why = "enough packets of further labels: " + strings.Join(live.untried(), ", ")
			}
		}
	case due:
		o.why = "the schedule: " + cfg.Train.Schedule
	case s.drift.due(now):
		o.why, o.since = "drift: "+s.drift.reason, s.drift.since
		s.drift.trained(now)
	case cfg.Train.NewPackets > 0 && now.Sub(s.trained) >= newPacketsInterval:
		all, err := s.enoughNew(enough, uint64(cfg.Train.NewPackets))
		if err != nil {
			return o, err
		}
		if all {
			o.why = fmt.Sprintf("%s new packets of each label", thousands(cfg.Train.NewPackets))
		}
	}
	return o, nil
}

// watchDrift has the watch look at the counts, and shows what it found.
func (s *scheduler) watchDrift(now time.Time) error {
	live := s.current.Load()
	if live == nil || s.replays() {
		s.drift.model = ""
		s.trainer.drift.Store(nil)
		return nil
	}
	if live.id == s.drift.model && now.Sub(s.drift.began) < driftWindow {
		return nil
	}
	counts, err := s.counts()
	if err != nil {
		return err
	}
	var captures shifted
	if live.id == s.drift.model {
		if captures, err = s.shift(live); err != nil {
			return err
		}
	}
	s.drift.look(now, live.id, live.manifest.Judgement, counts, captures)
	reason := s.drift.reason
	s.trainer.drift.Store(&reason)
	return nil
}

// train trains, and counts from then on. Where there is no model yet, trees
// come first: they are fitted in seconds, and injected from while the recipe
// that takes longer is trained.
func (s *scheduler) train(ctx context.Context, o occasion) error {
	var err error
	if s.counted, err = s.labelled(); err != nil {
		return err
	}
	if s.current.Load() == nil && o.recipe != config.RecipeTree && !train.Unfinished(s.trainingDir()) {
		trees := o
		trees.recipe = config.RecipeTree
		s.service.train(ctx, trees)
	}
	if ctx.Err() == nil && !s.service.train(ctx, o) {
		s.retry = time.Now().Add(retryInterval)
	}
	s.trained = time.Now()
	s.table.restart(s.trained)
	return nil
}

// enoughNew reports whether so many packets of each named label were captured
// since the last training began.
func (s *scheduler) enoughNew(names []string, least uint64) (bool, error) {
	counts, err := s.labelled()
	if err != nil {
		return false, err
	}
	return grown(s.counted, counts, names, least), nil
}

// grown reports whether the counts of all names grew by at least so many. One
// that is new grew from 0.
func grown(before, now map[string]uint64, names []string, least uint64) bool {
	for _, name := range names {
		if now[name] < before[name]+least {
			return false
		}
	}
	return true
}

// labelled is how many packets of each label were captured since the start.
func (s *service) labelled() (map[string]uint64, error) {
	counters, err := s.tap.capture.Counters()
	if err != nil {
		return nil, err
	}
	out := map[string]uint64{}
	for _, l := range counters.Labels {
		out[l.Label] = l.Labelled
	}
	return out, nil
}

// requestTraining asks for a training now.
func (s *service) requestTraining() (string, error) {
	if r := s.trainer.running.Load(); r != nil {
		return "", fmt.Errorf("a training is under way for %s", roughly(time.Since(r.began)))
	}
	missing := s.missing()
	if s.tooFew(s.current.Load(), s.enough()) {
		return "", fmt.Errorf("too few packets: %s", missing)
	}
	s.askForTraining()
	said := "training with recipe " + string(s.cfg.Load().Train.Recipe)
	if missing != "" {
		said += "; left out, too few packets: " + missing
	}
	return said, nil
}

func (s *service) askForTraining() {
	select {
	case s.trainer.request <- struct{}{}:
	default: // one is asked for already
	}
}
