package appliance

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func at(seconds ...float64) []time.Time {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	out := make([]time.Time, len(seconds))
	for i, s := range seconds {
		out[i] = begin.Add(time.Duration(s * float64(time.Second)))
	}
	return out
}

// step is a packet's label and when it is due, in seconds.
type step struct {
	Label int
	Due   float64
}

func steps(o order, left []int, n int) []step {
	var out []step
	for range n {
		due := o.due(left)
		label := o.pick(left)
		if label < 0 {
			break
		}
		if left[label] != endless {
			left[label]--
		}
		out = append(out, step{label, due.Seconds()})
	}
	return out
}

// TestLearnedOrderReplaysGaps: packets come when the captured ones did.
func TestLearnedOrderReplaysGaps(t *testing.T) {
	o, err := newLearnedOrder([][]time.Time{at(0, 1, 1.5, 4), at(0.25, 2.25)}, []string{"a", "b"})
	must(t, err)
	want := []step{{0, 0}, {1, 0.25}, {0, 1}, {0, 1.5}, {1, 2.25}, {0, 4}}
	if diff := cmp.Diff(want, steps(o, []int{4, 2}, 10)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

// TestLearnedOrderGoesOn: after the last gap comes the mean one, and then the
// first again.
func TestLearnedOrderGoesOn(t *testing.T) {
	o, err := newLearnedOrder([][]time.Time{at(0, 1, 4)}, []string{"a"})
	must(t, err)
	want := []step{{0, 0}, {0, 1}, {0, 4}, {0, 6}, {0, 7}, {0, 10}}
	if diff := cmp.Diff(want, steps(o, []int{endless}, 6)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if got := o.rate(); got != 0.5 {
		t.Errorf("rate %v, want 0.5", got)
	}
	if got := o.longest(); got != 3*time.Second {
		t.Errorf("longest gap %v, want 3s", got)
	}
}

// TestLearnedOrderKeepsTheDistribution: wherever it begins, a whole turn has
// every gap once.
func TestLearnedOrderKeepsTheDistribution(t *testing.T) {
	for seed := range uint64(20) {
		o, err := newLearnedOrder([][]time.Time{at(0, 1, 3, 7, 15)}, []string{"a"})
		must(t, err)
		got := steps(o.shuffle(seed), []int{endless}, 6)
		if turn := got[5].Due - got[0].Due; turn != 18.75 { // 15 s and the mean of four gaps
			t.Errorf("seed %d: five gaps take %v s, want 18.75", seed, turn)
		}
	}
}

func TestLearnedOrderOfOddCaptures(t *testing.T) {
	times := at(8, 0, 4) // two CPUs wrote them
	o, err := newLearnedOrder([][]time.Time{append(times, at(90_000)...)}, []string{"a"})
	must(t, err)
	want := []step{{0, 0}, {0, 4}, {0, 8}, {0, 8}} // a day's gap says that nothing was captured
	if diff := cmp.Diff(want, steps(o, []int{4}, 4)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	_, err = newLearnedOrder([][]time.Time{at(1)}, []string{"dns"})
	const message = `label "dns": 1 captured packets: the rate "learned" needs 2 at least, to learn a gap from: capture more, or give a number of packets per second`
	if err == nil || err.Error() != message {
		t.Errorf("error %v", err)
	}
}

func TestReplaySource(t *testing.T) {
	packets := [][][]byte{{{1}, {2}}, {{3}}}
	s, err := newReplaySource(packets, []string{"a", "b"}, newShareOrder([]float64{2, 1}), false)
	must(t, err)
	var got []byte
	for {
		p, err := s.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		got = append(got, p.IP[0])
		p.IP[0] = 99 // the injector repairs in place
	}
	if diff := cmp.Diff([]byte{1, 3, 2}, got); diff != "" {
		t.Errorf("packets (-want +got):\n%s", diff)
	}
	s, err = newReplaySource(packets, []string{"a", "b"}, newShareOrder([]float64{2, 1}), true)
	must(t, err)
	for i := range 9 {
		p, err := s.Next()
		must(t, err)
		if want := [][]byte{{1, 2}, {3}}; !bytes.Contains(want[p.Label], p.IP) {
			t.Fatalf("turn %d: label %d gives %d", i, p.Label, p.IP[0])
		}
	}
	_, err = newReplaySource([][][]byte{nil}, []string{"a"}, nil, false)
	if err == nil || err.Error() != `label "a": no captured packets to replay` {
		t.Errorf("error %v", err)
	}
}
