package score

import (
	"cmp"
	"slices"
	"time"
)

// Offset is how far a sensor's clock is ahead of the appliance's.
type Offset struct {
	// Median is the median of the times from a flow's start to its alert, over
	// the alerts that the estimate is made of: the clock's offset and the time to
	// detect together.
	Median time.Duration `json:"median_ns"`
	// Applied was taken off the sensor's times: nearly the least of these times,
	// or 0 where detecting may have taken them, from which a clock that is a
	// little ahead cannot be told.
	Applied time.Duration `json:"applied_ns"`
	Pairs   int           `json:"pairs"` // alerts and flows that agree about it
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
	// sameSlack is that of a clock that is ours: EVE has microseconds.
	sameSlack = 2 * time.Microsecond
)

// slack is how much earlier than its flow an alert may seem to be, in ns: where
// nothing is taken off, every alert that was looked at came after its flow.
func (o Offset) slack() int64 {
	if o.Applied == 0 {
		return int64(sameSlack)
	}
	return int64(slack)
}

// late is how much later than its packet an alert is, in ns: what is taken off
// or, where nothing is, what detecting takes, the clock's offset included. Of few
// pairs it is not known.
func (o Offset) late() int64 {
	switch {
	case o.Applied != 0:
		return int64(o.Applied)
	case o.Pairs < leastAgreed:
		return 0
	}
	return int64(max(0, o.Median))
}

// difference is one alert's time less one flow's.
type difference struct {
	ns     int64
	weight float64
}

// sample collects the starts of some of the flows that alerts name.
type sample struct {
	alerts *alerts
	step   int32     // every step-th flow is looked at
	starts [][]int64 // by flow / step
	uses   []int32   // how many there were
	pairs  int       // all starts
	judge  int       // as many pairs are worth a look at whether they are enough
}

// enough is how many pairs that agree settle the offset, if they are a third
// of all: by chance so many never do.
const enough = 1000

func newSample(a *alerts) *sample {
	step := int32(len(a.keys)/sampledFlows + 1)
	n := len(a.keys)/int(step) + 1
	return &sample{alerts: a, step: step, starts: make([][]int64, n), uses: make([]int32, n), judge: 2 * enough}
}

func (s *sample) add(f *flow) {
	n, ok := s.alerts.flowOf(f)
	if !ok || n%s.step != 0 {
		return
	}
	if n /= s.step; len(s.starts[n]) < sampledTimes {
		s.starts[n] = append(s.starts[n], f.start)
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
	for _, one := range s.alerts.list {
		n := one.flow / s.step
		if one.flow%s.step != 0 || looked[n] == sampledTimes {
			continue
		}
		looked[n]++
		for _, start := range s.starts[n] {
			d := difference{one.at - start, 1 / float64(len(s.starts[n]))}
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
	o := Offset{Median: time.Duration(agreed[len(agreed)/2]), Pairs: len(agreed)}
	// An alert comes after its flow: the offset is nearly the least of what is
	// agreed about, not its median, before which half of all alerts would lie.
	if least := time.Duration(agreed[len(agreed)/20]); o.Median > detecting || least < 0 {
		o.Applied = least
	}
	return o
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
func around(d []difference) []int64 {
	median := d[len(d)/2].ns
	deviations := make([]int64, len(d))
	for i := range d {
		deviations[i] = abs(d[i].ns - median)
	}
	slices.Sort(deviations)
	reach := max(5*deviations[len(d)/2], int64(slack))
	var kept []int64
	for i := range d {
		if abs(d[i].ns-median) <= reach {
			kept = append(kept, d[i].ns)
		}
	}
	return kept
}

func abs(ns int64) int64 { return max(ns, -ns) }
