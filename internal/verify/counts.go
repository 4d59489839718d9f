package verify

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// LabelCounts is what became of one label's packets that left the guard with
// an expectation: Answered + rejected + Expired + Inflight are all of them.
type LabelCounts struct {
	Name      string
	Answer    Answer
	Answered  uint64            // a valid response
	Rejected  map[string]uint64 // a response that is not valid, by reason
	Expired   uint64            // no response in time
	Inflight  uint64            // waiting
	Late      uint64            // replies after the timeout; their packets are in Expired
	Duplicate uint64            // replies to packets that had their verdict
	Stolen    uint64            // frames kept from the kernel
	RTT       Histogram         // of the answered
}

// RejectedTotal is the sum over all reasons.
func (c *LabelCounts) RejectedTotal() uint64 {
	var n uint64
	for _, v := range c.Rejected {
		n += v
	}
	return n
}

// Oddities are frames on the wire interface that no label can be charged with.
type Oddities struct {
	Fragments    uint64 // IPv4 fragments, not matched, passed
	Unlinear     uint64 // could not be read, passed
	SegmentsLost uint64 // segments that a conversation did not hear of: the ring was full
}

// Counts sweeps, and then reads the kernel's counters: one entry for each
// label, by its index. While packets move, the counts are
// not of one moment: a packet whose reply comes between two readings may be in
// both Inflight and Answered. At rest they are exact.
func (v *Verifier) Counts() ([]LabelCounts, error) {
	v.sweeping.Lock()
	defer v.sweeping.Unlock()
	if err := v.sweepLocked(); err != nil {
		return nil, err
	}
	labels := *v.labels.Load()
	counts := make([]LabelCounts, len(labels))
	for i, l := range labels {
		counts[i] = LabelCounts{Name: l.Name, Answer: l.Answer, Rejected: map[string]uint64{}}
		if err := v.read(uint32(i), &counts[i]); err != nil {
			return nil, fmt.Errorf("verify: label %q: %w", l.Name, err)
		}
	}
	return counts, nil
}

// Inflight sweeps, and returns how many packets of all labels wait for a
// reply.
func (v *Verifier) Inflight() (uint64, error) {
	v.sweeping.Lock()
	defer v.sweeping.Unlock()
	if err := v.sweepLocked(); err != nil {
		return 0, err
	}
	var sum uint64
	for i, l := range *v.labels.Load() {
		var swept sweepSwept
		if err := v.sweep.Sweeps.Lookup(uint32(i), &swept); err != nil {
			return 0, fmt.Errorf("verify: label %q: read swept counts: %w", l.Name, err)
		}
		sum += swept.Inflight
	}
	return sum, nil
}

// read fills one label's counts.
func (v *Verifier) read(label uint32, c *LabelCounts) error {
	var swept sweepSwept
	if err := v.sweep.Sweeps.Lookup(label, &swept); err != nil {
		return fmt.Errorf("read swept counts: %w", err)
	}
	c.Expired, c.Inflight = swept.Expired, swept.Inflight
	var matched []matchMatched
	if err := v.match.Matches.Lookup(label, &matched); err != nil {
		return fmt.Errorf("read matched counts: %w", err)
	}
	for _, m := range matched {
		c.Answered += m.Answered
		c.Late += m.Late
		c.Duplicate += m.Duplicate
		c.Stolen += m.Stolen
	}
	var rejected []matchRejected
	if err := v.match.Rejections.Lookup(label, &rejected); err != nil {
		return fmt.Errorf("read rejected counts: %w", err)
	}
	for _, r := range rejected {
		for reason, n := range r.By {
			if n > 0 {
				c.Rejected[matchReason(reason).String()] += n
			}
		}
	}
	var rtts []matchHistogram
	if err := v.match.Rtts.Lookup(label, &rtts); err != nil {
		return fmt.Errorf("read round-trip times: %w", err)
	}
	for _, h := range rtts {
		c.RTT.Merge(&Histogram{h.Bins})
	}
	return nil
}

// Oddities reads the kernel's counters.
func (v *Verifier) Oddities() (Oddities, error) {
	var sums [matchOddityODDITIES]uint64
	for i := range sums {
		var perCPU []uint64
		if err := v.match.Oddities.Lookup(uint32(i), &perCPU); err != nil {
			return Oddities{}, fmt.Errorf("verify: read oddities: %w", err)
		}
		for _, n := range perCPU {
			sums[i] += n
		}
	}
	return Oddities{
		Fragments:    sums[matchOddityODD_FRAGMENT],
		Unlinear:     sums[matchOddityODD_UNLINEAR],
		SegmentsLost: sums[matchOddityODD_LOST],
	}, nil
}

// Sweep counts what has expired now, and frees room in the table. Run does
// it all the time.
func (v *Verifier) Sweep() error {
	v.sweeping.Lock()
	defer v.sweeping.Unlock()
	return v.sweepLocked()
}

func (v *Verifier) sweepLocked() error {
	if v.closed {
		return errClosed
	}
	if _, err := v.sweep.Sweep.Run(&ebpf.RunOptions{}); err != nil {
		return fmt.Errorf("verify: sweep expectations: %w", err)
	}
	return nil
}
