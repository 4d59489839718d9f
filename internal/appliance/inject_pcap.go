package appliance

import (
	"fmt"
	"slices"

	"pacgan-appliance/internal/capture"
	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/packet"
)

// labelFiles sorts the packets of capture files by label, as the capture
// would: the first label whose filter takes a frame has it. A TCP segment that
// no filter takes goes with the request that it continues. What is left out is
// said.
func (p *Program) labelFiles(files []string, labels []config.Label) (*joiner, error) {
	matchers := make([]*capture.Matcher, len(labels))
	for i, l := range labels {
		filter, err := capture.Compile(l.Filter)
		if err != nil {
			return nil, fmt.Errorf("label %q: filter %q: %w", l.Name, l.Filter, err)
		}
		if matchers[i], err = filter.Matcher(); err != nil {
			return nil, err
		}
	}
	j := newJoiner()
	for _, file := range files {
		captured, stats, err := dataset.ReadFile(file, "")
		if err != nil {
			return nil, err
		}
		slices.SortStableFunc(captured, func(a, b packet.Packet) int { return a.Time.Compare(b.Time) })
		others := 0
		for _, c := range captured {
			if i := slices.IndexFunc(matchers, func(m *capture.Matcher) bool { return m.Match(c.Frame) }); i >= 0 {
				c.Label = labels[i].Name
			}
			if !j.add(c) {
				others++
			}
		}
		if stats.Cut+stats.Short+others > 0 {
			fmt.Fprintf(p.Stderr, "%s: left out %s frames that a snap length cut, %s shorter than their header, %s of no label; %s are left\n",
				file, thousands(stats.Cut), thousands(stats.Short), thousands(others), thousands(len(captured)-others))
		}
		clear(j.open) // a flow does not go on in another file
	}
	return j, nil
}
