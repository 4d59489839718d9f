package inject_test

import (
	"math"
	"testing"
	"time"

	"pacgan-appliance/internal/inject"
)

// TestRate holds achieved rates to half a percent of what was asked.
func TestRate(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector takes the processor away")
	}
	n := newNetwork(t, networkOptions{})
	for _, tt := range []struct {
		name  string
		rate  float64
		count uint64
	}{{"2.5", 2.5, 6}, {"200", 200, 200}, {"1000", 1000, 500}, {"20000", 20_000, 10_000}} {
		t.Run(tt.name, func(t *testing.T) {
			var got inject.Summary
			for range 100 { // a busy machine may take the processor away
				source := &endless{list: pings(t, 1, pingServer)}
				source.list[0].label = none
				var err error
				if got, err = n.injector.Run(t.Context(), source, inject.RunOptions{Rate: tt.rate, Count: tt.count}); err != nil {
					t.Fatal(err)
				}
				if got.Generated == tt.count && math.Abs(got.Rate()/tt.rate-1) <= 0.005 {
					return
				}
			}
			t.Errorf("%d packets at %.2f a second, want %d at %v", got.Generated, got.Rate(), tt.count, tt.rate)
		})
	}
}

// TestRunBounds: a run ends after its time, with no packet more than its rate makes of that.
func TestRunBounds(t *testing.T) {
	n := newNetwork(t, networkOptions{})
	var generated uint64
	for range 20 { // a busy machine may take the processor away
		source := &endless{list: pings(t, 1, pingServer)}
		got, err := n.injector.Run(t.Context(), source, inject.RunOptions{Rate: 1000, Duration: 500 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if generated = got.Generated; generated >= 490 {
			break
		}
	}
	if generated < 490 || generated > 501 {
		t.Errorf("%d packets in half a second at 1000 a second", generated)
	}
	n.settled(t)
}
