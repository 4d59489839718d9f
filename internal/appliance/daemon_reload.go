package appliance

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/control"
)

// reload reads the config again and puts it in force as a whole, or leaves
// the old one in force and says why.
func (s *service) reload() (string, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.reloading.beat()
	defer s.reloading.stop()
	reloading := fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, monotonic()/1000)
	if err := s.notify(reloading); err != nil {
		return "", err
	}
	message, err := s.takeUp()
	if err != nil {
		s.log.Error("config not reloaded: the old one stays in force", "config", s.options.path, "error", oneLine(err))
		err = fmt.Errorf("%s: the old config stays in force", oneLine(err))
	} else {
		s.sensors.forgetRules()
		s.log.Info(message, "config", s.options.path)
	}
	if notifyErr := s.notify(daemon.SdNotifyReady); err == nil {
		err = notifyErr
	}
	return message, err
}

// takeUp reads the config and puts it in force.
func (s *service) takeUp() (string, error) {
	own, err := configLoader().Load(s.options.path)
	if err != nil {
		return "", err
	}
	message := ""
	err = s.fleet.over(own, func(next config.Config) (err error) {
		message, err = s.putInForce(next)
		return err
	})
	return message, err
}

// putInForce puts a config in force as a whole, or says why it cannot be, and what has changed.
func (s *service) putInForce(next config.Config) (string, error) {
	live, restart := changes(*s.cfg.Load(), next)
	switch {
	case len(restart) == 1:
		return "", fmt.Errorf("%s changed, which needs a restart", restart[0])
	case len(restart) > 1:
		return "", fmt.Errorf("%s changed, which need a restart", strings.Join(restart, ", "))
	case len(live) == 0:
		return "reloaded: nothing changed", nil
	}
	if need := roomNeeded(next); need > s.wire.room {
		return "", fmt.Errorf("safety.max_rate %g: more than the table of expected replies has room for since the start, which needs a restart", next.Safety.MaxRate)
	}
	if err := s.apply(next); err != nil {
		return "", err
	}
	return "reloaded; changed: " + strings.Join(live, ", "), nil
}

// undoable is a part of a reload that may fail, and what takes it back.
type undoable struct {
	do, undo func() error
}

// apply puts a config in force: first what may fail, each step taken back
// where a later one does; then what cannot.
func (s *service) apply(next config.Config) error {
	now := *s.cfg.Load()
	var mixed *mixture
	nothing := func() error { return nil }
	wider := next
	wider.Safety.MaxRate = max(now.Safety.MaxRate, next.Safety.MaxRate) // until the rate is the new one
	steps := []undoable{
		{func() error { return s.valve.allow(next.Safety) }, func() error { return s.valve.allow(now.Safety) }},
		{func() error { return s.valve.bound(wider) }, func() error { return s.valve.bound(now) }},
		{func() error { return s.store.AddLabels(labelNames(next)) }, nothing}, // an empty directory harms nobody
	}
	if !reflect.DeepEqual(now.Labels, next.Labels) {
		steps = append(steps,
			undoable{func() error { return s.wire.setLabels(next.Labels) }, func() error { return s.wire.setLabels(now.Labels) }},
			undoable{func() error { return s.tap.setLabels(next.Labels) }, func() error { return s.tap.setLabels(now.Labels) }})
	}
	steps = append(steps,
		undoable{func() (err error) { mixed, err = s.mix(next); return err }, nothing},
		undoable{func() error { return s.scrub(next) }, func() error { return s.scrub(now) }},
		undoable{func() error { return s.store.SetMaxBytes(int64(next.State.MaxBytes)) }, nothing}) // the last: nobody brings packets back
	if err := inTurn(steps); err != nil {
		return err
	}
	s.cfg.Store(&next)
	s.options.setLevel(next.Log.Level)
	s.draw(mixed)
	s.valve.setRate(rateOf(next))
	return s.valve.bound(next)
}

// inTurn takes every step, or takes back those that it took.
func inTurn(steps []undoable) error {
	for i, now := range steps {
		err := now.do()
		if err == nil {
			continue
		}
		for j := i; j >= 0; j-- { // the one that failed may have done half
			err = errors.Join(err, steps[j].undo())
		}
		return err
	}
	return nil
}

// reloadAlways reloads at each SIGHUP, until ctx ends.
func (s *service) reloadAlways(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.options.hangups:
			_, _ = s.reload() // it has logged the reason
		}
	}
}

// Do implements control.Daemon.
func (s *service) Do(_ context.Context, a control.Action) (string, error) {
	switch a {
	case control.Pause:
		return s.pause()
	case control.Resume:
		return s.resume()
	case control.Train:
		return s.requestTraining()
	case control.Reload:
		return s.reload()
	case control.Rollback:
		return s.rollback()
	}
	return "", fmt.Errorf("no action %q", a)
}
