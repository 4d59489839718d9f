package appliance

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"pacgan-appliance/internal/control"
	"pacgan-appliance/internal/ktime"
)

// pulseLimit is how old the pulse of a task may be that beats every second.
const pulseLimit = 15 * time.Second

// stallLimit is how long frames may wait in the capture's ring: it is read many
// times a second.
const stallLimit = 2 * time.Second

// reloadLimit is how long a reload may take: conversations end within
// changeGrace, and the rest is soon done.
const reloadLimit = time.Minute

// pulse is when a task was last seen to make progress.
type pulse struct {
	at atomic.Int64 // monotonic nanoseconds; 0: never
}

func (p *pulse) beat() { p.at.Store(monotonic()) }

// stop makes it a pulse that has not beaten yet.
func (p *pulse) stop() { p.at.Store(0) }

// age is the time since the last beat, 0 where there was none yet.
func (p *pulse) age() time.Duration {
	at := p.at.Load()
	if at == 0 {
		return 0
	}
	return time.Duration(monotonic() - at)
}

func (p *pulse) alive(context.Context) error {
	if age := p.age(); age > pulseLimit {
		return fmt.Errorf("no progress for %v", age.Round(time.Second))
	}
	return nil
}

// monotonic is a time that no clock setting changes, and that a stopped
// machine does not see.
func monotonic() int64 { return int64(ktime.Now()) }

// watch tells systemd that every task is alive, at half of the interval that
// it asks for (sd_watchdog_enabled(3)), and nothing while one is not.
func (s *service) watch(ctx context.Context) error {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("watchdog: %w", err)
	}
	if interval == 0 {
		<-ctx.Done()
		return nil
	}
	return every(ctx, interval/2, func() {}, func() error {
		if err := s.tasks.alive(ctx, interval/2); err != nil {
			if ctx.Err() == nil {
				s.log.Error("a task hangs: systemd is not told that the daemon is alive", "error", err)
			}
			return nil
		}
		return s.notify(daemon.SdNotifyWatchdog)
	})
}

// captureAlive tells a capture that leaves frames in the ring: the kernel
// counts more, and none has been read since. It may be asked from several
// places, and one moment after the other.
func (s *service) captureAlive() func(context.Context) error {
	var mu sync.Mutex
	var labelled, captured uint64
	var since int64 // monotonic nanoseconds from which frames wait; 0: none does
	return func(context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		counters, err := s.tap.capture.Counters()
		if err != nil {
			return err
		}
		var sum uint64
		for _, l := range counters.Labels {
			sum += l.Labelled
		}
		read, now := s.captured.Load(), monotonic()
		switch {
		case read != captured:
			since = 0
		case since != 0:
			if age := time.Duration(now - since); age > stallLimit {
				return fmt.Errorf("frames wait in the ring and none is read for %v", age.Round(time.Second))
			}
		case sum != labelled:
			since = now
		}
		labelled, captured = sum, read
		return nil
	}
}

// verifierAlive sweeps, which needs what the verifier's own sweeps hold.
func (s *service) verifierAlive(context.Context) error { return s.wire.verifier.Sweep() }

// reloadAlive tells a reload that does not come to an end.
func (s *service) reloadAlive(context.Context) error {
	if age := s.reloading.age(); age > reloadLimit {
		return fmt.Errorf("a reload is under way for %v", age.Round(time.Second))
	}
	return nil
}

// countsAlive tells a save that does not come to an end.
func (s *service) countsAlive(context.Context) error {
	if age := s.counted.age(); age > countsInterval+pulseLimit {
		return fmt.Errorf("no counts saved for %v", age.Round(time.Second))
	}
	return nil
}

// controlAlive asks the daemon as a person would.
func (s *service) controlAlive(ctx context.Context) error {
	var status Status
	return control.NewClient(s.control.Path()).Status(ctx, &status)
}
