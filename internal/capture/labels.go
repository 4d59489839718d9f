package capture

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
)

// arrange finds each label its place in the kernel's tables: that of its name,
// where it has been there, or the next one.
func arrange(names []string, labels []Label) ([]string, []place, error) {
	if len(labels) == 0 || len(labels) > MaxLabels {
		return nil, nil, fmt.Errorf("%d labels: 1 to %d are possible", len(labels), MaxLabels)
	}
	names = slices.Clone(names)
	places := make([]place, len(labels))
	for i, l := range labels {
		slot := slices.Index(names, l.Name)
		if slot < 0 {
			slot = len(names)
			names = append(names, l.Name)
		}
		places[i] = place{l.Filter, slot}
	}
	if len(names) > maxNames {
		return nil, nil, fmt.Errorf("%d names of labels since the start: at most %d are possible: restart", len(names), maxNames)
	}
	return names, places, nil
}

// SetLabels puts other labels and filters in force while frames pass: each
// frame meets the old ones or the new ones as a whole, and none is missed. A
// name keeps its counts, also while no label has it. The error leaves the old
// labels in force. Not to be called twice at the same time, nor with Close.
func (c *Capture) SetLabels(labels []Label) error {
	names, places, err := arrange(*c.names.Load(), labels)
	if err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	spec, err := c.options.spec(places)
	if err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	var next capturePrograms
	err = spec.LoadAndAssign(&next, &ebpf.CollectionOptions{MapReplacements: map[string]*ebpf.Map{
		captureMapFrames: c.objects.Frames, captureMapPerLabel: c.objects.PerLabel, captureMapTotals: c.objects.Totals,
	}})
	if err != nil {
		return fmt.Errorf("capture: %w", loadError(err))
	}
	c.names.Store(&names) // before the first frame of a new name comes
	if err := c.link.Replace(next.PacganCapture); err != nil {
		return errors.Join(fmt.Errorf("capture: %w", err), next.Close())
	}
	old := c.objects.capturePrograms
	c.objects.capturePrograms = next
	return old.Close()
}
