package inject

import (
	"math"
	"time"

	"pacgan-appliance/internal/ktime"
)

const (
	// maxLag is how much of the schedule is caught up with after a delay;
	// what lies further back is let go, so that no burst is longer.
	maxLag = 100 * time.Millisecond
	// quantum is the shortest sleep: above 5,000 packets a second several
	// are due at once, which costs less than a wake-up for each.
	quantum = 200 * time.Microsecond
)

// pacer says when packets are due: the n-th at its anchor + n/rate, so that
// delays do not add up, and not before its schedule says, where it has one.
// Times are nanoseconds of the monotonic clock.
type pacer struct {
	rate     float64              // packets a second; 0: no bound
	schedule func() time.Duration // when the next packet is due, since the beginning; nil: whenever the rate allows
	anchor   int64                // of the rate
	sent     int64                // since the anchor
	begin    int64                // of the schedule
}

func newPacer(rate float64, schedule func() time.Duration, now int64) *pacer {
	return &pacer{rate: rate, schedule: schedule, anchor: now, begin: now}
}

// ready reports whether a packet may leave now; take says that one did.
func (p *pacer) ready(now int64) bool {
	if lag := now - p.byRate(); p.rate > 0 && lag > int64(maxLag) {
		p.anchor, p.sent = now-int64(maxLag), 0
	}
	if p.schedule != nil {
		if lag := now - p.bySchedule(); lag > int64(maxLag) {
			p.begin += lag - int64(maxLag)
		}
	}
	return p.next() <= now
}

func (p *pacer) take() { p.sent++ }

// next is when the next packet is due.
func (p *pacer) next() int64 {
	if p.schedule == nil {
		return p.byRate()
	}
	return max(p.byRate(), p.bySchedule())
}

func (p *pacer) byRate() int64 {
	if p.rate == 0 {
		return p.anchor
	}
	return p.anchor + int64(math.Ceil(float64(p.sent)*1e9/p.rate))
}

func (p *pacer) bySchedule() int64 { return p.begin + int64(p.schedule()) }

// monotonic is the time that the pacer counts in.
func monotonic() int64 { return int64(ktime.Now()) }
