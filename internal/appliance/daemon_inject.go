package appliance

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/inject"
)

const (
	// changeGrace is how long conversations may take to end where the rate
	// changes; those that are open then are reset, and expire.
	changeGrace = 5 * time.Second
	// endTick is how often is looked whether conversations are over.
	endTick = 10 * time.Millisecond
	// injectLimit is how long the injector may take for a packet, beside the
	// time between packets: it may wait for a next hop, or for conversations.
	injectLimit = 30 * time.Second
)

// rateOf is the rate that a config allows, in packets per second.
func rateOf(cfg config.Config) float64 {
	if cfg.Inject.Rate.Learned {
		return cfg.Safety.MaxRate
	}
	return min(cfg.Inject.Rate.PerSecond, cfg.Safety.MaxRate)
}

// valve is between the source and the injector: it lets packets pass at its
// rate while it has a source and is not paused.
type valve struct {
	injector *inject.Injector
	feed     feed

	mu      sync.Mutex
	paused  bool
	rate    float64
	passing *passage      // nil while nothing passes
	changed chan struct{} // closed when one of the above, or something to inject, is new
}

func newValve(rate float64) *valve { return &valve{rate: rate, changed: make(chan struct{})} }

// passage is one run of the injector.
type passage struct {
	valve  *valve
	rate   float64
	ending atomic.Bool
	taken  pulse // when a packet was taken last
	cancel context.CancelFunc
	done   chan struct{}
}

// Next implements inject.Source.
func (p *passage) Next() (inject.Packet, error) {
	if p.ending.Load() {
		return inject.Packet{}, io.EOF
	}
	p.taken.beat()
	return p.valve.feed.Next()
}

// due is when the next packet is due, beside the rate.
func (p *passage) due() time.Duration { return p.valve.feed.due() }

// fill gives the valve what to inject, in the place of what it had.
func (v *valve) fill(main *source, control *controls) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if main != nil && len(main.left) == 0 {
		main = nil // a model of other labels: nothing passes
	}
	v.feed.main.Store(main)
	v.feed.control.Store(control)
	v.changedLocked()
}

// try has a trial's packets injected beside the others, until they are sent or
// ctx ends. The trial holds controls back until its release.
func (v *valve) try(ctx context.Context, t *trial) error {
	v.mu.Lock()
	v.feed.trial.Store(t)
	v.changedLocked()
	v.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.sent:
		return nil
	}
}

// release ends the trial under way.
func (v *valve) release() { v.feed.trial.Store(nil) }

func (v *valve) changedLocked() {
	close(v.changed)
	v.changed = make(chan struct{})
}

// run injects whenever packets may pass, until ctx ends.
func (v *valve) run(ctx context.Context) error {
	for ctx.Err() == nil {
		p, passing, changed := v.begin(ctx)
		if p == nil {
			select {
			case <-ctx.Done():
			case <-changed:
			}
			continue
		}
		_, err := v.injector.Run(passing, p, inject.RunOptions{Rate: p.rate, Schedule: p.due})
		v.finished(p)
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// begin opens a passage, or says what to wait for.
func (v *valve) begin(ctx context.Context) (*passage, context.Context, <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.paused || !v.feed.ready() {
		return nil, nil, v.changed
	}
	p := &passage{valve: v, rate: v.rate, done: make(chan struct{})}
	p.taken.beat()
	passing, cancel := context.WithCancel(ctx)
	p.cancel = cancel
	v.passing = p
	return p, passing, nil
}

func (v *valve) finished(p *passage) {
	v.mu.Lock()
	defer v.mu.Unlock()
	p.cancel()
	v.passing = nil
	close(p.done)
}

// pause has the guard let nothing out any more, whatever is on its way there,
// and then ends what is under way. It is false where it was paused.
func (v *valve) pause() (bool, error) {
	v.mu.Lock()
	was, p := v.paused, v.passing
	v.paused = true
	v.mu.Unlock()
	err := v.injector.Pause()
	if p != nil {
		v.end(p, 0)
	}
	return !was, err
}

// resume lets packets pass again. It is false where the valve was not paused.
func (v *valve) resume() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.paused {
		return false
	}
	v.injector.Resume()
	v.paused = false
	v.changedLocked()
	return true
}

func (v *valve) isPaused() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.paused
}

// bound sets the rate that the guard lets out at most; below the rate in use
// it is to be lowered after that.
func (v *valve) bound(cfg config.Config) error { return v.injector.SetMaxRate(cfg.Safety.MaxRate) }

// allow replaces the allow-list: nothing leaves for anything else when it
// returns.
func (v *valve) allow(s config.Safety) error { return v.injector.SetAllow(s.Allow, s.AllowReserved) }

// setRate changes the rate. No packet is lost: the passage ends once what is
// under way is over, and the next one has the new rate.
func (v *valve) setRate(rate float64) {
	v.mu.Lock()
	p := v.passing
	if v.rate == rate {
		p = nil
	}
	v.rate = rate
	v.mu.Unlock()
	if p != nil {
		v.end(p, changeGrace)
	}
}

// end has a passage take no further packet and waits for those under way, at
// most for grace.
func (v *valve) end(p *passage, grace time.Duration) {
	p.ending.Store(true)
	late := time.NewTimer(grace)
	defer late.Stop()
	tick := time.NewTicker(endTick)
	defer tick.Stop()
	for {
		select {
		case <-p.done:
			return
		case <-late.C:
			p.cancel()
			late.Reset(time.Hour) // it ends now
		case <-tick.C:
			if v.idle() { // asleep until its next packet is due
				p.cancel()
			}
		}
	}
}

// idle reports whether nothing waits or converses.
func (v *valve) idle() bool {
	if v.injector.Conversations() > 0 {
		return false
	}
	counts, err := v.injector.Counts()
	if err != nil {
		return false
	}
	for _, c := range counts {
		if c.Waiting > 0 {
			return false
		}
	}
	return true
}

// alive reports a passage that takes no packets though they are due.
func (v *valve) alive(context.Context) error {
	v.mu.Lock()
	p := v.passing
	v.mu.Unlock()
	if p == nil {
		return nil
	}
	limit := injectLimit + time.Duration(3/p.rate*float64(time.Second)) + v.feed.longest()
	if age := p.taken.age(); age > limit {
		return fmt.Errorf("no packet taken for %v", age.Round(time.Second))
	}
	return nil
}
