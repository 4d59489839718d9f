package appliance

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"pacgan-appliance/internal/inject"
	"pacgan-appliance/internal/truth"
)

const (
	// controlEvery: one injected packet in so many is a captured one.
	controlEvery = 100
	// trialControlEvery is the same within a trial, which has few packets.
	trialControlEvery = 10
)

// feed is what the valve lets pass: the main source, a captured packet now and
// then as a control, and beside them a trial while one is under way.
type feed struct {
	main    atomic.Pointer[source]   // nil: none yet
	control atomic.Pointer[controls] // nil: none, since the main source is of captured packets
	trial   atomic.Pointer[trial]    // nil: none under way
	taken   int                      // packets asked for; used by the injector's goroutine alone
}

// Next implements inject.Source, with slots in the place of labels. A new main
// source takes over between two packets.
func (f *feed) Next() (inject.Packet, error) {
	f.taken++
	main := f.main.Load()
	if t := f.trial.Load(); t != nil { // every other packet; its controls are enough
		if !t.isSent() && (main == nil || f.taken%2 == 0) {
			p, err := t.next()
			if err != io.EOF {
				return p, err
			}
			t.end()
		}
	} else if c := f.control.Load(); c != nil && f.taken%controlEvery == 0 {
		if p, ok := c.next(); ok {
			return p, nil
		}
	}
	if main == nil {
		return inject.Packet{}, io.EOF
	}
	return main.Next()
}

// due is when the next packet of the main source is due; at once without one.
func (f *feed) due() time.Duration {
	if main := f.main.Load(); main != nil {
		return main.due()
	}
	return 0
}

// ready reports whether there is something to inject.
func (f *feed) ready() bool {
	if f.main.Load() != nil {
		return true
	}
	t := f.trial.Load()
	return t != nil && !t.isSent()
}

// longest is the longest time that the main source waits between two packets.
func (f *feed) longest() time.Duration {
	if main := f.main.Load(); main != nil {
		if learned, ok := main.order.(*learnedOrder); ok {
			return learned.longest()
		}
	}
	return 0
}

// controls are captured packets to inject between others, of each label in
// turn. It is for one goroutine.
type controls struct {
	drawer recentDrawer
	slots  []int // of each label
	label  int   // of the packet before
	origin truth.Origin
	drawn  []uint64 // packets drawn so far, of each label
	buf    []byte
}

func newControls(r *recent, names []string, s *slots) *controls {
	return &controls{drawer: recentDrawer{r, names}, slots: s.slotsOf(fromCapture, names), drawn: make([]uint64, len(names))}
}

// next is the next label's packet, passing over labels that have none.
func (c *controls) next() (p inject.Packet, ok bool) {
	for range c.slots {
		c.label = (c.label + 1) % len(c.slots)
		var err error
		if c.buf, err = c.drawer.draw(c.label, c.buf[:0]); err == nil {
			p = inject.Packet{Label: c.slots[c.label], IP: c.buf, Tag: c.origin.Tag(c.drawn[c.label])}
			c.drawn[c.label]++
			return p, true
		}
	}
	return p, false
}

// trial is a number of packets that are injected to find something out: a
// model's that is tried, captured ones, or both. Each label has as many.
type trial struct {
	candidate *source   // counted; nil: captured packets only
	control   *controls // of the labels that captured packets are wanted of
	left      int       // captured packets still to inject
	turn      int

	ending sync.Once
	sent   chan struct{} // closed when all are on their way
}

func newTrial(candidate *source, c *controls, each int) *trial {
	return &trial{candidate: candidate, control: c, left: each * len(c.slots), sent: make(chan struct{})}
}

// next is the next packet; io.EOF when there is none left.
func (t *trial) next() (p inject.Packet, err error) {
	t.turn++
	if t.candidate != nil && t.turn%trialControlEvery != 0 {
		if p, err = t.candidate.Next(); err != io.EOF {
			return p, err
		}
	}
	if t.left > 0 {
		t.left--
		if p, ok := t.control.next(); ok {
			return p, nil
		}
		t.left = 0 // nothing is captured
	}
	if t.candidate != nil {
		return t.candidate.Next()
	}
	return p, io.EOF
}

func (t *trial) end() { t.ending.Do(func() { close(t.sent) }) }

func (t *trial) isSent() bool {
	select {
	case <-t.sent:
		return true
	default:
		return false
	}
}
