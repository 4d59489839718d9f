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
	offset, window, slack int64 // ns
	next                  []int32
	ends                  []int32    // of each flow's alerts in list
	open                  [][]joined // by key; the last flow is the last
	tally                 *tally
	serial                uint64
}

// joined is a flow that the next alerts may belong to, and what it has so far.
type joined struct {
	start, rtt int64
	first      int64 // alert, ns by our clock; math.MaxInt64: none
	began      int64 // of TCP, as the sensor saw it; 0: no alert has said so
	serial     uint64
	class      int32
	ending     ending
	single     bool
	fired      []firing // of a single one
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

func newJoin(a *alerts, offset, window int64, t *tally) *join {
	j := &join{alerts: a, offset: offset, window: window, slack: slackOf(offset), tally: t}
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
	j.serial++
	j.open[n] = append(open[:kept], joined{
		start: f.start, rtt: f.rtt, first: math.MaxInt64, serial: j.serial, class: f.class, ending: f.ending, single: f.single(),
	})
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
		at := one.at - j.offset
		if until != math.MaxInt64 && at+j.slack >= until {
			return
		}
		f := j.taker(j.open[n], one, at)
		if f == nil {
			j.tally.foreign(one.signature)
			continue
		}
		f.first = min(f.first, one.seen-j.offset)
		if f.single && f.firedBack(one) {
			j.tally.again(one.signature, f.class)
		} else {
			j.tally.fired(one.signature, f.class, f.serial)
		}
	}
}

// taker is the last of the flows that takes an alert; nil: none does.
func (j *join) taker(open []joined, one *alert, at int64) *joined {
	for i := len(open) - 1; i >= 0; i-- {
		if at-open[i].start <= one.reach(open[i].single, open[i].rtt, j.window) && open[i].take(one) {
			return &open[i]
		}
	}
	return nil
}

func (j *join) close(f *joined) {
	if f.first != math.MaxInt64 {
		j.tally.alerted(f.class, f.ending, f.start, f.first-f.start)
	}
}

// take reports whether an alert can be about the flow, by what the flow has
// already. A signature fires once on a packet: a second time it is another
// packet of the same key. And all that is about one conversation says that it
// began at one time.
func (f *joined) take(one *alert) bool {
	switch {
	case f.single:
		has := firing{one.signature, one.reversed}
		if slices.Contains(f.fired, has) {
			return false
		}
		f.fired = append(f.fired, has)
	case one.started && f.began == 0:
		f.began = one.at
	case one.started:
		return f.began == one.at
	}
	return true
}

// firedBack reports whether the alert's signature fired in the other direction,
// too.
func (f *joined) firedBack(one *alert) bool {
	return slices.Contains(f.fired, firing{one.signature, !one.reversed})
}

// reach is how long after its flow's start an alert may lie: where it says when
// the flow began, and where it is about one packet or its answer, what came later
// has the same ports and is somebody else's.
func (a *alert) reach(single bool, rtt, window int64) int64 {
	switch {
	case a.started:
		return int64(prompt)
	case single:
		return min(window, rtt+int64(prompt))
	}
	return window
}
