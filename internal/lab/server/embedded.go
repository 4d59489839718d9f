package server

import (
	"fmt"

	"pacgan-appliance/internal/lab/plan"
)

// Embedded is the set in Go: DNS for the short table of names and HTTP for the sites.
type Embedded struct {
	dns  *dnsServer
	http *httpServer
}

// NewEmbedded makes the set; its logs are dns.jsonl and http.jsonl in dir.
func NewEmbedded(dir string) (*Embedded, error) {
	dnsLog, err := newJournal(dir, "dns.jsonl")
	if err != nil {
		return nil, err
	}
	httpLog, err := newJournal(dir, "http.jsonl")
	if err != nil {
		dnsLog.file.Close()
		return nil, err
	}
	return &Embedded{
		dns:  newDNS(append(plan.Names()[:plan.ShortNames], plan.Blocked()...), dnsLog),
		http: newHTTP(plan.Sites(), plan.Paths(), httpLog),
	}, nil
}

// Start opens the sockets of all servers.
func (e *Embedded) Start() error {
	if err := e.dns.start(plan.Resolvers()); err != nil {
		return fmt.Errorf("DNS server: %w", err)
	}
	if err := e.http.start(plan.WebServers()); err != nil {
		e.dns.stop()
		return fmt.Errorf("HTTP server: %w", err)
	}
	return nil
}

// Stop closes all sockets and waits for the servers to end.
func (e *Embedded) Stop() error {
	e.dns.stop()
	e.http.stop()
	return nil
}

// RemoveName makes a DNS name unknown.
func (e *Embedded) RemoveName(host string) error {
	if !e.dns.remove(host) {
		return fmt.Errorf("DNS name %q: the servers do not know it", host)
	}
	return nil
}

// Counts counts the answers of both servers.
func (e *Embedded) Counts() (Counts, error) {
	return Counts{"dns": e.dns.log.snapshot(), "http": e.http.log.snapshot()}, nil
}

// ResetCounts starts counting anew.
func (e *Embedded) ResetCounts() error {
	e.dns.log.reset()
	e.http.log.reset()
	return nil
}
