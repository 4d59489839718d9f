package score

import "math"

// join finds out which flow each alert of one sensor belongs to: of the flows
// with the alert's key the last that began before it, no longer than window
// ago. Flows come in the order of their starts and are not kept, but for the
// last with each key that alerts name.
type join struct {
	*alerts
	offset, window int64 // ns
	next           []int32
	ends           []int32 // of each flow's alerts in list
	last           []joined
	tally          *tally
	serial         uint64
}

// joined is the flow that the next alerts may belong to.
type joined struct {
	start  int64
	class  int32 // -1: no flow yet
	ending ending
}

func newJoin(a *alerts, offset, window int64, t *tally) *join {
	j := &join{alerts: a, offset: offset, window: window, tally: t}
	j.next, j.ends, j.last = make([]int32, len(a.keys)), make([]int32, len(a.keys)), make([]joined, len(a.keys))
	for i, one := range a.list {
		if i == 0 || a.list[i-1].flow != one.flow {
			j.next[one.flow] = int32(i)
		}
		j.ends[one.flow] = int32(i + 1)
	}
	for i := range j.last {
		j.last[i].class = -1
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
	j.last[n] = joined{f.start, f.class, f.ending}
}

// end settles what is left: there are no more flows.
func (j *join) end() {
	for n := range j.last {
		j.settle(int32(n), math.MaxInt64)
	}
}

// settle gives the alerts before the next flow's start to the last flow.
func (j *join) settle(n int32, until int64) {
	last := j.last[n]
	first := int64(math.MaxInt64)
	j.serial++
	for ; j.next[n] < j.ends[n]; j.next[n]++ {
		one := j.list[j.next[n]]
		at := one.at - j.offset
		if until != math.MaxInt64 && at+int64(slack) >= until {
			break
		}
		if last.class < 0 || at-last.start > one.reach(j.window) {
			j.tally.foreign(one.signature)
			continue
		}
		first = min(first, one.seen-j.offset)
		j.tally.fired(one.signature, last.class, j.serial)
	}
	if first != math.MaxInt64 {
		j.tally.alerted(last.class, last.ending, last.start, first-last.start)
	}
}

// reach is how long after its flow's start an alert may lie: where it says when
// the flow began, one that began later has the same ports and is somebody else's.
func (a *alert) reach(window int64) int64 {
	if a.started {
		return int64(agree)
	}
	return window
}
