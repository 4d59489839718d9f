package appliance

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/quality"
)

const (
	// canaryPackets of each label are injected from a model that is tried.
	canaryPackets = 200
	// canaryControls captured packets of each label are injected beside them.
	canaryControls = 20
	// trialTick is how often is looked whether a trial's packets have their ends.
	trialTick = 100 * time.Millisecond
)

// try injects a trial's packets beside the others and waits until each of them
// has its end. It returns the counts before and after.
func (s *service) try(ctx context.Context, t *trial) (before, after tally, err error) {
	s.trying.Lock()
	defer s.trying.Unlock()
	if before, err = s.counts(); err != nil {
		return before, after, err
	}
	defer s.valve.release()
	if err := s.valve.try(ctx, t); err != nil {
		return before, after, err
	}
	tick := time.NewTicker(trialTick)
	defer tick.Stop()
	for {
		if after, err = s.counts(); err != nil {
			return before, after, err
		}
		waiting := totalOf(after[fromCanary]).Inflight
		if !s.replays() { // else there are always some
			waiting += totalOf(after[fromCapture]).Inflight
		}
		if waiting == 0 {
			return before, after, nil
		}
		select {
		case <-ctx.Done():
			return before, after, ctx.Err()
		case <-tick.C:
		}
	}
}

// canary injects packets of a model that is not in use, counted apart, beside
// the current model's and captured ones.
func (s *service) canary(ctx context.Context, id string) (*model.Canary, error) {
	m, manifest, err := model.Load(filepath.Join(s.models, id))
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(labelNames(*s.cfg.Load()), func(name string) bool { return !slices.Contains(m.Labels, name) })
	seed := seedNow()
	candidate, err := newModelSource(m, names, newShareOrder(slices.Repeat([]float64{1}, len(names))), canaryPackets, seed)
	if err != nil {
		return nil, err
	}
	candidate.origin = s.wire.truth.origin(id, manifest, seed)
	candidate.slots = s.wire.slots.slotsOf(fromCanary, names)
	c := &model.Canary{Began: time.Now()}
	before, after, err := s.try(ctx, newTrial(candidate, newControls(s.recent, names, s.wire.slots), canaryControls))
	if err != nil {
		return nil, err
	}
	var silent []string // and nothing was captured to tell why
	for i, name := range names {
		l := model.CanaryLabel{Label: name, Variety: varietyOf(candidate.kept[i])}
		l.Model = passed(before.of(fromCanary, name), after.of(fromCanary, name))
		l.Current = passed(before.of(fromModel, name), after.of(fromModel, name))
		l.Ceiling = passed(before.of(fromCapture, name), after.of(fromCapture, name))
		if l.CurrentVariety, err = s.currentVariety(name); err != nil {
			return nil, err
		}
		if l.Model.Decided > 0 && l.Model.Answered == 0 && l.Ceiling.Decided == 0 {
			silent = append(silent, name)
		}
		c.Labels = append(c.Labels, l)
	}
	err = s.lateControls(ctx, c, silent)
	c.Seconds = time.Since(c.Began).Seconds()
	return c, err
}

// lateControls injects captured packets of labels that had none when the
// canary was injected: by now those are old enough.
func (s *service) lateControls(ctx context.Context, c *model.Canary, names []string) error {
	if len(names) == 0 {
		return nil
	}
	if !wait(ctx, ripeAge) {
		return ctx.Err()
	}
	before, after, err := s.try(ctx, newTrial(nil, newControls(s.recent, names, s.wire.slots), canaryControls))
	if err != nil {
		return err
	}
	for i := range c.Labels {
		if name := c.Labels[i].Label; slices.Contains(names, name) {
			c.Labels[i].Ceiling = passed(before.of(fromCapture, name), after.of(fromCapture, name))
		}
	}
	return nil
}

// currentVariety is the variety of as many packets of the current model as a
// canary has; of none without one.
func (s *service) currentVariety(label string) (model.Variety, error) {
	live := s.current.Load()
	if live == nil || slices.Contains(live.lacks, label) {
		return model.Variety{}, nil
	}
	sampler, err := live.model.NewSampler(label, seedNow())
	if err != nil {
		return model.Variety{}, err
	}
	packets := make([][]byte, canaryPackets)
	for i := range packets {
		if packets[i], err = sampler.Next(nil); err != nil {
			return model.Variety{}, err
		}
	}
	return varietyOf(packets), nil
}

func varietyOf(packets [][]byte) model.Variety {
	duplicates, keys := quality.Variety(packets)
	return model.Variety{Packets: len(packets), Duplicates: duplicates, Keys: keys}
}
