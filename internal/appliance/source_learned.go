package appliance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/packet"
)

const (
	// learnedMost bounds the packets of a label whose gaps are learned.
	learnedMost = 50_000
	// captureWasOff is a gap that says nothing about the traffic.
	captureWasOff = time.Hour
)

// learnedOrder mixes labels as they were captured: each label's packets come
// at the gaps of its captured ones, in their order, so that bursts stay
// bursts; after the last gap the first comes again.
type learnedOrder struct {
	labels []rhythm
}

// rhythm is when one label's packets come.
type rhythm struct {
	gaps []time.Duration // before each packet; the first stands between the last packet and the first
	at   int             // of the gap before the packet after next
	due  time.Duration   // of the next packet, since the beginning
}

// orderOf is the order that a config asks for: by shares, or learned from what
// the store has of each label.
func orderOf(cfg config.Config, store *dataset.Store, seed uint64) (order, error) {
	if !cfg.Inject.Rate.Learned {
		return newShareOrder(shares(cfg)), nil
	}
	var times [][]time.Time
	for _, l := range cfg.Labels {
		captured, err := store.Read(l.Name, learnedMost)
		if err != nil {
			return nil, err
		}
		times = append(times, timesOf(captured))
	}
	learned, err := newLearnedOrder(times, labelNames(cfg))
	if err != nil {
		return nil, err
	}
	return learned.shuffle(seed), nil
}

// newLearnedOrder learns from what was captured of each label. The first
// packets come as far apart as the labels' first captured ones did.
func newLearnedOrder(captured [][]time.Time, names []string) (*learnedOrder, error) {
	o := &learnedOrder{}
	var begin time.Time
	for i, times := range captured {
		gaps := gapsOf(times)
		if len(gaps) < 2 {
			return nil, fmt.Errorf(`label %q: %d captured packets: the rate "learned" needs 2 at least, to learn a gap from: capture more, or give a number of packets per second`,
				names[i], len(times))
		}
		o.labels = append(o.labels, rhythm{gaps: gaps, at: 1})
		if i == 0 || times[0].Before(begin) {
			begin = times[0]
		}
	}
	for i := range o.labels {
		if first := captured[i][0].Sub(begin); first <= captureWasOff {
			o.labels[i].due = first
		}
	}
	return o, nil
}

// shuffle has each label begin somewhere in its captured gaps.
func (o *learnedOrder) shuffle(seed uint64) *learnedOrder {
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range o.labels {
		r := &o.labels[i]
		r.at = random.IntN(len(r.gaps))
		r.due = time.Duration(random.Float64() * float64(r.gaps[r.at]))
		r.at = (r.at + 1) % len(r.gaps)
	}
	return o
}

// gapsOf are the times between packets, which it sorts. In the place of the
// gap before the first stands the mean of the others.
func gapsOf(times []time.Time) []time.Duration {
	slices.SortFunc(times, time.Time.Compare)
	gaps := []time.Duration{0}
	var sum time.Duration
	for i := 1; i < len(times); i++ {
		gap := times[i].Sub(times[i-1])
		if gap > captureWasOff {
			gap = 0
		}
		gaps = append(gaps, gap)
		sum += gap
	}
	if len(gaps) > 1 {
		gaps[0] = sum / time.Duration(len(gaps)-1)
	}
	return gaps
}

func (o *learnedOrder) pick(left []int) int {
	i := o.earliest(left)
	if i < 0 {
		return -1
	}
	r := &o.labels[i]
	r.due += r.gaps[r.at]
	r.at = (r.at + 1) % len(r.gaps)
	return i
}

func (o *learnedOrder) due(left []int) time.Duration {
	i := o.earliest(left)
	if i < 0 {
		return 0 // at once, to hear that none is left
	}
	return o.labels[i].due
}

func (o *learnedOrder) earliest(left []int) int {
	best := -1
	for i, n := range left {
		if n != 0 && (best < 0 || o.labels[i].due < o.labels[best].due) {
			best = i
		}
	}
	return best
}

// rate is the packets per second of all labels together; 0: they come at once.
func (o *learnedOrder) rate() float64 {
	var sum float64
	for _, r := range o.labels {
		if r.gaps[0] > 0 { // the mean
			sum += 1 / r.gaps[0].Seconds()
		}
	}
	return sum
}

// longest is the longest time between two packets.
func (o *learnedOrder) longest() time.Duration {
	var longest time.Duration
	for _, r := range o.labels {
		longest = max(longest, slices.Max(r.gaps))
	}
	return longest
}

// timesOf are the packets' times.
func timesOf(captured []packet.Packet) []time.Time {
	times := make([]time.Time, len(captured))
	for i, c := range captured {
		times[i] = c.Time
	}
	return times
}
