package appliance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/member"
	"pacgan-appliance/internal/web"
)

// What belongs to the fleet is kept in fleetDir, in the state directory.
const (
	fleetDir    = "fleet"
	desiredFile = "desired.json"
)

// membership is the daemon's place in a fleet. A nil one has none: the gateway's own config is all there is.
type membership struct {
	member.Gateway
	desired *member.Desired
	own     atomic.Pointer[config.Config] // the gateway's, without what is laid over it
	models  fleetModels                   // nil: whatever the hub desires, models are the gateway's own affair
}

// fleetModels does what the hub desires of models, beside the config.
type fleetModels interface {
	// want is told which wish is in force, at the start and with each change. It must not wait.
	want(fleet.Desired)
	// tried is what became of the last model that was desired; nil: none was.
	tried() *fleet.Tried
	// run does its work with a connection, which comes and goes, until ctx ends.
	run(ctx context.Context, c *nats.Conn, js jetstream.JetStream) error
}

// openMembership takes the place in the fleet that a config names; nil: it names none.
func openMembership(own config.Config, log *slog.Logger) (*membership, error) {
	if own.Fleet.URL == "" {
		return nil, nil
	}
	key, err := fleet.LoadKey(own.Fleet.Key)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(own.State.Dir, fleetDir)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	m := &membership{}
	if m.desired, err = member.OpenDesired(filepath.Join(dir, desiredFile), log); err != nil {
		return nil, err
	}
	f := own.Fleet
	m.Options = fleet.Options{URL: f.URL, Name: f.Name, Key: f.Key, CA: f.CA, Log: log}
	m.State, m.Key, m.Hub = dir, key, f.Hub
	if own.Truth.Enabled {
		m.Truth = truthDirOf(own)
	}
	return m, nil
}

// over has put, which may refuse it, called with the gateway's own config and what the hub desires laid over it. Where
// that does not fit any more, less is.
func (m *membership) over(own config.Config, put func(config.Config) error) error {
	if m == nil {
		return put(own)
	}
	err := m.desired.Again(func(w member.Wish) error { return m.overlay(own, w, put) })
	if err == nil {
		m.own.Store(&own)
	}
	return err
}

// atStart is the config to start with.
func (m *membership) atStart(own config.Config) (out config.Config, err error) {
	err = m.over(own, func(c config.Config) error { out = c; return nil })
	return out, err
}

func (m *membership) overlay(own config.Config, w member.Wish, put func(config.Config) error) error {
	next, err := configLoader().Overlay(own, fmt.Sprintf("desired revision %d", w.Revision), []byte(w.Config))
	if err == nil {
		err = put(next)
	}
	if err != nil {
		return errors.New(oneLine(err)) // it is shown where there is one line
	}
	return nil
}

// connectFleet has the daemon do its part of the membership: what the hub hears of it, and what it does for the hub.
func (s *service) connectFleet() {
	m := s.fleet
	m.Beat, m.Take = s.fleetBeat, s.takeWish
	m.Do = func(action string) (string, error) {
		if action == fleet.Pause {
			return s.pause()
		}
		return s.resume()
	}
	if s.learner != nil {
		m.models = s.learner
		m.models.want(m.desired.InForce().Desired)
		m.With = m.models.run
	}
}

// fleetJobs are the daemon's tasks of a fleet.
func (s *service) fleetJobs() []job {
	if s.fleet == nil {
		return nil
	}
	return []job{{"fleet", atOnce(s.fleet.Run), nil}}
}

// takeWish puts in force what the hub desires, as a whole or not at all.
func (s *service) takeWish(w member.Wish, fault error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.reloading.beat()
	defer s.reloading.stop()
	m := s.fleet
	m.desired.Take(w, fault, func(w member.Wish) error {
		return m.overlay(*m.own.Load(), w, func(next config.Config) error {
			message, err := s.putInForce(next)
			if err == nil {
				s.log.Info(message, "by", "the hub", "revision", w.Revision)
			}
			return err
		})
	})
	if m.models != nil {
		m.models.want(m.desired.InForce().Desired)
	}
}

// fleetBeat is how the daemon fares, from what the page and the metrics show.
func (s *service) fleetBeat() (fleet.Beat, error) {
	now, err := s.snapshot()
	if err != nil {
		return fleet.Beat{}, err
	}
	b := beatOf(&now)
	b.Applied, b.Refused = s.fleet.desired.InForce().Revision, s.fleet.desired.Refused()
	if live := s.current.Load(); live != nil {
		b.ModelSHA256 = live.manifest.GeneratorSHA256
	}
	if s.fleet.models != nil {
		b.Tried = s.fleet.models.tried()
	}
	return b, nil
}

// beatOf tells the hub what a snapshot tells a person.
func beatOf(now *web.Snapshot) fleet.Beat {
	b := fleet.Beat{Version: now.Version, Time: now.Time, State: string(now.State), Status: now.Status, Rate: now.RateAsked}
	if now.Model != nil {
		b.Model, b.ModelAt = now.Model.ID, now.Model.Created
	}
	for i := range now.Labels {
		l := &now.Labels[i]
		b.OnWire += l.OnWire
		b.Labels = append(b.Labels, fleet.LabelBeat{Name: l.Name, Generated: l.Generated, Inflight: l.Inflight, Answered: l.Answered, Unasked: l.Unasked})
	}
	for i := range now.IDS {
		for _, l := range now.IDS[i].Labels {
			b.Sensors = append(b.Sensors, fleet.IDSScore{Sensor: now.IDS[i].Name, Label: l.Name, Malicious: l.Malicious, Flows: l.Detected.Of, Alerted: l.Detected.Hits})
		}
	}
	return b
}

// FleetStatus is the daemon's place in its fleet.
type FleetStatus struct {
	URL       string          `json:"url"`
	Name      string          `json:"name"`
	Connected bool            `json:"connected"`
	Applied   uint64          `json:"applied"`           // revision of what the hub desires that is in force; 0: none
	Refused   *fleet.Refusal  `json:"refused,omitempty"` // a later one; none: there is none
	Spool     fleet.SpoolBeat `json:"spool"`
}

// status is nil without a fleet.
func (m *membership) status() *FleetStatus {
	if m == nil {
		return nil
	}
	return &FleetStatus{
		URL: m.Options.URL, Name: m.Options.Name, Connected: m.Connected(), Applied: m.desired.InForce().Revision, Refused: m.desired.Refused(), Spool: m.Spool(),
	}
}

// warnings say what of the fleet wants a person.
func (f *FleetStatus) warnings() []string {
	var out []string
	if f == nil {
		return out
	}
	if f.Refused != nil {
		out = append(out, fmt.Sprintf("fleet: revision %d of what the hub desires is refused: %s", f.Refused.Revision, f.Refused.Reason))
	}
	if f.Spool.Lost > 0 {
		out = append(out, "fleet: "+thousands(f.Spool.Lost)+" bytes of truth were removed for room before the hub had them: raise truth.max_bytes, or see to the hub")
	}
	return out
}

// line is the place in the fleet, for a person.
func (f *FleetStatus) line() string {
	state := "connected"
	if !f.Connected {
		state = "not connected: this gateway goes on by itself"
	}
	return fmt.Sprintf("fleet %s as %s: %s; %s bytes of truth to hand over", f.URL, f.Name, state, thousands(uint64(f.Spool.Bytes)))
}

// web is the place in the fleet as the page and the metrics have it.
func (f *FleetStatus) web() *web.Fleet {
	if f == nil {
		return nil
	}
	out := &web.Fleet{Name: f.Name, Connected: f.Connected, Waiting: uint64(f.Spool.Bytes), Sent: f.Spool.Sent, Lost: f.Spool.Lost}
	if f.Refused != nil {
		out.Refused = f.Refused.Reason
	}
	return out
}
