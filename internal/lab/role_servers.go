package lab

import (
	"errors"
	"io"
	"sync"

	"pacgan-appliance/internal/lab/ids"
	"pacgan-appliance/internal/lab/plan"
	"pacgan-appliance/internal/lab/server"
)

// serversRole is what the "servers" process does for the gateway.
type serversRole struct {
	mu      sync.Mutex
	set     server.Set
	running bool
	door    io.Closer      // nil: open
	pings   map[string]int // the kernel's counts at the last reset
	sensor  *ids.Suricata  // nil: none runs
}

var errNoServers = errors.New("servers are not set up")

// Setup configures the servers' namespace; nothing answers but pings until Start.
func (r *serversRole) Setup(args SetupArgs, pid *string) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if *pid, err = setUp(plan.ServerHost, plan.Servers()); err != nil {
		return err
	}
	if r.pings, err = server.PingCounts(); err != nil {
		return err
	}
	r.set, err = newServers(args)
	return err
}

// Start starts the servers, if they are not running, and lets packets in.
func (r *serversRole) Start(struct{}, *struct{}) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.set == nil {
		return errNoServers
	}
	if !r.running {
		if err := r.set.Start(); err != nil {
			return err
		}
		r.running = true
	}
	return r.openDoor()
}

// Stop shuts all packets out, pings too, and stops the servers.
func (r *serversRole) Stop(struct{}, *struct{}) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.set == nil {
		return errNoServers
	}
	if r.door == nil {
		if r.door, err = server.ShutDoor(plan.ServerHost); err != nil {
			return err
		}
	}
	if !r.running {
		return nil
	}
	r.running = false
	return r.set.Stop()
}

// RemoveName makes a DNS name unknown.
func (r *serversRole) RemoveName(host string, _ *struct{}) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.set == nil {
		return errNoServers
	}
	return r.set.RemoveName(host)
}

// Counts counts requests by label and status since the last ResetCounts.
func (r *serversRole) Counts(_ struct{}, reply *server.Counts) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.set == nil {
		return errNoServers
	}
	counts, err := r.set.Counts()
	if err != nil {
		return err
	}
	pings, err := server.PingCounts()
	if err != nil {
		return err
	}
	for status := range pings {
		pings[status] -= r.pings[status]
	}
	counts["ping"] = pings
	*reply = counts
	return nil
}

// ResetCounts starts counting anew.
func (r *serversRole) ResetCounts(struct{}, *struct{}) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.set == nil {
		return errNoServers
	}
	if r.pings, err = server.PingCounts(); err != nil {
		return err
	}
	return r.set.ResetCounts()
}

// end stops what runs when the gateway has hung up; what resists dies with its namespace.
func (r *serversRole) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sensor != nil {
		_ = r.sensor.Kill()
	}
	if r.running {
		_ = r.set.Stop()
	}
}

func (r *serversRole) openDoor() error {
	if r.door == nil {
		return nil
	}
	err := r.door.Close()
	r.door = nil
	return err
}
