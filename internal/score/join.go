package score

import (
	"math"
	"slices"
	"time"
)

// join finds out which flow each alert of one sensor belongs to: of the flows
// with the alert's key the last that began before it and takes it. Flows come in
// the order of their starts and are not kept, but for the last ones with each key
// that alerts name.
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
	start, rtt int64
	first      int64 // alert, ns by our clock; math.MaxInt64: none
	began      int64 // of TCP, as the sensor saw it; 0: no alert has said so
	class      int32
	ending     ending
	single     bool
	fired      []firing
}

func newJoined(f *flow) joined {
	return joined{start: f.start, rtt: f.rtt, first: math.MaxInt64, class: f.class, ending: f.ending, single: f.single()}
}

// firing is a signature that fired on a packet of one direction.
type firing struct {
	signature int32
	reversed  bool
}

const (
	// prompt is how long a packet may take from where it was handed over to where
	// the sensor saw it.
	prompt = 100 * time.Millisecond
	// crossing is within which two packets of a key may be seen in the other
	// order than they were handed over.
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
	j.tally.flow(f.class, f.ending, f.start)
	n, ok := j.flowOf(f)
	if !ok {
		return
	}
	j.settle(n, f.start)
	open := j.open[n]
	kept := 0
	for i := range open {
		if open[i].single && f.start-open[i].start <= int64(crossing) {
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

// settle gives away the alerts before the next flow's start.
func (j *join) settle(n int32, until int64) {
	for ; j.next[n] < j.ends[n]; j.next[n]++ {
		one := &j.list[j.next[n]]
		if until != math.MaxInt64 && one.at-int64(j.offset.Applied)+j.offset.slack() >= until {
			return
		}
		if f, first := j.taker(j.open[n], one); f != nil {
			j.tally.fired(one.signature, f.class, first)
		} else {
			j.tally.foreign(one.signature)
		}
	}
}

// taker is the last of the flows that takes an alert; nil: none does.
func (j *join) taker(open []joined, one *alert) (f *joined, first bool) {
	for i := len(open) - 1; i >= 0; i-- {
		if taken, first := open[i].take(one, j.offset, j.window); taken {
			return &open[i], first
		}
	}
	return nil, false
}

func (j *join) close(f *joined) {
	if f.first != math.MaxInt64 {
		j.tally.alerted(f.class, f.ending, f.start, f.first-f.start)
	}
}

// take reports whether an alert can be about the flow, by when it was and what
// the flow has already, and whether it is the first of its signature. A
// signature fires once on a packet: a second time it is another packet of the
// same key. And all that is about one conversation says that it began at one
// time.
func (f *joined) take(one *alert, o Offset, window int64) (taken, first bool) {
	if one.at-f.start-o.late() > one.reach(f, window) {
		return false, false
	}
	is := firing{one.signature, one.reversed}
	has, back := slices.Contains(f.fired, is), slices.Contains(f.fired, firing{one.signature, !one.reversed})
	switch {
	case f.single && has:
		return false, false
	case f.single:
	case one.started && f.began == 0:
		f.began = one.at
	case one.started && f.began != one.at:
		return false, false
	}
	if !has {
		f.fired = append(f.fired, is)
	}
	f.first = min(f.first, one.seen-int64(o.Applied))
	return true, !has && !back
}

// reach is how long after its flow's start an alert may lie: where it says when
// the flow began, and where it is about one packet or its answer, what came later
// has the same ports and is somebody else's.
func (a *alert) reach(f *joined, window int64) int64 {
	switch {
	case a.started:
		return int64(prompt)
	case f.single:
		return min(window, f.rtt+int64(prompt))
	}
	return window
}
