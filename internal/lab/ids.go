package lab

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"pacgan-appliance/internal/lab/ids"
	"pacgan-appliance/internal/lab/plan"
)

// Sensors are the intrusion detection systems that a lab can run beside its servers.
func Sensors() []string { return []string{"suricata"} }

// ParseSensor reads the value of --ids; "" is none.
func ParseSensor(s string) (string, error) {
	if s == "" || slices.Contains(Sensors(), s) {
		return s, nil
	}
	return "", fmt.Errorf("--ids %q: want suricata, or nothing", s)
}

var errNoSensor = errors.New("no sensor is running")

// StartIDS runs Suricata on the servers' interface, with one local rule for each label of Flagged, and
// returns when it sees every packet.
func (l *Lab) StartIDS(ctx context.Context) error {
	return labError(l.servers.call(ctx, "StartIDS", l.sensorDir(), &struct{}{}))
}

// StopIDS ends it when it has looked at all that has passed; its log is whole then. It says how many frames
// the sensor was too slow for.
func (l *Lab) StopIDS(ctx context.Context) (lost uint64, err error) {
	err = labError(l.servers.call(ctx, "StopIDS", struct{}{}, &lost))
	return lost, err
}

// KillIDS ends it as a crash does.
func (l *Lab) KillIDS(ctx context.Context) error {
	return labError(l.servers.call(ctx, "KillIDS", struct{}{}, &struct{}{}))
}

// DropRules deletes the rules of some labels, or of none, and has the running sensor read them anew.
func (l *Lab) DropRules(ctx context.Context, labels ...string) error {
	return labError(l.servers.call(ctx, "DropRules", labels, &struct{}{}))
}

// EVE is the sensor's log, Suricata's EVE JSON.
func (l *Lab) EVE() string { return ids.EVE(l.sensorDir()) }

func (l *Lab) sensorDir() string { return filepath.Join(l.options.LogDir, "suricata") }

// StartIDS runs the sensor in the servers' namespace.
func (r *serversRole) StartIDS(dir string, _ *struct{}) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sensor != nil {
		return errors.New("the sensor is running already")
	}
	r.sensor, err = ids.Start(dir, plan.ServerHost, ids.Rules())
	return err
}

// StopIDS ends the sensor in order.
func (r *serversRole) StopIDS(_ struct{}, lost *uint64) error {
	return r.endSensor(func(s *ids.Suricata) (err error) {
		*lost, err = s.Stop()
		return err
	})
}

// KillIDS kills it.
func (r *serversRole) KillIDS(struct{}, *struct{}) error { return r.endSensor((*ids.Suricata).Kill) }

func (r *serversRole) endSensor(end func(*ids.Suricata) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sensor == nil {
		return errNoSensor
	}
	err := end(r.sensor)
	r.sensor = nil
	return err
}

// DropRules has the sensor go by all rules but those of the labels.
func (r *serversRole) DropRules(labels []string, _ *struct{}) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sensor == nil {
		return errNoSensor
	}
	return r.sensor.SetRules(slices.DeleteFunc(ids.Rules(), func(rule ids.Rule) bool { return slices.Contains(labels, rule.Label) }))
}
