package appliance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	maxDeaths   = 3 // of a task within deathWindow end the daemon
	deathWindow = time.Minute
	backOff     = time.Second // before the first restart; twice as long before the next
	answerGrace = time.Second // for a check that is late, before it is left behind
)

// errEnded is the reason of a task that ended without one.
var errEnded = errors.New("ended without a reason")

// job is one of the daemon's long tasks. run calls ready once it does its work
// (again and again, if it likes), and returns when ctx ends, or with the reason
// why it cannot go on. alive, where given, tells a task that hangs.
type job struct {
	name  string
	run   func(ctx context.Context, ready func()) error
	alive func(ctx context.Context) error
}

// atOnce is the run of a job that does its work from the first moment on.
func atOnce(run func(ctx context.Context) error) func(context.Context, func()) error {
	return func(ctx context.Context, ready func()) error {
		ready()
		return run(ctx)
	}
}

// TaskStatus is how a task of the daemon fares.
type TaskStatus struct {
	Name      string `json:"name"`
	Running   bool   `json:"running"` // false: waits for its restart
	Restarts  int    `json:"restarts"`
	LastError string `json:"last_error,omitempty"` // why it ended last
}

// supervisor runs the daemon's tasks and restarts those that end.
type supervisor struct {
	jobs    []job
	log     *slog.Logger
	backOff time.Duration
	ready   chan struct{} // closed once every job has been ready

	mu     sync.Mutex
	status []TaskStatus
	deaths [][]time.Time // within deathWindow
	up     map[int]bool  // jobs that have been ready
}

func newSupervisor(jobs []job, log *slog.Logger) *supervisor {
	s := &supervisor{jobs: jobs, log: log, backOff: backOff, ready: make(chan struct{}), up: map[int]bool{}}
	s.status, s.deaths = make([]TaskStatus, len(jobs)), make([][]time.Time, len(jobs))
	for i, j := range jobs {
		s.status[i].Name = j.name
	}
	return s
}

// run runs every task until ctx ends, or until one has ended too often.
func (s *supervisor) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := range s.jobs {
		group.Go(func() error { return s.keep(ctx, i) })
	}
	return group.Wait()
}

// keep runs one task, again and again.
func (s *supervisor) keep(ctx context.Context, i int) error {
	for {
		s.began(i)
		err := s.jobs[i].run(ctx, func() { s.isUp(i) })
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = errEnded
		}
		deaths := s.ended(i, err, time.Now())
		if deaths >= maxDeaths {
			return fmt.Errorf("task %s ended %d times within a minute: %w", s.jobs[i].name, deaths, err)
		}
		pause := s.backOff << (deaths - 1)
		s.log.Error("a task ended and is restarted", "task", s.jobs[i].name, "in", pause, "error", err)
		if !wait(ctx, pause) {
			return nil
		}
	}
}

// isUp notes that a job is ready.
func (s *supervisor) isUp(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.up[i] {
		return
	}
	s.up[i] = true
	if len(s.up) == len(s.jobs) {
		close(s.ready)
	}
}

func (s *supervisor) began(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status[i].Running = true
	if s.status[i].LastError != "" {
		s.status[i].Restarts++
	}
}

// ended writes down a task's end and returns how many there were lately.
func (s *supervisor) ended(i int, err error, now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status[i].Running = false
	s.status[i].LastError = oneLine(err)
	recent := s.deaths[i][:0]
	for _, at := range s.deaths[i] {
		if now.Sub(at) < deathWindow {
			recent = append(recent, at)
		}
	}
	s.deaths[i] = append(recent, now)
	return len(s.deaths[i])
}

// tasks is how every task fares.
func (s *supervisor) tasks() []TaskStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]TaskStatus(nil), s.status...)
}

// alive asks every running task for a sign of life, and names the first that
// gives none within timeout.
func (s *supervisor) alive(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for i, task := range s.tasks() {
		if !task.Running || s.jobs[i].alive == nil {
			continue
		}
		answer := make(chan error, 1)
		go func() { answer <- s.jobs[i].alive(ctx) }() // one that hangs is left behind: systemd ends the process
		select {
		case err := <-answer:
			if err != nil {
				return fmt.Errorf("task %s: %w", task.Name, err)
			}
		case <-ctx.Done():
			late := time.NewTimer(answerGrace) // so that no check that can end outlives the tasks
			defer late.Stop()
			select {
			case <-answer:
			case <-late.C:
			}
			return fmt.Errorf("task %s: no sign of life within %v", task.Name, timeout)
		}
	}
	return nil
}
