package appliance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/robfig/cron/v3"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/train"
)

const (
	pollInterval  = time.Second      // whether there are enough packets, or it is time
	retryInterval = 10 * time.Minute // a first training that failed
	// stopGrace is how long a training that is stopped may take to save its
	// best model; the child does not outlive the daemon anyway.
	stopGrace = 3 * time.Second
)

// trainer is what the daemon knows of its trainings.
type trainer struct {
	polled  pulse
	request chan struct{}                    // holds one
	running atomic.Pointer[runningTraining]  // nil: none is under way
	last    atomic.Pointer[finishedTraining] // nil: none since the start
}

type runningTraining struct {
	began  time.Time
	recipe config.Recipe
	curve  trainCurve
}

type finishedTraining struct {
	at  time.Time
	err error
}

func newTrainer() *trainer { return &trainer{request: make(chan struct{}, 1)} }

// alive reports a trainer that neither trains nor looks whether it should. A
// training is a process of its own, however long it takes.
func (t *trainer) alive(ctx context.Context) error {
	if t.running.Load() != nil {
		return nil
	}
	return t.polled.alive(ctx)
}

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
	return !t.next.IsZero() && !now.Before(t.next), nil
}

// restart counts from now on: a training has ended.
func (t *timetable) restart(now time.Time) { t.next = t.schedule.Next(now) }

// trainAlways trains a first model, and one for a label that the one in use has
// not learned, as soon as there are enough packets,
// further ones on the schedule, and one whenever it is asked to.
func (s *service) trainAlways(ctx context.Context) error {
	var table timetable
	var retry time.Time
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	if train.Unfinished(s.trainingDir()) {
		select {
		case s.trainer.request <- struct{}{}:
		default: // one is asked for already
		}
	}
	for {
		s.trainer.polled.beat()
		asked := false
		select {
		case <-ctx.Done():
			return nil
		case <-s.trainer.request:
			asked = true
		case <-tick.C:
		}
		if err := s.replay(); err != nil {
			return err
		}
		now := time.Now()
		due, err := table.due(s.cfg.Load().Train.Schedule, now)
		if err != nil {
			return err
		}
		live := s.current.Load()
		first := live == nil || len(live.lacks) > 0
		missing := s.missing()
		switch {
		case s.replays() && !asked: // nothing is drawn from models
		case asked, first && missing == "" && now.After(retry), due && missing == "":
			if !s.train(ctx) {
				retry = time.Now().Add(retryInterval)
			}
			table.restart(time.Now())
		case live != nil && due:
			s.log.Warn("not trained on schedule: too few packets", "missing", missing)
			table.restart(now)
		}
	}
}

// shortfall is a label with too few packets to train.
type shortfall struct {
	Label string `json:"label"`
	Have  int    `json:"have"`
	Need  int    `json:"need"`
}

// shortfalls are the labels that have too few packets, in the config's order.
func (s *service) shortfalls() []shortfall {
	cfg := s.cfg.Load()
	out := []shortfall{}
	for _, l := range cfg.Labels {
		if n := s.store.Count(l.Name); n < cfg.Train.MinPackets {
			out = append(out, shortfall{l.Name, n, cfg.Train.MinPackets})
		}
	}
	return out
}

// missing says which labels have too few packets to train, "" where none has.
func (s *service) missing() string {
	var parts []string
	for _, m := range s.shortfalls() {
		parts = append(parts, fmt.Sprintf("%s %s of %s", m.Label, thousands(m.Have), thousands(m.Need)))
	}
	return strings.Join(parts, ", ")
}

// requestTraining asks for a training now.
func (s *service) requestTraining() (string, error) {
	if r := s.trainer.running.Load(); r != nil {
		return "", fmt.Errorf("a training is under way for %s", roughly(time.Since(r.began)))
	}
	if missing := s.missing(); missing != "" {
		return "", fmt.Errorf("too few packets: %s", missing)
	}
	select {
	case s.trainer.request <- struct{}{}:
	default: // one is asked for already
	}
	return "training with recipe " + string(s.cfg.Load().Train.Recipe), nil
}

// train trains a model in a child process and takes it up. A failure is
// logged, and the model in use stays.
func (s *service) train(ctx context.Context) bool {
	running := &runningTraining{began: time.Now(), recipe: s.cfg.Load().Train.Recipe}
	s.trainer.running.Store(running)
	defer s.trainer.running.Store(nil)
	err := s.store.Sync()
	var last trainEvent
	if err == nil {
		last, err = s.trainOrResume(ctx, running)
	}
	if ctx.Err() != nil {
		return false
	}
	if err == nil {
		id := filepath.Base(last.Model)
		if err = s.use(id); err == nil {
			err = model.Promote(s.models, id)
		}
	}
	s.trainer.last.Store(&finishedTraining{time.Now(), err})
	if err != nil {
		s.log.Error("training failed; the model in use, if any, stays", "error", err)
		return false
	}
	s.log.Info("trained", "model", last.Model, "seconds", last.Report.Seconds, "steps", last.Report.Steps, "chosen", last.Report.Chosen)
	return true
}

// trainOrResume goes on with a training that was stopped or killed, if there is one, and trains anew where that fails:
// what made it fail once may do so always.
func (s *service) trainOrResume(ctx context.Context, running *runningTraining) (trainEvent, error) {
	cfg := s.cfg.Load()
	args := []string{"--state", cfg.State.Dir, "--only", strings.Join(labelNames(*cfg), ","), "--recipe", string(running.recipe)}
	if train.Unfinished(s.trainingDir()) {
		s.log.Info("going on with an unfinished training")
		last, err := s.trainProcess(ctx, running, append(args, "--resume"))
		if err == nil || ctx.Err() != nil {
			return last, err
		}
		s.log.Warn("the unfinished training is given up", "error", err)
		if err := os.RemoveAll(s.trainingDir()); err != nil {
			return trainEvent{}, err
		}
	}
	return s.trainProcess(ctx, running, append(args, "--seed", strconv.FormatInt(time.Now().UnixNano(), 10)))
}

// trainingDir is where a training of the daemon's keeps its state.
func (s *service) trainingDir() string {
	return trainOptions{state: s.cfg.Load().State.Dir}.trainingDir()
}

// trainProcess trains in a child process. When ctx ends it is given stopGrace.
func (s *service) trainProcess(ctx context.Context, running *runningTraining, args []string) (trainEvent, error) {
	type result struct {
		last trainEvent
		err  error
	}
	s.log.Info("training", "recipe", running.recipe)
	done := make(chan result, 1)
	go func() {
		last, err := trainChild(ctx, s.cfg.Load().Train.MaxMemory, args, running.curve.add)
		done <- result{last, err}
	}()
	select {
	case r := <-done:
		return r.last, r.err
	case <-ctx.Done():
	}
	late := time.NewTimer(stopGrace)
	defer late.Stop()
	select {
	case r := <-done:
		return r.last, r.err
	case <-late.C:
		return trainEvent{}, errors.New("training did not stop in time")
	}
}
