package inject

import (
	"math"
	"testing"
	"time"
)

// TestPacer asks at given times how many packets are due, and takes them all.
func TestPacer(t *testing.T) {
	const second = 1_000_000_000
	tests := []struct {
		name string
		rate float64
		now  []int64
		want []int
	}{
		{"one a second", 1, []int64{0, second / 2, second - 1, second, 3 * second / 2, 2 * second}, []int{1, 0, 0, 1, 0, 1}},
		{"a fraction", 2.5, []int64{0, 4e8 - 1, 4e8, 8e8, 12e8}, []int{1, 0, 1, 1, 1}},
		{"late within the bound", 1000, []int64{0, 50e6, 51e6}, []int{1, 50, 1}},
		{"late beyond the bound", 500, []int64{0, 500e6, 502e6}, []int{1, 51, 1}},
		{"more than a batch", 10_000, []int64{0, 15e6, 15e6, 15e6}, []int{1, 64, 64, 22}},
		{"unbounded", 0, []int64{0, 0}, []int{64, 64}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPacer(tt.rate, nil, 0)
			for i, now := range tt.now {
				if n := takeDue(p, now, batchSize); n != tt.want[i] {
					t.Errorf("at %d ns: %d due, want %d", now, n, tt.want[i])
				}
			}
		})
	}
}

// takeDue takes what is due, at most limit, and returns how many.
func takeDue(p *pacer, now int64, limit int) int {
	n := 0
	for n < limit && p.ready(now) {
		p.take()
		n++
	}
	return n
}

// TestPacerKeepsItsRate runs ten seconds of a clock that wakes late, as a busy
// machine's does, but never by more than is caught up with: what was asked for
// is achieved within half a percent, or the one packet that time cuts off.
func TestPacerKeepsItsRate(t *testing.T) {
	const seconds = 10
	for _, rate := range []float64{0.5, 1, 3.7, 50, 999.9, 12_345.6, 100_000} {
		p := newPacer(rate, nil, 0)
		packets, longest := 0, 0
		for now, late := int64(0), int64(0); now < seconds*1e9; {
			n := takeDue(p, now, math.MaxInt)
			packets += n
			longest = max(longest, n)
			late = (late*1_103_515_245 + 12_345) % int64(maxLag/2)
			now = max(p.next(), now+int64(quantum)) + late
		}
		if off := math.Abs(float64(packets) - rate*seconds); off > max(1, rate*seconds*0.005) {
			t.Errorf("%v packets a second: %d in %d s", rate, packets, seconds)
		}
		if most := rate*maxLag.Seconds() + 1; float64(longest) > most {
			t.Errorf("%v packets a second: a burst of %d, more than %v", rate, longest, most)
		}
	}
}

// TestPacerFollowsASchedule gives packets at uneven times, within a bound.
func TestPacerFollowsASchedule(t *testing.T) {
	const ms = int64(time.Millisecond)
	at := []time.Duration{0, 0, 0, 5 * time.Millisecond, 400 * time.Millisecond, 401 * time.Millisecond}
	tests := []struct {
		name string
		rate float64
		now  []int64
		want []int
	}{
		{"on time", 0, []int64{0, ms, 5 * ms, 6 * ms, 400 * ms, 401 * ms}, []int{3, 0, 1, 0, 1, 1}},
		{"bound by a rate", 500, []int64{0, ms, 2 * ms, 4 * ms, 6 * ms}, []int{1, 0, 1, 1, 1}},
		{"late: the gaps stay", 0, []int64{0, 5 * ms, 900 * ms, 900*ms + ms}, []int{3, 1, 2, 0}},
		{"far behind: what comes later comes later", 0, []int64{0, 200 * ms, 495 * ms, 496 * ms}, []int{3, 1, 1, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			next := 0
			schedule := func() time.Duration {
				if next == len(at) {
					return time.Hour
				}
				return at[next]
			}
			p := newPacer(tt.rate, schedule, 0)
			for i, now := range tt.now {
				n := 0
				for p.ready(now) {
					p.take()
					next++
					n++
				}
				if n != tt.want[i] {
					t.Errorf("at %v: %d due, want %d", time.Duration(now), n, tt.want[i])
				}
			}
		})
	}
}
