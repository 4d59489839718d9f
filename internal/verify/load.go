package verify

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
)

// load makes the maps, fills the rules and loads both programs.
func (v *Verifier) load() error {
	match, err := loadMatch()
	if err != nil {
		return fmt.Errorf("read match program: %w", err)
	}
	match.Maps[matchMapExpectations].MaxEntries = uint32(v.options.Expectations)
	for _, counts := range []string{matchMapMatches, matchMapRejections, matchMapRtts} {
		match.Maps[counts].MaxEntries = MaxLabels
	}
	if err := match.Variables[matchVarTimeoutNs].Set(uint64(v.options.Timeout)); err != nil {
		return fmt.Errorf("set timeout: %w", err)
	}
	match.Maps[matchMapTidings].MaxEntries = v.options.tidingsBytes()
	match.Maps[matchMapSegments].MaxEntries = v.options.segmentsBytes()
	if err := match.Variables[matchVarTelling].Set(v.telling()); err != nil {
		return fmt.Errorf("have the match program tell: %w", err)
	}
	if err := match.LoadAndAssign(&v.match, nil); err != nil {
		return fmt.Errorf("load match program: %w", err)
	}
	if err := v.match.Framings.Put(uint32(0), framingTable()); err != nil {
		return fmt.Errorf("write the table of where responses end: %w", err)
	}
	v.labels.Store(&[]Label{})
	for i, l := range v.options.Labels {
		if err := v.setLabel(i, l); err != nil {
			return err
		}
	}
	return v.loadSweep()
}

// SetLabel has a label judged differently from now on, or adds the next one:
// index is at most the number of labels. The counts under an index stay.
// Replies to packets on their way are judged as the rule is when they come.
// Not to be called twice at the same time.
func (v *Verifier) SetLabel(index int, l Label) error {
	if err := v.setLabel(index, l); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	return nil
}

func (v *Verifier) setLabel(index int, l Label) error {
	rule, err := l.rule()
	if err != nil {
		return fmt.Errorf("label %q: %w", l.Name, err)
	}
	if l.Answer == AnswerHTTP && l.Contains != "" {
		rule.Text = 1
	}
	labels := slices.Clone(*v.labels.Load())
	switch {
	case index < 0 || index > len(labels) || index >= MaxLabels:
		return fmt.Errorf("label %q: index %d: there are %d labels, and at most %d are possible", l.Name, index, len(labels), MaxLabels)
	case index == len(labels):
		labels = append(labels, l)
	default:
		labels[index] = l
	}
	if err := v.setText(index, l.Contains); err != nil {
		return fmt.Errorf("label %q: %w", l.Name, err)
	}
	if err := v.match.Rules.Put(uint32(index), rule); err != nil {
		return fmt.Errorf("label %q: write rule: %w", l.Name, err)
	}
	v.labels.Store(&labels)
	return nil
}

func (v *Verifier) loadSweep() error {
	sweep, err := loadSweep()
	if err != nil {
		return fmt.Errorf("read sweep program: %w", err)
	}
	sweep.Maps[sweepMapExpectations].MaxEntries = uint32(v.options.Expectations)
	if err := sweep.Variables[sweepVarTimeoutNs].Set(uint64(v.options.Timeout)); err != nil {
		return fmt.Errorf("set timeout: %w", err)
	}
	if err := sweep.Variables[sweepVarTelling].Set(v.telling()); err != nil {
		return fmt.Errorf("have the sweep program tell: %w", err)
	}
	sweep.Maps[sweepMapTidings].MaxEntries = v.match.Tidings.MaxEntries()
	err = sweep.LoadAndAssign(&v.sweep, &ebpf.CollectionOptions{
		MapReplacements: map[string]*ebpf.Map{
			sweepMapExpectations: v.match.Expectations, sweepMapTidings: v.match.Tidings, sweepMapUntold: v.match.Untold,
			sweepMapAwaitedSince: v.match.AwaitedSince,
		},
	})
	if err != nil {
		return fmt.Errorf("load sweep program: %w", err)
	}
	return nil
}

// Bounds of the ring of segments, in bytes: for 10,000 and 40,000 of them.
const (
	leastSegments = 1 << 20
	mostSegments  = 1 << 22
)

// segmentsBytes is the size of the ring of segments: two thirds of a segment for
// each packet that the table is made for, whose rate it is made for too. The
// ring is resident, twice.
func (o Options) segmentsBytes() uint32 {
	size := leastSegments
	for size < o.Expectations*64 && size < mostSegments {
		size <<= 1
	}
	return uint32(size)
}

// telling is the programs' switch.
func (v *Verifier) telling() uint8 {
	if v.options.Tell != nil {
		return 1
	}
	return 0
}

var answers = map[Answer]matchAnswer{
	AnswerNone:     matchAnswerANSWER_NONE,
	AnswerICMPEcho: matchAnswerANSWER_ECHO,
	AnswerDNS:      matchAnswerANSWER_DNS,
	AnswerHTTP:     matchAnswerANSWER_HTTP,
	AnswerReply:    matchAnswerANSWER_REPLY,
}

const (
	firstStatus = 100
	lastStatus  = 599
	lastRcode   = 15
)

// rule is the label as the matcher reads it.
func (l Label) rule() (matchRule, error) {
	number, ok := answers[l.Answer]
	if !ok {
		return matchRule{}, fmt.Errorf("answer %q: must be icmp-echo, dns, http, reply or none", l.Answer)
	}
	r := matchRule{Answer: number, Rcodes: 1} // NOERROR always counts
	for _, rcode := range l.AcceptRcodes {
		if rcode > lastRcode {
			return matchRule{}, fmt.Errorf("accepted RCODE %d: must be 0 to %d", rcode, lastRcode)
		}
		r.Rcodes |= 1 << rcode
	}
	accepted := l.AcceptStatus
	if len(accepted) == 0 {
		accepted = []StatusRange{{200, 399}}
	}
	for _, s := range accepted {
		if s.First < firstStatus || s.Last > lastStatus || s.First > s.Last {
			return matchRule{}, fmt.Errorf("accepted statuses %d to %d: must lie in %d to %d", s.First, s.Last, firstStatus, lastStatus)
		}
		for status := s.First; status <= s.Last; status++ {
			bit := status - firstStatus
			r.Statuses[bit/64] |= 1 << (bit % 64)
		}
	}
	return r, nil
}
