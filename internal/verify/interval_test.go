package verify

import (
	"testing"
	"time"
)

// TestSweepInterval: half a timeout within bounds while little is told, and the
// least where the ring might fill.
func TestSweepInterval(t *testing.T) {
	tests := []struct {
		name    string
		timeout time.Duration
		told    int
		since   time.Duration
		want    time.Duration
	}{
		{"nothing told", 2 * time.Second, 0, time.Second, time.Second},
		{"50 packets a second", 2 * time.Second, 60, time.Second, time.Second},
		{"as much, seen at short intervals", 2 * time.Second, 15, 250 * time.Millisecond, time.Second},
		{"1,000 packets a second", 2 * time.Second, 1000, time.Second, 250 * time.Millisecond},
		{"as much, seen at short intervals", 2 * time.Second, 250, 250 * time.Millisecond, 250 * time.Millisecond},
		{"a short timeout", 600 * time.Millisecond, 0, time.Second, 300 * time.Millisecond},
		{"a shorter one", 100 * time.Millisecond, 0, time.Second, 250 * time.Millisecond},
		{"a long one", time.Minute, 0, time.Second, time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := &Verifier{options: Options{Timeout: tt.timeout}}
			if got := v.sweepInterval(tt.told, tt.since); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}
