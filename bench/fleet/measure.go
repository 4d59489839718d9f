package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pacgan-appliance/internal/fleet"
)

// How often records are written, and how often it is seen what the hub has: the latter is how exact latencies are.
const (
	writeEvery = 100 * time.Millisecond
	lookEvery  = 20 * time.Millisecond
)

// measure runs so many gateways against a hub of their own.
func measure(ctx context.Context, o options, n int) (result, error) {
	r := result{Gateways: n}
	if err := os.MkdirAll(o.hubDir, 0o750); err != nil {
		return r, err
	}
	disk, err := os.MkdirTemp(o.hubDir, "hub-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(disk)
	spools, err := os.MkdirTemp(o.memory, "pacgan-bench-fleet-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(spools)
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("g-%03d", i))
	}
	h, err := startHub(ctx, filepath.Join(disk, "hub"), names)
	if err != nil {
		return r, err
	}
	defer h.stop()
	running, stop := context.WithCancel(ctx)
	var all []*gateway
	defer func() {
		stop()
		for _, g := range all {
			g.tasks.Wait()
			g.conn.Close()
		}
	}()
	for i, name := range names {
		g, err := newGateway(running, h, i, name, filepath.Join(spools, name))
		if err != nil {
			return r, err
		}
		all = append(all, g)
	}
	if err := h.waitForBeats(ctx, n); err != nil {
		return r, err
	}
	if err := load(ctx, o, h, all, &r); err != nil {
		return r, fmt.Errorf("%w; the hub says:\n%s", err, h.log.String())
	}
	if r.Disk, err = bytesBelow(filepath.Join(h.dir, "jetstream")); err != nil {
		return r, err
	}
	return r, h.check(ctx, all, &r)
}

// waitForBeats waits until each gateway was heard of.
func (h *hubProcess) waitForBeats(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	kv, err := h.js.KeyValue(ctx, fleet.BeatBucket)
	if err != nil {
		return err
	}
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = w.Stop() }() // ends with the connection at the latest
	for seen := map[string]bool{}; len(seen) < n; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d gateways were heard of after %v", len(seen), n, startLimit)
		case e := <-w.Updates():
			if e != nil {
				seen[e.Key()] = true
			}
		}
	}
	return nil
}

// load has the gateways write, and waits until the hub has it all.
func load(ctx context.Context, o options, h *hubProcess, all []*gateway, r *result) error {
	var err error
	if r.IdleRSS, err = memory(h.cmd.Process.Pid, "VmRSS"); err != nil {
		return err
	}
	hubBefore, err1 := cpu(h.cmd.Process.Pid)
	ownBefore, err2 := cpu(os.Getpid())
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	began := time.Now()
	if err := writeAll(ctx, o, all, began); err != nil {
		return err
	}
	r.Took = time.Since(began)
	if err := finish(ctx, all); err != nil {
		return err
	}
	r.Drained = time.Since(began) - r.Took
	hubAfter, err1 := cpu(h.cmd.Process.Pid)
	ownAfter, err2 := cpu(os.Getpid())
	r.HubCPU, r.OwnCPU = hubAfter-hubBefore, ownAfter-ownBefore
	var err3, err4 error
	r.HubRSS, err3 = memory(h.cmd.Process.Pid, "VmHWM")
	r.OwnRSS, err4 = memory(os.Getpid(), "VmRSS")
	var delays []time.Duration
	for _, g := range all {
		r.Offered += g.written
		delays = append(delays, g.delays...)
	}
	slices.Sort(delays)
	if len(delays) > 0 {
		r.P50, r.P99 = delays[len(delays)/2], delays[len(delays)*99/100]
	}
	return errors.Join(err1, err2, err3, err4)
}

// writeAll writes at the rate until the time is over. What a late tick lacks, the next has more: the rate is that of the
// options, whatever the machine does, as long as writing alone does not take longer.
func writeAll(ctx context.Context, o options, all []*gateway, began time.Time) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	next := began
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		now := time.Now()
		passed := min(now.Sub(began).Seconds(), o.seconds)
		if now.After(next) || passed == o.seconds {
			next = next.Add(writeEvery)
			due := uint64(passed * o.rate / float64(len(all)))
			for _, g := range all {
				if err := g.write(int(due-g.written), time.Now()); err != nil {
					return err
				}
			}
		}
		for _, g := range all {
			g.see(now)
		}
		if passed == o.seconds {
			return nil
		}
	}
}

// check reads the whole stream: each gateway's records have to be there once, from the first to the last in their order.
func (h *hubProcess) check(ctx context.Context, all []*gateway, r *result) error {
	next := map[string]uint64{}
	consumer, err := h.js.OrderedConsumer(ctx, fleet.TruthStream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	for r.Stored < r.Offered { // what there is beyond that is asked below
		m, err := messages.Next(jetstream.NextMaxWait(startLimit))
		if err != nil {
			return fmt.Errorf("read the stream: %w after %d records of %d", err, r.Stored, r.Offered)
		}
		name := strings.TrimPrefix(m.Subject(), fleet.TruthSubject(""))
		r.Messages++
		r.WireBytes += int64(len(m.Data()))
		for line := range bytes.Lines(m.Data()) {
			index, err := indexOf(line)
			if err != nil {
				return err
			}
			if index != next[name] {
				r.Repeated++
			}
			next[name] = index + 1
			r.Stored++
		}
	}
	r.Batch = r.Stored / max(r.Messages, 1)
	info, err := h.js.Stream(ctx, fleet.TruthStream)
	if err != nil {
		return err
	}
	if last := info.CachedInfo().State.Msgs; last != r.Messages || r.Repeated > 0 {
		return fmt.Errorf("%d messages in the stream, %d of them have all %d records; %d records are there twice or out of order", last, r.Messages, r.Offered, r.Repeated)
	}
	for _, g := range all {
		if next[g.name] != g.written {
			return fmt.Errorf("%s: %d records in the stream, %d written", g.name, next[g.name], g.written)
		}
	}
	return nil
}

var indexKey = []byte(`"index":`)

// indexOf is which of its gateway's records a line is.
func indexOf(line []byte) (uint64, error) {
	_, rest, ok := bytes.Cut(line, indexKey)
	end := bytes.IndexByte(rest, ',')
	if !ok || end < 0 {
		return 0, fmt.Errorf("no index in the record %s", line)
	}
	return strconv.ParseUint(string(rest[:end]), 10, 64)
}
