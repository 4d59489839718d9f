package score

import (
	"math"
	"time"
)

// recentFlows are the flows of the last while, numbered from 1 in the order in
// which they came. The oldest make room for new ones.
type recentFlows struct {
	most    uint64 // flows
	ring    []liveFlow
	first   uint64 // the oldest that is remembered
	next    uint64 // the one to come
	settles uint64 // the oldest that is not settled
	byKey   map[key]uint64
}

// liveFlow is a flow and when its truth came.
type liveFlow struct {
	flow
	arrived time.Time
	before  uint64 // the flow that had the key before; 0: none
}

func newRecentFlows(most int) recentFlows {
	return recentFlows{most: uint64(most), ring: make([]liveFlow, min(most, 1024)), first: 1, next: 1, settles: 1, byKey: map[key]uint64{}}
}

func (r *recentFlows) at(n uint64) *liveFlow { return &r.ring[n%uint64(len(r.ring))] }

// full reports whether one that is not settled must make room for the next.
func (r *recentFlows) full() bool { return r.next-r.settles == r.most }

// outdated reports whether the oldest is of no use any more: there are too
// many, or it is settled and came before a time.
func (r *recentFlows) outdated(before time.Time) bool {
	return r.next-r.first == r.most || r.first < r.settles && r.at(r.first).arrived.Before(before)
}

// forget makes room, and returns the number of the flow that was the oldest.
func (r *recentFlows) forget() uint64 {
	n := r.first
	if k := r.at(n).key; r.byKey[k] == n {
		delete(r.byKey, k)
	}
	r.first++
	return n
}

// add takes up a flow. There is room for it.
func (r *recentFlows) add(f liveFlow) {
	if r.next-r.first == uint64(len(r.ring)) {
		r.grow()
	}
	f.before = r.byKey[f.key]
	r.byKey[f.key] = r.next
	*r.at(r.next) = f
	r.next++
}

// grow doubles the ring: what a slow sender needs is little.
func (r *recentFlows) grow() {
	larger := make([]liveFlow, min(2*uint64(len(r.ring)), r.most))
	for n := r.first; n < r.next; n++ {
		larger[n%uint64(len(larger))] = *r.at(n)
	}
	r.ring = larger
}

// newest is the last flow with a key; 0: none is remembered.
func (r *recentFlows) newest(k key) uint64 {
	if k == (key{}) {
		return 0
	}
	return r.byKey[k]
}

// older is the flow that had the same key before; 0: none is remembered.
func (r *recentFlows) older(n uint64) uint64 {
	if before := r.at(n).before; before >= r.first {
		return before
	}
	return 0
}

// newestHanded is when the last flow was handed over; before all times without one.
func (r *recentFlows) newestHanded() int64 {
	if r.next == r.first {
		return math.MinInt64
	}
	return r.at(r.next - 1).handed
}

func (r *recentFlows) unsettled() bool         { return r.settles < r.next }
func (r *recentFlows) nextToSettle() *liveFlow { return r.at(r.settles) }
func (r *recentFlows) isSettled(n uint64) bool { return n < r.settles }

// settle is the next flow to settle, with its number.
func (r *recentFlows) settle() (uint64, *liveFlow) {
	r.settles++
	return r.settles - 1, r.at(r.settles - 1)
}
