package inject

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
)

// load loads the guard with the matcher's maps in place of its own.
func (in *Injector) load() error {
	spec, err := loadGuard()
	if err != nil {
		return fmt.Errorf("read guard program: %w", err)
	}
	shared := map[string]*ebpf.Map{
		guardMapExpectations: in.options.Maps.Expectations,
		guardMapRules:        in.options.Maps.Rules,
		guardMapHints:        in.options.Maps.Hints,
		guardMapAwaited:      in.options.Maps.Awaited,
		guardMapTidings:      in.options.Maps.Tidings,
		guardMapUntold:       in.options.Maps.Untold,
	}
	for name, m := range shared {
		spec.Maps[name].MaxEntries = m.MaxEntries()
	}
	spec.Maps[guardMapPassages].MaxEntries = maxLabels
	set := func(variable string, value any) {
		err = errors.Join(err, spec.Variables[variable].Set(value))
	}
	set(guardVarWireIfindex, uint32(in.exit.index))
	set(guardVarWireFlags, in.exit.flags)
	set(guardVarWireMac, in.exit.mac)
	if in.options.Recorder != nil {
		set(guardVarTelling, uint8(1))
	}
	if err != nil {
		return fmt.Errorf("set up guard program: %w", err)
	}
	if err := spec.LoadAndAssign(&in.guard, &ebpf.CollectionOptions{MapReplacements: shared}); err != nil {
		return fmt.Errorf("load guard program: %w", err)
	}
	in.gate.guard = &in.guard
	return cmp.Or(in.SetMaxRate(in.options.MaxRate), in.setLabels(in.options.Labels))
}

// SetLabel changes what a label's packets expect, or adds the next label:
// index is at most the number of labels. The counts under an index stay. Not
// to be called twice at the same time.
func (in *Injector) SetLabel(index int, l Label) error {
	labels := slices.Clone(*in.labels.Load())
	switch {
	case index < 0 || index > len(labels) || index >= maxLabels:
		return fmt.Errorf("inject: label %q: index %d: there are %d labels, and at most %d are possible", l.Name, index, len(labels), maxLabels)
	case index == len(labels):
		labels = append(labels, l)
	default:
		labels[index] = l
	}
	if err := in.setLabels(labels); err != nil {
		return fmt.Errorf("inject: label %q: %w", l.Name, err)
	}
	return nil
}

// setLabels tells the guard how many labels it may let out.
func (in *Injector) setLabels(labels []Label) error {
	if err := in.guard.LabelCount.Set(uint32(len(labels))); err != nil {
		return fmt.Errorf("tell the guard of %d labels: %w", len(labels), err)
	}
	in.labels.Store(&labels)
	return nil
}
