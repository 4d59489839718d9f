package appliance

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/control"
)

// setting is a part of the config that is in force as a whole. A live one can
// change in a running daemon.
type setting struct {
	key  string
	live bool
	of   func(config.Config) any
}

// settings are all there are: a test holds them against config.Config.
func settings() []setting {
	return []setting{
		{"gateway.lan", false, func(c config.Config) any { return c.Gateway.LAN }},
		{"gateway.wan", false, func(c config.Config) any { return c.Gateway.WAN }},
		{"gateway.nat", false, func(c config.Config) any { return c.Gateway.NAT }},
		{"safety.allow", true, func(c config.Config) any { return texts(c.Safety.Allow) }},
		{"safety.max_rate", true, func(c config.Config) any { return c.Safety.MaxRate }},
		{"label", false, func(c config.Config) any { return withoutShares(c.Labels) }},
		{"label.share", true, func(c config.Config) any { return shares(c) }},
		{"train.schedule", true, func(c config.Config) any { return c.Train.Schedule }},
		{"train.min_packets", true, func(c config.Config) any { return c.Train.MinPackets }},
		{"train.recipe", true, func(c config.Config) any { return c.Train.Recipe }},
		{"train.max_memory", true, func(c config.Config) any { return c.Train.MaxMemory }},
		{"inject.rate", true, func(c config.Config) any { return c.Inject.Rate }},
		{"inject.source", false, func(c config.Config) any { return c.Inject.Source }},
		{"inject.source_address", false, func(c config.Config) any { return c.Inject.SourceAddress }},
		{"inject.timeout", false, func(c config.Config) any { return c.Inject.Timeout }},
		{"state.dir", false, func(c config.Config) any { return c.State.Dir }},
		{"state.max_bytes", false, func(c config.Config) any { return c.State.MaxBytes }},
		{"web.listen", false, func(c config.Config) any { return c.Web.Listen }},
		{"ids.eve", false, func(c config.Config) any { return c.IDS.EVE }},
	}
}

// texts are values as the config writes them: an empty list and none are one.
func texts[T fmt.Stringer](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = v.String()
	}
	return out
}

func withoutShares(labels []config.Label) []config.Label {
	out := append([]config.Label(nil), labels...)
	for i := range out {
		out[i].Share = 0
	}
	return out
}

// changes are the keys that differ: those that a running daemon can take up,
// and those that it cannot.
func changes(from, to config.Config) (live, restart []string) {
	for _, s := range settings() {
		switch {
		case reflect.DeepEqual(s.of(from), s.of(to)):
		case s.live:
			live = append(live, s.key)
		default:
			restart = append(restart, s.key)
		}
	}
	return live, restart
}

// reload reads the config again and puts it in force as a whole, or leaves
// the old one in force and says why.
func (s *service) reload() (string, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	reloading := fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, monotonic()/1000)
	if err := s.notify(reloading); err != nil {
		return "", err
	}
	message, err := s.takeUp()
	if err != nil {
		s.log.Error("config not reloaded: the old one stays in force", "config", s.options.path, "error", oneLine(err))
		err = fmt.Errorf("%s: the old config stays in force", oneLine(err))
	} else {
		s.log.Info(message, "config", s.options.path)
	}
	if notifyErr := s.notify(daemon.SdNotifyReady); err == nil {
		err = notifyErr
	}
	return message, err
}

// takeUp does what may fail first, the allow-list last of it; what comes
// after cannot fail.
func (s *service) takeUp() (string, error) {
	next, err := configLoader().Load(s.options.path)
	if err != nil {
		return "", err
	}
	if err := servable(next); err != nil {
		return "", err
	}
	live, restart := changes(*s.cfg.Load(), next)
	switch {
	case len(restart) == 1:
		return "", fmt.Errorf("%s changed, which needs a restart", restart[0])
	case len(restart) > 1:
		return "", fmt.Errorf("%s changed, which need a restart", strings.Join(restart, ", "))
	case len(live) == 0:
		return "reloaded: nothing changed", nil
	}
	mixed, err := s.mix(next)
	if err != nil {
		return "", err
	}
	if err := s.valve.allow(next.Safety.Allow); err != nil {
		return "", err
	}
	s.cfg.Store(&next)
	if mixed != nil {
		s.draw(mixed)
	}
	s.valve.setRate(rateOf(next))
	return "reloaded: " + strings.Join(live, ", ") + " changed", nil
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
	}
	return "", fmt.Errorf("no action %q", a)
}

func (s *service) pause() (string, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	changed, err := s.valve.pause()
	if err != nil {
		return "", err
	}
	if !changed {
		return "paused already", nil
	}
	s.log.Info("paused by request: nothing is injected until resume")
	return "paused: nothing is injected until resume", nil
}

func (s *service) resume() (string, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	changed, err := s.valve.resume(s.cfg.Load().Safety.Allow)
	if err != nil {
		return "", err
	}
	if !changed {
		return "not paused", nil
	}
	s.log.Info("resumed by request")
	return "resumed", nil
}
