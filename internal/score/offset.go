package score

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"
)

// Offset is how far a sensor's clock is ahead of the appliance's.
type Offset struct {
	// Median is the median of the times from a flow's start to its alert, over
	// the alerts that the estimate is made of: the clock's offset and the time to
	// detect together.
	Median time.Duration `json:"median_ns"`
	// Applied was taken off the sensor's times. What is about a packet was seen
	// between its leaving and its answer's coming: 0 where it was, else what
	// brings it there. Without answers it is nearly the least of the times to the
	// alert, or 0 where detecting may have taken them.
	Applied time.Duration `json:"applied_ns"`
	// Slack is how far alerts lie outside of the time between their packet's
	// leaving and its answer's coming, after that: twice as much as most do.
	Slack time.Duration `json:"slack_ns"`
	Pairs int           `json:"pairs"` // alerts and flows that agree about it
}

const (
	sampledFlows = 20_000 // flows with alerts that the estimate looks at
	sampledTimes = 16     // uses of the same ports that it looks at
	// agree is how far apart the times from flow to alert may be that are taken
	// for one offset.
	agree = time.Second
	// detecting is a time to detect that no clock need be blamed for.
	detecting = time.Second
	// slack is how much earlier than its flow an alert may seem to be: clocks
	// that agree do so to a fraction of this.
	slack = time.Millisecond
	// nearly is how far alerts may lie outside of their flows for the clock to be
	// taken for ours.
	nearly = 100 * time.Microsecond
	// leastFit is how many alerts must fit their flows for that.
	leastFit = 8
	// sameSlack is that of a clock that is ours: EVE has microseconds.
	sameSlack = 2 * time.Microsecond
)

// slack is by how much an alert may seem to be earlier than its flow's start, or
// later than its answer, in ns.
func (o Offset) slack() int64 { return int64(max(o.Slack, sameSlack)) }

// difference is one alert's time less one flow's.
type difference struct {
	ns     int64 // less its start
	over   int64 // less its answer; unanswered: it has none, or the alert is not dated within
	weight float64
	alert  int // its number
}

// unanswered is difference.over where there is none.
const unanswered = math.MinInt64

// difference is that of an alert which may be about the flow; false: its packet
// is another one.
func (f *flow) difference(number int, one *alert, weight float64) (difference, bool) {
	if f.tells(one) && f.print != one.print {
		return difference{}, false
	}
	d := difference{ns: one.at - f.start, over: unanswered, weight: weight, alert: number}
	if f.bounded && (f.single() || one.started) {
		d.over = d.ns - f.lasts
	}
	return d, true
}

// sample collects the starts of some of the flows that alerts name.
type sample struct {
	alerts *alerts
	step   int32    // every step-th flow is looked at
	starts [][]flow // by flow / step
	uses   []int32  // how many there were
	pairs  int      // all starts
	judge  int      // as many pairs are worth a look at whether they are enough
}

// enough is how many pairs that agree settle the offset, if they are a third
// of all: by chance so many never do.
const enough = 1000

func newSample(a *alerts) *sample {
	step := int32(len(a.keys)/sampledFlows + 1)
	n := len(a.keys)/int(step) + 1
	return &sample{alerts: a, step: step, starts: make([][]flow, n), uses: make([]int32, n), judge: 2 * enough}
}

func (s *sample) add(f *flow) {
	n, ok := s.alerts.flowOf(f)
	if !ok || n%s.step != 0 {
		return
	}
	if n /= s.step; len(s.starts[n]) < sampledTimes {
		s.starts[n] = append(s.starts[n], *f)
		s.pairs++
	}
	s.uses[n]++
}

// settled reports whether more of the truth would tell nothing new.
func (s *sample) settled() bool {
	if s.pairs < s.judge {
		return false
	}
	s.judge = 2 * s.pairs // looking costs as much as collecting did
	d := s.differences()
	if len(d) == 0 {
		return false
	}
	agreed, all := 0.0, 0.0
	for _, one := range d {
		all += one.weight
	}
	a := agreement(d)
	for _, one := range a {
		agreed += one.weight
	}
	return len(a) >= enough && agreed >= all/3
}

// differences are those of each alert from the flows that it may belong to,
// sorted. A flow whose ports were used too often to look at all of its uses
// counts only where there is no other.
func (s *sample) differences() []difference {
	var few, many []difference
	looked := make([]int, len(s.starts))
	for number, one := range s.alerts.list {
		n := one.flow / s.step
		if one.flow%s.step != 0 || looked[n] == sampledTimes {
			continue
		}
		looked[n]++
		for i := range s.starts[n] {
			d, ok := s.starts[n][i].difference(number, &one, 1/float64(len(s.starts[n])))
			if !ok {
				continue
			}
			if int(s.uses[n]) <= sampledTimes {
				few = append(few, d)
			} else {
				many = append(many, d)
			}
		}
	}
	if len(few) == 0 {
		few = many
	}
	slices.SortFunc(few, func(x, y difference) int { return cmp.Compare(x.ns, y.ns) })
	return few
}

// estimate is the offset that most differences, which are sorted, agree about:
// pairs that belong together differ by it, all others by anything.
func estimate(d []difference) Offset {
	if len(d) == 0 {
		return Offset{}
	}
	agreed := around(agreement(d))
	few := len(agreed) / 20
	o := Offset{Median: time.Duration(agreed[len(agreed)/2].ns), Pairs: len(agreed)}
	// An alert comes after its flow: the offset is nearly the least of what is
	// agreed about, not its median, before which half of all alerts would lie.
	least := agreed[few].ns
	var overs []int64
	for _, one := range agreed {
		if one.over != unanswered {
			overs = append(overs, one.over)
		}
	}
	slices.Sort(overs)
	if len(agreed) < leastAgreed { // too few to tell more than that a clock is wrong
		if o.Median > detecting || agreed[len(agreed)-1].ns < 0 {
			o.Applied, o.Slack = time.Duration(least), slack
		}
		return o
	}
	if off, ok := outside(d); ok {
		o.Slack = min(slack, 2*off)
		return o
	}
	switch {
	case len(overs) > 0:
		o.Applied = time.Duration(least+overs[len(overs)-1-few*len(overs)/len(agreed)]) / 2
	case o.Median > detecting || least < 0:
		o.Applied = time.Duration(least)
	}
	if o.Applied != 0 {
		o.Slack = slack
	}
	return o
}

// outside is how far alerts lie outside of the flow that they fit best, but for
// one in twenty and those that fit none. false: by a clock that is ours too few
// fit, or none would have to.
func outside(d []difference) (time.Duration, bool) {
	least := map[int]int64{} // by alert
	for _, one := range d {
		if one.over == unanswered {
			continue
		}
		by := max(0, -one.ns, one.over)
		if before, ok := least[one.alert]; !ok || by < before {
			least[one.alert] = by
		}
	}
	by := slices.Sorted(maps.Values(least))
	fit, _ := slices.BinarySearch(by, int64(slack))
	if fit < leastFit || fit < len(by)/3 || by[2*fit/3] > int64(nearly) {
		return 0, false
	}
	return time.Duration(by[fit-1-fit/20]), true
}

// agreement is the stretch of the sorted differences, agree long, that weighs
// most. Of two of which one weighs no more than twice the other, it is the one
// nearer to zero: clocks are mostly right.
func agreement(d []difference) []difference {
	ends, weights := make([]int, len(d)), make([]float64, len(d))
	sum, end, heaviest := 0.0, 0, 0.0
	for i := range d {
		for ; end < len(d) && d[end].ns-d[i].ns <= int64(agree); end++ {
			sum += d[end].weight
		}
		ends[i], weights[i] = end, sum
		heaviest = max(heaviest, sum)
		sum -= d[i].weight
	}
	nearest := -1
	for i := range d {
		if weights[i] >= heaviest/2 && (nearest < 0 || abs(d[i].ns) < abs(d[nearest].ns)) {
			nearest = i
		}
	}
	best := nearest
	for i := range d {
		if abs(d[i].ns-d[nearest].ns) <= int64(agree) && weights[i] > weights[best] {
			best = i
		}
	}
	return d[best:ends[best]]
}

// around leaves out what lies far from the median of sorted differences, as
// pairs that do not belong together do: further than five times what half of
// them keep to.
func around(d []difference) []difference {
	median := d[len(d)/2].ns
	deviations := make([]int64, len(d))
	for i := range d {
		deviations[i] = abs(d[i].ns - median)
	}
	slices.Sort(deviations)
	reach := max(5*deviations[len(d)/2], int64(slack))
	var kept []difference
	for i := range d {
		if abs(d[i].ns-median) <= reach {
			kept = append(kept, d[i])
		}
	}
	return kept
}

func abs(ns int64) int64 { return max(ns, -ns) }
