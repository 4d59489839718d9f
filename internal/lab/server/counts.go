// Package server is the servers' side of a lab: DNS and HTTP servers, embedded in Go or the system's
// unbound and nginx, and an exact count of what they answered. It configures no network.
package server

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// Counts is how many requests ended with each status, by label:
//
//	"dns":  "NOERROR" (with an answer), "NODATA" (without), "NXDOMAIN", "FORMERR", "NOTIMP", "REFUSED"
//	"http": the status of each response, "200", "400", "404", ...
//	"ping": "request" (echo requests received), "reply" (echo replies sent), as the kernel counts them
type Counts map[string]map[string]int

// Set is a running set of DNS and HTTP servers.
type Set interface {
	// Start opens the servers' sockets, or runs their processes, and returns when they answer.
	Start() error
	// Stop closes what Start opened. A stopped set can start again and keeps its counts.
	Stop() error
	// RemoveName makes a DNS name unknown (NXDOMAIN) for good.
	RemoveName(host string) error
	// Counts counts since the last ResetCounts; "ping" is not among them.
	Counts() (Counts, error)
	// ResetCounts sets every count to zero.
	ResetCounts() error
}

// journal writes one JSON line for each request and counts them by status.
type journal struct {
	mu     sync.Mutex
	file   *os.File
	lines  *json.Encoder
	counts map[string]int
}

func newJournal(dir, name string) (*journal, error) {
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return nil, fmt.Errorf("server log: %w", err)
	}
	return &journal{file: f, lines: json.NewEncoder(f), counts: map[string]int{}}, nil
}

// add counts a request; a log that cannot be written ends the line, not the server.
func (j *journal) add(status string, entry any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.counts[status]++
	_ = j.lines.Encode(entry)
}

func (j *journal) snapshot() map[string]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make(map[string]int, len(j.counts))
	for status, n := range j.counts {
		out[status] = n
	}
	return out
}

func (j *journal) reset() {
	j.mu.Lock()
	defer j.mu.Unlock()
	clear(j.counts)
}
