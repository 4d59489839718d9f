package inject

import (
	"fmt"
)

// Reasons of LabelCounts.Failed, beside "send: " and the kernel's own words.
const (
	ReasonNoRoute   = "no route"
	ReasonARP       = "arp failed"
	ReasonLocal     = "local address"
	ReasonUnicast   = "not a unicast address"
	ReasonMTU       = "longer than the MTU"
	ReasonStopped   = "stopped"
	ReasonGone      = "injection cable gone"
	ReasonFull      = "expectation table full"
	ReasonBusy      = "expectation busy"
	ReasonLost      = "lost before the guard"
	reasonNoFailure = ""
)

// Reasons of LabelCounts.BlockedBy.
const (
	ReasonNotAllowed = "destination not allowed" // or not a plain IP packet
	ReasonReserved   = "reserved destination"    // allowed, but not named
	ReasonPaused     = "paused"
	ReasonStale      = "late at the guard" // nobody has minded it for too long
	ReasonFast       = "above the bound on the rate"
)

// BlockedReason is the reason of LabelCounts.BlockedBy that the guard told of a
// single packet (verify.TidingBlocked).
func BlockedReason(told uint32) string {
	switch guardDrop(told) {
	case guardDropDROP_RESERVED:
		return ReasonReserved
	case guardDropDROP_PAUSED:
		return ReasonPaused
	case guardDropDROP_STALE:
		return ReasonStale
	case guardDropDROP_FAST:
		return ReasonFast
	}
	return ReasonNotAllowed
}

// LabelCounts is what became of one label's packets up to the wire. For a
// label that expects answers, Generated = Malformed + Blocked + failed +
// Waiting + Expected; for others Unasked stands in the place of Expected.
type LabelCounts struct {
	Name        string
	Generated   uint64            // taken from the source
	Malformed   uint64            // not an IP packet, or lengths that disagree
	Blocked     uint64            // refused by the guard
	BlockedBy   map[string]uint64 // the same by reason
	Failed      map[string]uint64 // not sent, by reason
	Waiting     uint64            // for a next hop or for another conversation to end: inflight
	Expected    uint64            // let out by the guard, the reply expected
	Unasked     uint64            // let out by the guard, no reply expected (answer "none")
	OnWire      uint64            // generated packets that the guard sent on; a conversation's come after its SYN
	Repaired    uint64            // packets whose checksums were not right already
	Readdressed uint64            // packets that got the wire's own address as their source (Options.OwnSource)
}

// FailedTotal is the sum over all reasons.
func (c *LabelCounts) FailedTotal() uint64 {
	var n uint64
	for _, v := range c.Failed {
		n += v
	}
	return n
}

// Drops are frames that the guard did not let out, whatever they were.
type Drops struct {
	Foreign    uint64 // not written by us
	NotIP      uint64 // or tagged, or their lengths disagree
	NotAllowed uint64 // destination outside the allow-list
	Unexpected uint64 // no room for the expectation
	Reserved   uint64 // destination allowed, but reserved and not named
	Paused     uint64 // after Pause
	Stale      uint64 // late at the guard: nobody has minded it for too long
	Fast       uint64 // above the bound on the rate
}

// Counts reads the ledger and the guard's counters: one entry for each label,
// by its index. Frames that the kernel took and the guard
// never saw are in Failed as ReasonLost.
func (in *Injector) Counts() ([]LabelCounts, error) {
	labels := *in.labels.Load()
	counts := make([]LabelCounts, len(labels))
	for i := range counts {
		counts[i].Name = labels[i].Name
		if err := in.count(i, &counts[i]); err != nil {
			return nil, fmt.Errorf("inject: label %q: %w", labels[i].Name, err)
		}
	}
	return counts, nil
}

// count reads one label. What comes later in a packet's life is read first, so
// that a packet on its way is not in two counts.
func (in *Injector) count(label int, c *LabelCounts) error {
	l := &in.ledger.labels[label]
	submitted := l.submitted.Load()
	var passages []guardPassage
	if err := in.guard.Passages.Lookup(uint32(label), &passages); err != nil {
		return fmt.Errorf("read the guard's counts: %w", err)
	}
	sum := sumPassages(passages)
	c.Expected, c.Unasked, c.OnWire = sum.Expected, sum.Unasked, sum.OnWire
	full, busy := sum.Full, sum.Busy
	c.BlockedBy = map[string]uint64{}
	for reason, n := range map[string]uint64{
		ReasonNotAllowed: sum.Blocked, ReasonReserved: sum.Reserved, ReasonPaused: sum.Paused, ReasonStale: sum.Stale, ReasonFast: sum.Fast,
	} {
		if n > 0 {
			c.BlockedBy[reason] = n
			c.Blocked += n
		}
	}
	c.Failed = in.ledger.failures(label)
	add := func(reason string, n uint64) {
		if n > 0 {
			c.Failed[reason] += n
		}
	}
	add(ReasonFull, full)
	add(ReasonBusy, busy)
	if seen := c.Expected + c.Unasked + c.Blocked + full + busy; submitted > seen {
		add(ReasonLost, submitted-seen)
	}
	c.Waiting = uint64(max(0, l.waiting.Load()))
	c.Malformed = l.malformed.Load()
	c.Repaired = l.repaired.Load()
	c.Readdressed = l.readdressed.Load()
	c.Generated = l.generated.Load()
	return nil
}

// sumPassages adds up what became of a label's frames on each processor.
func sumPassages(perCPU []guardPassage) guardPassage {
	var sum guardPassage
	for _, p := range perCPU {
		sum.Expected += p.Expected
		sum.Unasked += p.Unasked
		sum.Blocked += p.Blocked
		sum.Reserved += p.Reserved
		sum.Paused += p.Paused
		sum.Stale += p.Stale
		sum.Fast += p.Fast
		sum.Full += p.Full
		sum.Busy += p.Busy
		sum.OnWire += p.OnWire
	}
	return sum
}

// Drops reads the guard's counters.
func (in *Injector) Drops() (Drops, error) {
	var sums [guardDropDROPS]uint64
	for i := range sums {
		var perCPU []uint64
		if err := in.guard.Drops.Lookup(uint32(i), &perCPU); err != nil {
			return Drops{}, fmt.Errorf("inject: read the guard's drops: %w", err)
		}
		for _, n := range perCPU {
			sums[i] += n
		}
	}
	return Drops{
		Foreign:    sums[guardDropDROP_FOREIGN] - in.probed,
		NotIP:      sums[guardDropDROP_NOT_IP],
		NotAllowed: sums[guardDropDROP_NOT_ALLOWED],
		Unexpected: sums[guardDropDROP_UNEXPECTED],
		Reserved:   sums[guardDropDROP_RESERVED],
		Paused:     sums[guardDropDROP_PAUSED],
		Stale:      sums[guardDropDROP_STALE],
		Fast:       sums[guardDropDROP_FAST],
	}, nil
}
