package verify

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

// TestBinMiddle checks that the bins tile the numbers: binMiddle inverts the
// kernel's rtt_bin, which TestKernelBins compares with binOf.
func TestBinMiddle(t *testing.T) {
	for bin := range rttBins - 1 {
		middle := binMiddle(bin)
		if got := binOf(uint64(middle)); got != bin {
			t.Errorf("the middle of bin %d, %v, lies in bin %d", bin, middle, got)
		}
	}
}

// binOf is bpf/verdict.h's rtt_bin, by logarithm.
func binOf(ns uint64) int {
	if ns < 16 {
		return int(ns)
	}
	top := math.Floor(math.Log2(float64(ns)))
	return min(rttBins-1, int((top-3)*16+math.Floor(float64(ns)/math.Exp2(top-4))-16))
}

func TestQuantile(t *testing.T) {
	var h Histogram
	if got := h.Quantile(0.5); got != 0 {
		t.Errorf("median of nothing: %v", got)
	}
	for us := 1; us <= 1000; us++ {
		h.bins[binOf(uint64(us)*1000)]++
	}
	for q, want := range map[float64]time.Duration{0: time.Microsecond, 0.5: 500 * time.Microsecond, 0.9: 900 * time.Microsecond, 0.99: 990 * time.Microsecond, 1: time.Millisecond} {
		if got := h.Quantile(q); math.Abs(float64(got-want)) > float64(want)/16 {
			t.Errorf("quantile %v: %v, want %v within a sixteenth", q, got, want)
		}
	}
	h.Merge(&h)
	if got := h.Count(); got != 2000 {
		t.Errorf("%d times, want 2000", got)
	}
}

// TestKernelBins lets the matcher measure round-trip times and finds them in
// the right bins.
func TestKernelBins(t *testing.T) {
	v := mustOpen(t, Options{Timeout: time.Minute})
	frame := mustEcho(t, 77, 3, pingData)
	for _, age := range []time.Duration{time.Millisecond, 20 * time.Millisecond, time.Second, 16 * time.Second, 40 * time.Second} {
		if age > kernelTime() {
			continue // the machine was not up then
		}
		before := mustRTT(t, v)
		start := kernelTime()
		mustExpect(t, v, echoKey(pingData), pending(ping), age)
		mustMatch(t, v, frame)
		slack := kernelTime() - start
		after := mustRTT(t, v)
		for bin := range after.bins {
			if after.bins[bin] == before.bins[bin] {
				continue
			}
			if low, high := binOf(uint64(age)), binOf(uint64(age+slack)); bin < low || bin > high {
				t.Errorf("%v (up to %v later) is in bin %d, want %d to %d", age, slack, bin, low, high)
			}
		}
		if after.Count() != before.Count()+1 {
			t.Errorf("%v: %d times counted, want 1", age, after.Count()-before.Count())
		}
	}
}

func mustRTT(tb testing.TB, v *Verifier) Histogram {
	tb.Helper()
	counts, err := v.Counts()
	if err != nil {
		tb.Fatal(err)
	}
	return counts[ping].RTT
}

func TestHistogramJSON(t *testing.T) {
	var h, back Histogram
	h.bins[0], h.bins[300], h.bins[rttBins-1] = 1, 1<<63, 7
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	back.bins[5] = 3 // not there afterwards
	if err := json.Unmarshal(text, &back); err != nil || back != h {
		t.Errorf("%s does not come back: %v", text, err)
	}
	for _, bad := range []string{`{"-1":1}`, `{"100000":1}`, `{"1":-1}`, `{"x":1}`, `[1]`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
