// Package appliance wires the stages together: this file shows the pipeline,
// the others are the commands that run it. It holds no logic of a stage.
package appliance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"pacgan-appliance/internal/capture"
	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/inject"
	"pacgan-appliance/internal/verify"
)

// tap is the first half of the pipeline: LAN side -> capture -> dataset.
type tap struct {
	capture *capture.Capture
	store   *dataset.Store
}

// openTap attaches the capture to the LAN side, in the calling process's
// network namespace.
func openTap(cfg config.Config, store *dataset.Store) (*tap, error) {
	labels, err := captureLabels(cfg.Labels)
	if err != nil {
		return nil, err
	}
	c, err := capture.Open(capture.Options{Interface: cfg.Gateway.LAN, Labels: labels})
	if err != nil {
		return nil, err
	}
	return &tap{capture: c, store: store}, nil
}

// setLabels captures other labels from now on, or goes on as before.
func (t *tap) setLabels(labels []config.Label) error {
	next, err := captureLabels(labels)
	if err != nil {
		return err
	}
	return t.capture.SetLabels(next)
}

// captureLabels compiles the labels' filters.
func captureLabels(labels []config.Label) ([]capture.Label, error) {
	out := make([]capture.Label, len(labels))
	for i, l := range labels {
		filter, err := capture.Compile(l.Filter)
		if err != nil {
			return nil, fmt.Errorf("label %q: filter %q: %w", l.Name, l.Filter, err)
		}
		out[i] = capture.Label{Name: l.Name, Filter: filter}
	}
	return out, nil
}

// run stores what is captured until ctx ends.
func (t *tap) run(ctx context.Context) error {
	return t.capture.Run(ctx, t.store.Append)
}

// wire is the second half: packets -> checksums, next hop, conversations ->
// guard -> wire, and its replies -> matcher -> verdicts.
type wire struct {
	verifier *verify.Verifier
	injector *inject.Injector
	slots    *slots
	lock     io.Closer
	truth    *testimony // nil: no record is kept
	name     string     // of the interface
	dropped  uint64     // by the interface, before us
	room     int        // for packets whose replies are expected
	timeout  time.Duration
}

// openWire attaches the matcher and the guard to the WAN side, in the calling
// process's network namespace, with so many origins of packets to count apart.
// Counts begin at zero.
func openWire(cfg config.Config, origins origin) (*wire, error) {
	shape, err := shapeOf(cfg)
	if err != nil {
		return nil, err
	}
	lock, err := lockWire()
	if err != nil {
		return nil, err
	}
	w := &wire{
		lock: lock, name: cfg.Gateway.WAN, dropped: transmitDrops(cfg.Gateway.WAN),
		timeout: cfg.Inject.Timeout, slots: newSlots(origins, cfg.Labels), room: roomFor(cfg),
	}
	judged := verify.Options{
		Interface: shape.replies, Leaving: shape.behind != "", Timeout: cfg.Inject.Timeout, Expectations: w.room,
	}
	injected := inject.Options{
		Wire: cfg.Gateway.WAN, Behind: shape.behind, OwnSource: shape.ownSource, Engine: inject.Engine(cfg.Inject.Engine),
		Sides: []string{cfg.Gateway.LAN}, Allow: cfg.Safety.Allow, Named: cfg.Safety.AllowReserved,
		MaxRate: cfg.Safety.MaxRate, Timeout: cfg.Inject.Timeout,
	}
	if w.truth, err = openTestimony(cfg, w.room); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if w.truth != nil {
		judged.Tell, injected.Recorder = w.truth.Tell, w.truth
	}
	for _, l := range cfg.Labels {
		for range origins {
			w.truth.setLabel(len(judged.Labels), l)
			judged.Labels = append(judged.Labels, verifyLabel(l))
			injected.Labels = append(injected.Labels, injectLabel(l))
		}
	}
	if w.verifier, err = verify.Open(judged); err != nil {
		return nil, errors.Join(err, w.truth.close(), lock.Close())
	}
	w.truth.hear(w.verifier)
	injected.Maps = inject.Maps(w.verifier.Maps())
	if w.injector, err = inject.Open(injected); err != nil {
		return nil, errors.Join(err, w.verifier.Close(), w.truth.close(), lock.Close())
	}
	return w, nil
}

// Bounds of the table of expected replies. The sweep looks at all of it, four
// times a second: a table for 1,000 packets a second takes a hundredth of the
// time of one for 100,000.
const (
	leastRoom = 1 << 14
	mostRoom  = 1 << 24 // verify's own bound
	spareRoom = 4       // times what the config needs, for a reload that raises safety.max_rate
)

// roomNeeded is how many packets await replies at once, or linger after them,
// where a config's bounds are reached.
func roomNeeded(cfg config.Config) int {
	return int(min(2*cfg.Safety.MaxRate*cfg.Inject.Timeout.Seconds(), mostRoom))
}

// roomFor is the size of the table that a config is given.
func roomFor(cfg config.Config) int {
	need := roomNeeded(cfg)
	size := leastRoom
	for size < need || size < spareRoom*need && size < verify.DefaultExpectations {
		size <<= 1
	}
	return size
}

// inject runs a source to its end, or until ctx ends, and waits until every
// packet has its verdict: at most the timeout, even where ctx has ended.
func (w *wire) inject(ctx context.Context, source inject.Source, o inject.RunOptions) (inject.Summary, error) {
	verifying, stop := context.WithCancel(context.WithoutCancel(ctx))
	group, verifying := errgroup.WithContext(verifying)
	group.Go(func() error { return w.verifier.Run(verifying, w.deliver) })
	var summary inject.Summary
	group.Go(func() error {
		defer stop()
		running, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(verifying, cancel)()
		var err error
		if summary, err = w.injector.Run(running, source, o); err != nil {
			return err
		}
		return w.settle(verifying)
	})
	err := group.Wait()
	w.truth.settle(err == nil)
	return summary, cmp.Or(err, ctx.Err())
}

// deliver hands a conversation's segment from the matcher to the injector.
func (w *wire) deliver(s verify.Segment) {
	w.injector.Deliver(inject.Segment{
		ID: s.ID, Seq: s.Seq, Ack: s.Ack, Length: s.Length, Flags: s.Flags, Decided: s.Decided, Options: s.Options,
	})
}

// settleTick is how often settle looks whether packets are still in flight.
const settleTick = 50 * time.Millisecond

// settle waits until no packet is in flight: at most the timeout, and the
// sweep after it, from the last packet on.
func (w *wire) settle(ctx context.Context) error {
	tick := time.NewTicker(settleTick)
	defer tick.Stop()
	for {
		inflight, err := w.verifier.Inflight()
		if err != nil || inflight == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// close takes both programs off the wire.
func (w *wire) close() error {
	return errors.Join(w.injector.Close(), w.truth.close(), w.verifier.Close(), w.lock.Close())
}

// setLabels has other labels injected and judged from now on. Those that go
// keep their counts. The error may leave some changed: set the old ones again.
func (w *wire) setLabels(labels []config.Label) error {
	for _, l := range labels {
		place := w.slots.find(l.Name)
		for o := range w.slots.origins {
			slot := w.slots.at(o, place)
			if slot >= verify.MaxLabels {
				return fmt.Errorf("label %q: no place of counts is left for a further label: restart", l.Name)
			}
			w.truth.setLabel(slot, l)
			if err := w.verifier.SetLabel(slot, verifyLabel(l)); err != nil {
				return err
			}
			if err := w.injector.SetLabel(slot, injectLabel(l)); err != nil {
				return err
			}
		}
		w.slots.add(l.Name)
	}
	return nil
}

func injectLabel(l config.Label) inject.Label {
	return inject.Label{Name: l.Name, Expects: l.Answer != config.AnswerNone}
}

// verifyLabel says in the matcher's terms how a label is judged.
func verifyLabel(l config.Label) verify.Label {
	out := verify.Label{Name: l.Name, Answer: verify.Answer(l.Answer), Contains: l.Contains}
	for _, code := range l.RCodes {
		out.AcceptRcodes = append(out.AcceptRcodes, uint8(code))
	}
	for _, r := range l.Statuses {
		out.AcceptStatus = append(out.AcceptStatus, verify.StatusRange{First: int(r.From), Last: int(r.To)})
	}
	return out
}
