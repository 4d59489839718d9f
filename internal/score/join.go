package score

import (
	"math"
	"slices"
	"time"
)

// join finds out which flow each alert of one sensor belongs to. Flows come in
// the order in which they were handed over and are not kept, but for those with
// a key that alerts name, as long as an alert to come may be about them.
type join struct {
	*alerts
	offset Offset
	window int64 // ns
	next   []int32
	ends   []int32    // of each flow's alerts in list
	open   [][]joined // by key; the last flow is the last
	tally  *tally
}

// joined is a flow that the next alerts may belong to, and what it has so far.
type joined struct {
	flow
	number uint64 // a Live's of the flow
	first  int64  // alert, ns by our clock; math.MaxInt64: none
	began  int64  // of TCP, as the sensor saw it; 0: no alert has said so
	fired  []firing
}

func newJoined(f *flow) joined { return joined{flow: *f, first: math.MaxInt64} }

// firing is a signature that fired on a packet of one direction.
type firing struct {
	signature int32
	reversed  bool
}

const (
	// prompt is how long a packet may take from where it was handed over to where
	// the sensor saw it, and its answer.
	prompt = 100 * time.Millisecond
	// crossing is within which a packet of unknown end may be seen in another
	// order than it left in.
	crossing = 5 * time.Millisecond
)

func newJoin(a *alerts, o Offset, window int64, t *tally) *join {
	j := &join{alerts: a, offset: o, window: window, tally: t}
	j.next, j.ends, j.open = make([]int32, len(a.keys)), make([]int32, len(a.keys)), make([][]joined, len(a.keys))
	for i, one := range a.list {
		if i == 0 || a.list[i-1].flow != one.flow {
			j.next[one.flow] = int32(i)
		}
		j.ends[one.flow] = int32(i + 1)
	}
	return j
}

// add takes up the next flow.
func (j *join) add(f *flow) {
	j.tally.flow(f.class, f.ending, f.handed)
	n, ok := j.flowOf(f)
	if !ok {
		return
	}
	j.settle(n, f.handed)
	open := j.open[n]
	kept := 0
	for i := range open {
		if open[i].until(j.window)+j.offset.slack() >= f.handed {
			open[kept] = open[i]
			kept++
		} else {
			j.close(&open[i])
		}
	}
	j.open[n] = append(open[:kept], newJoined(f))
}

// end settles what is left: there are no more flows.
func (j *join) end() {
	for n := range j.open {
		j.settle(int32(n), math.MaxInt64)
		for i := range j.open[n] {
			j.close(&j.open[n][i])
		}
	}
}

// settle gives away the alerts before all flows to come, which are handed over
// from then on.
func (j *join) settle(n int32, from int64) {
	open := j.open[n]
	for ; j.next[n] < j.ends[n]; j.next[n]++ {
		one := &j.list[j.next[n]]
		if from != math.MaxInt64 && one.at-int64(j.offset.Applied)+j.offset.slack() >= from {
			return
		}
		c := choice{alert: one, offset: j.offset, window: j.window}
		for i := range open {
			c.consider(&open[len(open)-1-i])
		}
		switch f, first := c.take(); {
		case f != nil:
			j.tally.fired(one.signature, f.class, first)
		case c.undecided():
			j.tally.ambiguous(one.signature)
		default:
			j.tally.foreign(one.signature)
		}
	}
}

func (j *join) close(f *joined) {
	if f.first != math.MaxInt64 {
		j.tally.alerted(f.class, f.ending, f.handed, f.first-f.start)
	}
}

// until is when the last alert on the flow may be dated, in ns.
func (f *joined) until(window int64) int64 {
	if f.single() {
		return f.start + f.lasts + int64(prompt)
	}
	return f.start + max(window, f.lasts)
}

// choice is the flow that an alert is about, of those with its key.
type choice struct {
	alert  *alert
	offset Offset
	window int64   // ns
	same   *joined // that it is about for certain: the oldest of equal packets
	last   *joined // of those that it may be about, the last that began
	rivals int     // other flows that it may be about as well
	spent  int     // flows that it fits, and whose alert has been
}

// consider takes up a flow. They come in the order of their starts, the newest
// first.
func (c *choice) consider(f *joined) {
	certain, possible := c.fits(f)
	switch {
	case !certain && !possible:
	case c.again(f):
		c.spent++
	case certain:
		c.same = f
	case c.last == nil:
		c.last = f
	case !f.bounded && c.last.start-f.start > int64(crossing):
		// Its packet was seen long ago: the sensor is not that slow.
	case f.single() || c.alert.started:
		c.rivals++
	}
}

// fits reports whether the alert is about the flow, for certain or by when it
// was.
func (c *choice) fits(f *joined) (certain, possible bool) {
	one, slack := c.alert, c.offset.slack()
	after := one.at - int64(c.offset.Applied) - f.start
	if after < -slack {
		return false, false
	}
	switch {
	case f.tells(one):
		certain = one.print == f.print && after <= f.lasts+int64(prompt)
		return certain, certain
	case one.started && f.began == one.at: // all that is about a conversation says that it began at one time
		return true, true
	}
	lasts := f.lasts
	if !one.started && !f.single() { // a conversation goes on after its verdict
		lasts = max(lasts, c.window)
	}
	return false, after <= lasts+slack
}

// again reports whether the flow has had the alert: a signature fires once on a
// packet, and a conversation begins once.
func (c *choice) again(f *joined) bool {
	if f.single() {
		return slices.Contains(f.fired, firing{c.alert.signature, c.alert.reversed})
	}
	return c.alert.started && f.began != 0 && f.began != c.alert.at
}

// undecided reports whether the alert fits a flow, and no one can be named.
func (c *choice) undecided() bool { return c.last != nil || c.spent > 0 }

// take gives the alert to the flow that it is about; nil: there is none, or it
// is undecided. first says that it is the first of its signature there.
func (c *choice) take() (f *joined, first bool) {
	switch {
	case c.same != nil:
		f = c.same
	case c.last != nil && c.rivals == 0:
		f = c.last
	default:
		return nil, false
	}
	one := c.alert
	is := firing{one.signature, one.reversed}
	has, back := slices.Contains(f.fired, is), slices.Contains(f.fired, firing{one.signature, !one.reversed})
	if !has {
		f.fired = append(f.fired, is)
	}
	if one.started {
		f.began = one.at
	}
	f.first = min(f.first, one.seen-int64(c.offset.Applied))
	return f, !has && !back
}
