package appliance

import (
	"fmt"
	"maps"
	"time"

	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/quality"
	"pacgan-appliance/internal/verify"
)

// Counts says what became of every generated packet: each ends in exactly one
// of the counts from Malformed to Inflight. They come from independent places:
// the generator's loop, send errors, the guard, the matcher, the sweeper.
type Counts struct {
	Generated uint64            `json:"generated"`
	Malformed uint64            `json:"malformed"` // could not be framed
	Blocked   uint64            `json:"blocked"`   // the guard refused it
	Failed    uint64            `json:"failed"`    // the kernel did not take it
	Answered  uint64            `json:"answered"`  // a valid response
	Rejected  map[string]uint64 `json:"rejected"`  // a response that is not valid, by reason
	Expired   uint64            `json:"expired"`   // no response in time
	Inflight  uint64            `json:"inflight"`
	Unasked   uint64            `json:"unasked"` // sent, no answer expected: left out of the success rate
	OnWire    uint64            `json:"on_wire"` // counted by the kernel as it left, apart from all others

	Readdressed uint64 `json:"readdressed"` // got the wan interface's address as their source (inject.source_address)

	FailedReasons  map[string]uint64 `json:"failed_reasons"`
	BlockedReasons map[string]uint64 `json:"blocked_reasons"`
}

// rejectedTotal is the sum over all reasons.
func (c Counts) rejectedTotal() uint64 { return sumOf(c.Rejected) }

// accounted is the sum that Generated must equal.
func (c Counts) accounted() uint64 {
	return c.Malformed + c.Blocked + c.Failed + c.Answered + c.rejectedTotal() + c.Expired + c.Inflight + c.Unasked
}

// success is the success rate: answered / (generated - inflight).
func (c Counts) success() verify.Success {
	return verify.SuccessOf(c.Answered, c.Generated-c.Inflight-c.Unasked)
}

// add adds another label's counts.
func (c *Counts) add(o Counts) {
	c.Generated += o.Generated
	c.Malformed += o.Malformed
	c.Blocked += o.Blocked
	c.Failed += o.Failed
	c.Answered += o.Answered
	c.Expired += o.Expired
	c.Inflight += o.Inflight
	c.Unasked += o.Unasked
	c.OnWire += o.OnWire
	c.Readdressed += o.Readdressed
	c.Rejected = addAll(c.Rejected, o.Rejected)
	c.FailedReasons = addAll(c.FailedReasons, o.FailedReasons)
	c.BlockedReasons = addAll(c.BlockedReasons, o.BlockedReasons)
}

// labelCounts are one label's counts and round-trip times.
type labelCounts struct {
	Counts
	name, answer string // of the label
	rtt          verify.Histogram
}

// counts reads every count there is, by slot. While packets pass, a count may
// be some packets behind another; once all have their verdict, they agree.
func (w *wire) counts() ([]labelCounts, error) {
	verified, err := w.verifier.Counts() // what comes later in a packet's life is read first
	if err != nil {
		return nil, err
	}
	injected, err := w.injector.Counts()
	if err != nil {
		return nil, err
	}
	out := make([]labelCounts, min(len(verified), len(injected))) // a reload adds to both, one after the other
	for i := range out {
		in, ver := injected[i], verified[i]
		out[i] = labelCounts{name: ver.Name, answer: string(ver.Answer), rtt: ver.RTT, Counts: Counts{
			Generated: in.Generated, Malformed: in.Malformed, Blocked: in.Blocked, Failed: in.FailedTotal(),
			Answered: ver.Answered, Rejected: ver.Rejected, Expired: ver.Expired, Inflight: in.Waiting + ver.Inflight,
			Unasked: in.Unasked, OnWire: in.OnWire, Readdressed: in.Readdressed, FailedReasons: in.Failed, BlockedReasons: in.BlockedBy,
		}}
	}
	return out, nil
}

// passingCounts is counts for showing while packets pass. A packet that gets
// its verdict between two reads would be in flight and decided: it is taken as
// decided, so that no rate is above 1. All other differences stay to be seen.
func (w *wire) passingCounts() ([]labelCounts, error) {
	counts, err := w.counts()
	for i := range counts {
		c := &counts[i].Counts
		ends := c.accounted() - c.Inflight
		c.Inflight = min(c.Inflight, max(c.Generated, ends)-ends)
	}
	return counts, err
}

// totalOf sums over all labels.
func totalOf(labels []labelCounts) Counts {
	var total Counts
	for _, l := range labels {
		total.add(l.Counts)
	}
	return total
}

// checkIdentity says which label's counts do not add up. It is a fault of the
// program, never of the traffic.
func checkIdentity(counts []labelCounts) error {
	for _, c := range counts {
		if got := c.accounted(); got != c.Generated {
			return fmt.Errorf("label %q: %d packets generated and %d accounted for: this is a fault of pacgan-appliance, please report it with %+v",
				c.name, c.Generated, got, c.Counts)
		}
	}
	return nil
}

// LabelReport is what became of one label's packets and how good they are.
type LabelReport struct {
	Label  string `json:"label,omitempty"`
	Answer string `json:"answer,omitempty"` // what a valid response is, as in the config
	Counts
	SuccessRate float64        `json:"success_rate"` // answered / (generated - inflight), 0 to 1
	Wilson95    [2]float64     `json:"wilson95"`
	RTT         RTTMillis      `json:"rtt_ms"`
	Quality     quality.Report `json:"quality,omitzero"`
	Ceiling     *model.Outcome `json:"ceiling,omitempty"` // of captured packets, injected as a control; nil: none was
}

// reportOf makes a label's report, its quality aside.
func reportOf(c labelCounts) LabelReport {
	s := c.success()
	return LabelReport{
		Label: c.name, Answer: c.answer, Counts: c.Counts, SuccessRate: s.Rate, Wilson95: [2]float64{s.Low, s.High},
		RTT: RTTMillis{millis(c.rtt.Quantile(0.5)), millis(c.rtt.Quantile(0.9)), millis(c.rtt.Quantile(0.99))},
	}
}

// reportAll sums all labels' counts and times.
func reportAll(counts []labelCounts) LabelReport {
	all := labelCounts{Counts: totalOf(counts)}
	for _, c := range counts {
		all.rtt.Merge(&c.rtt)
	}
	return reportOf(all)
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func fromMillis(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

func sumOf(counts map[string]uint64) uint64 {
	var n uint64
	for _, v := range counts {
		n += v
	}
	return n
}

// addAll adds b's counts to a's, in a new map where a is nil.
func addAll(a, b map[string]uint64) map[string]uint64 {
	if a == nil {
		a = maps.Clone(b)
		if a == nil {
			a = map[string]uint64{}
		}
		return a
	}
	for k, v := range b {
		a[k] += v
	}
	return a
}
