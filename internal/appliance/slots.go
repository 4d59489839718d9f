package appliance

import (
	"slices"
	"sync"

	"pacgan-appliance/internal/config"
)

// origin is where an injected packet comes from. Each origin has slots of
// counts of its own in the kernel.
type origin int

const (
	fromModel   origin = iota // drawn from the model in use: what the success rates are about
	fromCapture               // captured, injected as a control: what the network answers at best
	fromCanary                // drawn from a model that is tried
	allOrigins                // how many there are
)

// slots are the labels' places in the kernel, one for each origin. A name keeps
// its slots as long as the process lives, so that counts, and packets on their
// way, keep their meaning whatever a reload does to the labels.
type slots struct {
	origins origin
	mu      sync.Mutex
	names   []string // in the order in which they came
}

func newSlots(origins origin, labels []config.Label) *slots {
	s := &slots{origins: origins}
	for _, l := range labels {
		s.names = append(s.names, l.Name)
	}
	return s
}

// find is the place of a label; of one that is new, the next.
func (s *slots) find(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.names, name); i >= 0 {
		return i
	}
	return len(s.names)
}

// add makes sure that a name has its place.
func (s *slots) add(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.names, name) {
		s.names = append(s.names, name)
	}
}

// at is the slot of an origin's packets of the label at a place.
func (s *slots) at(o origin, place int) int { return place*int(s.origins) + int(o) }

// slotsOf are the slots of an origin's packets of labels, by their names.
func (s *slots) slotsOf(o origin, names []string) []int {
	out := make([]int, len(names))
	for i, name := range names {
		out[i] = s.at(o, s.find(name))
	}
	return out
}

// of is the part of all counts that one origin has, of the named labels first
// and in their order, then of those that had packets and are no more.
func (s *slots) of(o origin, names []string, counts []labelCounts) []labelCounts {
	var named, gone []labelCounts
	for _, slot := range s.slotsOf(o, names) {
		if slot < len(counts) {
			named = append(named, counts[slot])
		}
	}
	for slot := int(o); slot < len(counts); slot += int(s.origins) {
		if c := counts[slot]; c.Generated > 0 && !slices.Contains(names, c.name) {
			gone = append(gone, c)
		}
	}
	return append(named, gone...)
}
