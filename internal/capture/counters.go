package capture

import "fmt"

// Counters are the kernel's counts since Open.
type Counters struct {
	Seen   uint64          // frames that entered the interface
	Ours   uint64          // of these, the ones that carried our mark: not looked at
	Labels []LabelCounters // of every label since Open, in the order in which they came
}

// LabelCounters are the frames that one label matched, each counted once.
type LabelCounters struct {
	Label    string
	Labelled uint64 // handed to Run
	Dropped  uint64 // lost because the ring was full
	Oversize uint64 // longer than the snap length
}

// Counters reads the counts as they are now.
func (c *Capture) Counters() (Counters, error) {
	var out Counters
	var totals []captureTotalCounts
	if err := c.objects.Totals.Lookup(uint32(0), &totals); err != nil {
		return Counters{}, fmt.Errorf("read capture counters: %w", err)
	}
	for _, cpu := range totals {
		out.Seen += cpu.Seen
		out.Ours += cpu.Ours
	}
	for i, name := range *c.names.Load() {
		var counts []captureLabelCounts
		if err := c.objects.PerLabel.Lookup(uint32(i), &counts); err != nil {
			return Counters{}, fmt.Errorf("read capture counters of %s: %w", name, err)
		}
		label := LabelCounters{Label: name}
		for _, cpu := range counts {
			label.Labelled += cpu.Labelled
			label.Dropped += cpu.Dropped
			label.Oversize += cpu.Oversize
		}
		out.Labels = append(out.Labels, label)
	}
	return out, nil
}
