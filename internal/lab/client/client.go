// Package client is the LAN side of a lab: clients that ping, resolve and fetch from many addresses,
// in Go over the kernel's own sockets, or with the system's ping, dig and curl. It configures no network.
package client

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// timeout is how long a client waits for one answer.
const timeout = 2 * time.Second

// Burst is what one client does at a time: at most `most` requests (at least one) from one address.
// It says how many it made and how many were answered as they should be. An answer that is missing
// or wrong is no error; a client that cannot ask is.
type Burst func(ctx context.Context, rng *rand.Rand, from netip.Addr, most int) (made, ok int, err error)

// Kind is how the clients at some addresses ask for one label's answers.
type Kind struct {
	From  []netip.Addr
	Burst Burst
}

// Set is a kind for each label, and how many bursts run at once.
type Set struct {
	Workers int
	Kinds   map[string]Kind
}

// Progress is how far a run is; safe for concurrent use.
type Progress struct {
	made, ok atomic.Int64
}

// Made is the number of requests so far.
func (p *Progress) Made() int { return int(p.made.Load()) }

// OK is the number of requests so far that were answered as they should be.
func (p *Progress) OK() int { return int(p.ok.Load()) }

// Run makes n requests of a label. Each worker draws clients, servers and sizes from its own stream of
// seed, so that the same seed gives each worker the same sequence of requests.
func (s *Set) Run(ctx context.Context, label string, n int, seed uint64, p *Progress) error {
	kind, known := s.Kinds[label]
	if !known {
		return fmt.Errorf("label %q: no lab client speaks it: want one of %s", label, strings.Join(slices.Sorted(maps.Keys(s.Kinds)), ", "))
	}
	var left atomic.Int64
	left.Store(int64(n))
	share := 1 + n/s.Workers // so that a few requests are spread over all workers
	g, ctx := errgroup.WithContext(ctx)
	for worker := range s.Workers {
		g.Go(func() error { return work(ctx, kind, newRand(seed, label, worker), share, &left, p) })
	}
	return g.Wait()
}

func work(ctx context.Context, kind Kind, rng *rand.Rand, share int, left *atomic.Int64, p *Progress) error {
	for ctx.Err() == nil {
		most := take(left, min(share, 4+rng.IntN(5)))
		if most == 0 {
			return nil
		}
		from := pick(rng, kind.From)
		for most > 0 && ctx.Err() == nil {
			made, ok, err := kind.Burst(ctx, rng, from, most)
			if ctx.Err() != nil {
				break
			}
			if err != nil {
				return err
			}
			p.made.Add(int64(made))
			p.ok.Add(int64(ok))
			most -= made
		}
	}
	return ctx.Err()
}

// take reserves up to n requests of what is left.
func take(left *atomic.Int64, n int) int {
	after := left.Add(int64(-n))
	return max(0, min(n, n+int(after)))
}

// newRand is worker number `worker`'s stream for a label.
func newRand(seed uint64, label string, worker int) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d", label, worker)
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

// unanswered says that an error of a socket means a server which did not answer, and not a client
// which could not ask.
func unanswered(err error) bool {
	var t interface{ Timeout() bool }
	if errors.As(err, &t) && t.Timeout() {
		return true
	}
	for _, e := range []error{
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EHOSTUNREACH, syscall.ENETUNREACH, io.EOF, io.ErrUnexpectedEOF,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return strings.Contains(err.Error(), "malformed HTTP")
}
