package inject

import (
	"errors"
	"fmt"
	"math"
	"time"
)

const (
	// followers is how many further frames the guard lets out for each packet
	// that the rate allows: a conversation's own segments, and an
	// acknowledgement of each that comes.
	followers = 16
	// followGap is the gap between further frames that is always allowed,
	// however low the rate.
	followGap = time.Millisecond
)

// SetMaxRate bounds the generated packets a second that the guard lets out
// over all labels; 0: no bound. In any t seconds at most rate * (t + 1/2)
// packets pass, and the few that a late start of a batch or an answer from
// their next hop sets free at once. A Run that is under way keeps its pace: end
// it first where the bound becomes lower.
func (in *Injector) SetMaxRate(rate float64) error {
	if rate < 0 || math.IsNaN(rate) {
		return fmt.Errorf("inject: max_rate %v: must not be negative", rate)
	}
	opening, following := paceOf(rate)
	if err := errors.Join(in.guard.PaceOpening.Set(opening), in.guard.PaceFollowing.Set(following)); err != nil {
		return fmt.Errorf("inject: tell the guard the bound on the rate: %w", err)
	}
	in.maxRate.Store(math.Float64bits(rate))
	return nil
}

// paceOf is a rate as the guard counts it. The pacer may be maxLag behind, a
// batch may be late and parked packets leave together: as many frames may come
// before their time.
func paceOf(rate float64) (opening, following guardPace) {
	if rate == 0 {
		return opening, following
	}
	gap := 1e9 / rate
	ahead := 5*float64(maxLag) + gap*math.Min(4*rate, batchSize+maxParked)
	opening = guardPace{GapNs: max(1, uint64(gap)), AheadNs: uint64(ahead)}
	following = guardPace{GapNs: max(1, min(opening.GapNs/followers, uint64(followGap))), AheadNs: opening.AheadNs}
	return opening, following
}
