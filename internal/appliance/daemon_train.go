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

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/train"
)

// stopGrace is how long a training that is stopped may take to save its state;
// the child does not outlive the daemon anyway.
const stopGrace = 3 * time.Second

// trainer is what the daemon knows of its trainings.
type trainer struct {
	polled  pulse
	request chan struct{}                    // holds one
	running atomic.Pointer[runningTraining]  // nil: none is under way
	last    atomic.Pointer[finishedTraining] // nil: none since the start
	drift   atomic.Pointer[string]           // why the model in use is worse than it was, "" where it is not; nil: not watched
}

type runningTraining struct {
	occasion
	began  time.Time
	curve  trainCurve
	trying atomic.Bool // it is trained, and now tried
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

// occasion is why a model is trained.
type occasion struct {
	why    string // one line for a person
	recipe config.Recipe
	since  time.Time // what was captured before is not learned; zero: all is
}

// sinceArgs are the arguments of a child that is to look at what the occasion is about, and at least so many packets of each
// label.
func (o occasion) sinceArgs(least int) []string {
	if o.since.IsZero() {
		return nil
	}
	return []string{"--since", o.since.Format(time.RFC3339Nano), "--least", strconv.Itoa(least)}
}

// train trains a model in a child process, and has it take over if it is at
// least as good. It reports whether it did. A failure is logged, and the model
// in use stays.
func (s *service) train(ctx context.Context, o occasion) bool {
	running := &runningTraining{began: time.Now(), occasion: o}
	s.trainer.running.Store(running)
	defer s.trainer.running.Store(nil)
	promoted, err := s.trainAndJudge(ctx, running)
	if ctx.Err() != nil {
		return false
	}
	s.trainer.last.Store(&finishedTraining{time.Now(), err})
	if err != nil {
		s.log.Error("training failed; the model in use, if any, stays", "error", err)
	}
	return promoted
}

func (s *service) trainAndJudge(ctx context.Context, running *runningTraining) (promoted bool, err error) {
	if err := s.store.Sync(); err != nil {
		return false, err
	}
	s.log.Info("training", "recipe", running.recipe, "why", running.why)
	if !train.Unfinished(s.trainingDir()) {
		if promoted, ok := s.trainElsewhere(ctx, running); ok {
			return promoted, nil
		}
	}
	last, err := s.trainOrResume(ctx, running)
	if err != nil {
		return false, err
	}
	s.log.Info("trained", "model", last.Model, "seconds", last.Report.Seconds, "steps", last.Report.Steps, "chosen", last.Report.Chosen)
	running.trying.Store(true)
	id := filepath.Base(last.Model)
	j, err := s.judge(ctx, id)
	if err != nil {
		return false, err
	}
	return j.State == model.StatePromoted, s.decide(id, j)
}

// trainOrResume goes on with a training that was stopped or killed, if there is one, and trains anew where that fails:
// what made it fail once may do so always.
func (s *service) trainOrResume(ctx context.Context, running *runningTraining) (trainEvent, error) {
	cfg := s.cfg.Load()
	if missing := s.missing(); missing != "" {
		s.log.Warn("labels are left out of the training: too few packets", "missing", missing)
	}
	args := []string{"--state", cfg.State.Dir, "--only", strings.Join(s.enough(), ","), "--recipe", string(running.recipe)}
	anew := !running.since.IsZero() // what an unfinished training learns is not what is wanted now
	if train.Unfinished(s.trainingDir()) && running.recipe != config.RecipeTree {
		if !anew {
			s.log.Info("going on with an unfinished training")
			last, err := s.trainProcess(ctx, running, append(args, "--resume"))
			if err == nil || ctx.Err() != nil {
				return last, err
			}
			s.log.Warn("the unfinished training is given up", "error", err)
		}
		if err := os.RemoveAll(s.trainingDir()); err != nil {
			return trainEvent{}, err
		}
	}
	if len(s.enough()) == 0 { // or no name would mean all of the store's
		return trainEvent{}, fmt.Errorf("too few packets: %s", s.missing())
	}
	if cfg.Train.RenewSecrets {
		args = append(args, "--renew-secrets")
	}
	args = append(args, running.sinceArgs(cfg.Train.MinPackets)...)
	return s.trainProcess(ctx, running, append(args, "--seed", strconv.FormatUint(seedNow(), 10)))
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
