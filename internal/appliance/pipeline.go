// Package appliance wires the stages together: this file shows the pipeline,
// the others are the commands that run it. It holds no logic of a stage.
package appliance

import (
	"context"
	"errors"
	"fmt"
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
	o := capture.Options{Interface: cfg.Gateway.LAN}
	for _, l := range cfg.Labels {
		filter, err := capture.Compile(l.Filter)
		if err != nil {
			return nil, fmt.Errorf("label %q: filter %q: %w", l.Name, l.Filter, err)
		}
		o.Labels = append(o.Labels, capture.Label{Name: l.Name, Filter: filter})
	}
	c, err := capture.Open(o)
	if err != nil {
		return nil, err
	}
	return &tap{capture: c, store: store}, nil
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
	names    []string // of the labels, in the config's order
	timeout  time.Duration
}

// openWire attaches the matcher and the guard to the WAN side, in the calling
// process's network namespace. Counts begin at zero.
func openWire(cfg config.Config) (*wire, error) {
	w := &wire{timeout: cfg.Inject.Timeout}
	shape, err := shapeOf(cfg)
	if err != nil {
		return nil, err
	}
	w.verifier, err = verify.Open(verify.Options{
		Interface: shape.replies,
		Leaving:   shape.behind != "",
		Labels:    verifyLabels(cfg.Labels),
		Timeout:   cfg.Inject.Timeout,
	})
	if err != nil {
		return nil, err
	}
	o := inject.Options{
		Wire: cfg.Gateway.WAN, Behind: shape.behind, OwnSource: shape.ownSource, Maps: inject.Maps(w.verifier.Maps()),
		Allow: cfg.Safety.Allow, MaxRate: cfg.Safety.MaxRate, Timeout: cfg.Inject.Timeout,
	}
	for _, l := range cfg.Labels {
		w.names = append(w.names, l.Name)
		o.Labels = append(o.Labels, inject.Label{Name: l.Name, Expects: l.Answer != config.AnswerNone})
	}
	if w.injector, err = inject.Open(o); err != nil {
		return nil, errors.Join(err, w.verifier.Close())
	}
	return w, nil
}

// inject runs a source to its end, or until ctx ends, and waits until every
// packet has its verdict.
func (w *wire) inject(ctx context.Context, source inject.Source, o inject.RunOptions) error {
	group, ctx := errgroup.WithContext(ctx)
	verifying, stop := context.WithCancel(ctx)
	group.Go(func() error { return w.verifier.Run(verifying, w.deliver) })
	group.Go(func() error {
		defer stop()
		if _, err := w.injector.Run(ctx, source, o); err != nil {
			return err
		}
		return w.settle(ctx)
	})
	return group.Wait()
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
		counts, err := w.counts()
		if err != nil {
			return err
		}
		if totalOf(counts).Inflight == 0 {
			return nil
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
	return errors.Join(w.injector.Close(), w.verifier.Close())
}

// verifyLabels says in the matcher's terms how each label is judged.
func verifyLabels(labels []config.Label) []verify.Label {
	out := make([]verify.Label, len(labels))
	for i, l := range labels {
		out[i] = verify.Label{Name: l.Name, Answer: verify.Answer(l.Answer)}
		for _, code := range l.RCodes {
			out[i].AcceptRcodes = append(out[i].AcceptRcodes, uint8(code))
		}
		for _, r := range l.Statuses {
			out[i].AcceptStatus = append(out[i].AcceptStatus, verify.StatusRange{First: int(r.From), Last: int(r.To)})
		}
	}
	return out
}
