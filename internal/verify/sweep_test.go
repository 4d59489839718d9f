package verify

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

// kernelTime is bpf_ktime_get_ns.
func kernelTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err) // no such clock: not Linux
	}
	return time.Duration(ts.Nano())
}

func TestSweep(t *testing.T) {
	tests := []struct {
		name   string
		expect matchExpectation
		age    time.Duration
		want   ends
		kept   bool
	}{
		{"fresh", matchExpectation{State: 1}, 0, ends{Inflight: 1}, true},
		{"three fresh", matchExpectation{State: 3}, 0, ends{Inflight: 3}, true},
		{"overdue", matchExpectation{State: 1}, 3 * time.Second, ends{Expired: 1}, true},
		{"three overdue", matchExpectation{State: 3, Label: dns}, 3 * time.Second, ends{Expired: 3}, true},
		{"answered", matchExpectation{}, 3 * time.Second, ends{}, true},
		{"answered long ago", matchExpectation{}, 5 * time.Second, ends{}, false},
		{"overdue for long", matchExpectation{State: 1}, 8 * time.Second, ends{Expired: 1}, true}, // until the next sweep
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var told []Told
			v := mustOpen(t, Options{
				Timeout: 2 * time.Second, Expectations: 1000, Tell: func(t []Told, _ time.Time) { told = append(told, t...) },
			})
			key := echoKey(pingData)
			mustExpect(t, v, key, tt.expect, tt.age)
			got := mustEnds(t, v, int(tt.expect.Label))
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("ends (-want +got):\n%s", diff)
			}
			var e matchExpectation
			if kept := v.match.Expectations.Lookup(key, &e) == nil; kept != tt.kept {
				t.Errorf("entry kept: %v, want %v", kept, tt.kept)
			}
			if n, err := v.Inflight(); err != nil || n != tt.want.Inflight {
				t.Errorf("%d in flight over all labels (%v), want %d", n, err, tt.want.Inflight)
			}
			if again := mustEnds(t, v, int(tt.expect.Label)); again.Expired != tt.want.Expired {
				t.Errorf("%d expired at the second sweep, want %d", again.Expired, tt.want.Expired)
			}
			if err := v.tell(time.Now()); err != nil {
				t.Fatal(err)
			}
			if got := toldEnds(t, told, tt.expect); got.Expired != tt.want.Expired || len(told) > 1 {
				t.Errorf("told %+v, want %d expired", told, tt.want.Expired)
			}
		})
	}
}
