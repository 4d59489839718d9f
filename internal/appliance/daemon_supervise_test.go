package appliance

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"pacgan-appliance/internal/lab"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// untilDone is a job's run that has nothing to do.
func untilDone(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	return nil
}

func TestSupervisorRestarts(t *testing.T) {
	var runs atomic.Int32
	again := make(chan struct{})
	s := newSupervisor([]job{
		{"steady", untilDone, nil},
		{"shaky", func(ctx context.Context, ready func()) error {
			if runs.Add(1) == 1 {
				return errors.New("read ring: gone\nfor good")
			}
			close(again)
			return untilDone(ctx, ready)
		}, nil},
	}, quiet())
	s.backOff = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	<-again
	want := []TaskStatus{
		{Name: "steady", Running: true},
		{Name: "shaky", Running: true, Restarts: 1, LastError: "read ring: gone; for good"},
	}
	if diff := cmp.Diff(want, s.tasks()); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("error %v of a cancelled supervisor", err)
	}
}

func TestSupervisorGivesUp(t *testing.T) {
	gone := errors.New("the cable has gone")
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"with a reason", gone, "task shaky ended 3 times within a minute: the cable has gone"},
		{"without", nil, "task shaky ended 3 times within a minute: ended without a reason"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			runs := 0
			s := newSupervisor([]job{{"steady", untilDone, nil}, {"shaky", func(context.Context, func()) error { runs++; return tt.err }, nil}}, quiet())
			s.backOff = time.Millisecond
			err := s.run(t.Context())
			if err == nil || err.Error() != tt.want || runs != 3 {
				t.Errorf("%d runs, error %v, want %s", runs, err, tt.want)
			}
			if tt.err != nil && !errors.Is(err, tt.err) {
				t.Error("the reason is not wrapped")
			}
		})
	}
}

// TestSupervisorReady waits for the last of the jobs, and for a sign of its own.
func TestSupervisorReady(t *testing.T) {
	goOn := make(chan struct{})
	first := true
	s := newSupervisor([]job{
		{"quick", untilDone, nil},
		{"slow", func(ctx context.Context, ready func()) error {
			if first {
				first = false
				return errors.New("not yet") // a job that dies is not ready
			}
			<-goOn
			ready()
			ready() // once is enough
			return untilDone(ctx, ready)
		}, nil},
	}, quiet())
	s.backOff = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	eventually(t, "the slow job is not restarted", func() bool { return s.tasks()[1].Restarts == 1 })
	select {
	case <-s.ready:
		t.Error("ready before the last job is")
	default:
	}
	close(goOn)
	<-s.ready
	cancel()
	must(t, <-done)
}

// TestDeathsAreForgotten counts those of the last minute only.
func TestDeathsAreForgotten(t *testing.T) {
	s := newSupervisor([]job{{"shaky", untilDone, nil}}, quiet())
	at := time.Now()
	var got []int
	for _, after := range []time.Duration{0, 30 * time.Second, 61 * time.Second, 80 * time.Second} {
		got = append(got, s.ended(0, io.EOF, at.Add(after)))
	}
	if diff := cmp.Diff([]int{1, 2, 2, 3}, got); diff != "" {
		t.Errorf("deaths (-want +got):\n%s", diff)
	}
}

func TestSupervisorAlive(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	fine := func(context.Context) error { return nil }
	tests := []struct {
		name  string
		alive func(context.Context) error
		want  string
	}{
		{"alive", fine, ""},
		{"without a check", nil, ""},
		{"says so", func(context.Context) error { return errors.New("no progress for 20s") }, "task odd: no progress for 20s"},
		{"hangs", func(context.Context) error { <-hang; return nil }, "task odd: no sign of life within 50ms"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSupervisor([]job{{"good", untilDone, fine}, {"odd", untilDone, tt.alive}}, quiet())
			s.began(0)
			s.began(1)
			got := ""
			if err := s.alive(t.Context(), 50*time.Millisecond); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPulse(t *testing.T) {
	var p pulse
	must(t, p.alive(t.Context())) // not begun
	p.beat()
	must(t, p.alive(t.Context()))
	p.at.Store(monotonic() - int64(20*time.Second))
	if err := p.alive(t.Context()); err == nil || err.Error() != "no progress for 20s" {
		t.Errorf("error %v", err)
	}
}

// TestValveAlive gives a slow rate its time, and no more.
func TestValveAlive(t *testing.T) {
	v := newValve(0.1)
	must(t, v.alive(t.Context())) // nothing passes
	v.fill(&source{order: newShareOrder([]float64{1}), left: []int{endless}}, nil)
	p, _, _ := v.begin(t.Context())
	must(t, v.alive(t.Context()))
	p.taken.at.Store(monotonic() - int64(59*time.Second))
	must(t, v.alive(t.Context()))
	p.taken.at.Store(monotonic() - int64(61*time.Second))
	if err := v.alive(t.Context()); err == nil || err.Error() != "no packet taken for 1m1s" {
		t.Errorf("error %v", err)
	}
}

// TestTaskThatCannotGoOn takes the injection cable away: the daemon tries
// again, shows it, and ends with the reason.
func TestTaskThatCannotGoOn(t *testing.T) {
	d := mustDaemon(t, nil)
	d.train(t)
	cable, err := netlink.LinkByName("inj0")
	must(t, err)
	must(t, netlink.LinkDel(cable))
	eventually(t, "the end of a task is not shown", func() bool {
		var s Status
		if d.client.Status(t.Context(), &s) != nil {
			return false
		}
		return slices.ContainsFunc(s.Tasks, func(task TaskStatus) bool { return task.Name == "injector" && task.LastError != "" })
	})
	d.ended = true
	var exit interface{ ExitCode() int }
	if err := d.cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != ExitFailed {
		t.Errorf("the daemon ends with %v, want exit code %d", err, ExitFailed)
	}
	want := regexp.MustCompile(`(?m)^pacgan-appliance: task injector ended 3 times within a minute: inject: the injection cable has gone`)
	if !want.MatchString(d.stderr.String()) {
		t.Errorf("the reason is not said:\n%s", d.stderr)
	}
}

// TestWatchdog has systemd told of life at half of the interval that it asks
// for, and not by a process that is stopped.
func TestWatchdog(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "1000000")
	d := mustDaemon(t, nil)
	count := func() int {
		d.manager.mu.Lock()
		defer d.manager.mu.Unlock()
		return d.manager.watchdogs
	}
	eventually(t, "WATCHDOG=1 does not come", func() bool { return count() >= 3 })
	must(t, d.cmd.Process.Signal(syscall.SIGSTOP))
	wait(t.Context(), 100*time.Millisecond) // what was under way
	before := count()
	wait(t.Context(), 1500*time.Millisecond)
	if n := count(); n != before {
		t.Errorf("%d signs of life from a stopped process", n-before)
	}
	must(t, d.cmd.Process.Signal(syscall.SIGCONT))
	eventually(t, "WATCHDOG=1 does not come again", func() bool { return count() > before })
	d.stop(t)
}

// TestCaptureAlive finds a capture that nobody reads: here, one whose task was
// never started.
func TestCaptureAlive(t *testing.T) {
	d := mustDaemon(t, nil)
	d.stop(t)
	s, err := openService(d.cfg, serviceOptions{path: d.config, socket: d.socket, hangups: make(chan os.Signal)}, quiet())
	must(t, err)
	defer func() { must(t, s.close()) }()
	alive := s.captureAlive()
	for range 3 { // no traffic, nothing to read
		must(t, alive(t.Context()))
	}
	must(t, d.network.Traffic(t.Context(), lab.Labels()[0], 10, nil))
	for range 3 {
		must(t, alive(t.Context())) // they may have come this moment
	}
	eventually(t, "frames that nobody reads are not told", func() bool {
		err := alive(t.Context())
		return err != nil && strings.HasPrefix(err.Error(), "frames wait in the ring and none is read for ")
	})
	s.captured.Add(10)
	must(t, alive(t.Context()))
	must(t, alive(t.Context()))
}
