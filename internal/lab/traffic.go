package lab

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"pacgan-appliance/internal/lab/plan"
)

// Labels are what the lab's ordinary clients speak.
func Labels() []string { return []string{"ping", "dns", "http"} }

// Flagged are what the lab's testers speak: harmless, but what the rules of an IDS flag.
func Flagged() []string { return plan.Flagged() }

// TestersNetwork holds the clients that send what is flagged, and only them.
func TestersNetwork() netip.Prefix { return plan.TestersNetwork() }

// Traffic has the LAN clients make packets requests of a label: so many echo requests, DNS queries or
// GETs pass the gateway. progress (may be nil) hears the number made so far, a few times a second. It
// is an error when not one was answered.
func (l *Lab) Traffic(ctx context.Context, label string, packets int, progress func(done int)) error {
	reply, err := l.run(ctx, label, packets, progress)
	if err != nil {
		return err
	}
	if packets > 0 && reply.OK == 0 {
		return fmt.Errorf("lab: %s: not one of %d requests was answered", label, reply.Made)
	}
	return nil
}

// Client has the LAN clients make n requests of a label and returns how many were answered as they
// should be: it measures whether something disturbs them.
func (l *Lab) Client(ctx context.Context, label string, n int) (ok int, err error) {
	reply, err := l.run(ctx, label, n, nil)
	return reply.OK, err
}

// StartServers starts the servers again after StopServers.
func (l *Lab) StartServers(ctx context.Context) error {
	return labError(l.servers.call(ctx, "Start", struct{}{}, &struct{}{}))
}

// StopServers makes the servers silent: their processes end and their machine answers nothing more,
// no ping, no RST, no ICMP error. Its ARP still answers, as the switch's or router's before it would.
func (l *Lab) StopServers(ctx context.Context) error {
	return labError(l.servers.call(ctx, "Stop", struct{}{}, &struct{}{}))
}

// RemoveName makes one of Names unknown to the servers: they answer NXDOMAIN.
func (l *Lab) RemoveName(ctx context.Context, host string) error {
	return labError(l.servers.call(ctx, "RemoveName", host, &struct{}{}))
}

// Counts is what the servers answered since the last ResetCounts. A server writes its log when it has
// answered, so that the last requests may be missing for a moment.
func (l *Lab) Counts(ctx context.Context) (Counts, error) {
	var counts Counts
	err := l.servers.call(ctx, "Counts", struct{}{}, &counts)
	return counts, labError(err)
}

// ResetCounts has the servers count from zero.
func (l *Lab) ResetCounts(ctx context.Context) error {
	return labError(l.servers.call(ctx, "ResetCounts", struct{}{}, &struct{}{}))
}

// run makes requests, tells how far it is, and cancels them when ctx ends.
func (l *Lab) run(ctx context.Context, label string, n int, progress func(int)) (RunReply, error) {
	const golden = 0x9e3779b97f4a7c15 // spreads consecutive runs over the seeds
	id := l.runs.Add(1)
	args := RunArgs{ID: id, Label: label, N: n, Seed: l.options.Seed + id*golden}
	var reply RunReply
	done := make(chan error, 1)
	go func() { done <- l.lan.call(context.Background(), "Run", args, &reply) }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return l.finish(ctx, reply, labError(err), progress)
		case <-tick.C:
		}
		if ctx.Err() != nil { // again at each tick: the first may overtake the run's start
			_ = l.lan.call(context.Background(), "Cancel", id, &struct{}{})
			continue
		}
		l.report(ctx, id, progress)
	}
}

func (l *Lab) finish(ctx context.Context, reply RunReply, err error, progress func(int)) (RunReply, error) {
	if ctx.Err() != nil {
		return reply, ctx.Err()
	}
	if err == nil && progress != nil {
		progress(reply.Made)
	}
	return reply, err
}

// report passes a run's progress on; a process that is gone is run's to report.
func (l *Lab) report(ctx context.Context, id uint64, progress func(int)) {
	if progress == nil {
		return
	}
	var so RunReply
	if err := l.lan.call(ctx, "Progress", id, &so); err == nil && so.Made > 0 {
		progress(so.Made)
	}
}
