package appliance

import (
	"testing"
	"time"
)

// TestRipening: labels that have enough packets wait for others, and not for ever.
func TestRipening(t *testing.T) {
	start := time.Unix(1e9, 0)
	type look struct {
		after  time.Duration
		enough int
		want   bool
	}
	for _, tt := range []struct {
		name  string
		looks []look
	}{
		{"none", []look{{0, 0, false}, {24 * time.Hour, 0, false}}},
		{"all at once", []look{{0, 3, true}}},
		{"one never comes", []look{{0, 0, false}, {time.Hour, 2, false}, {time.Hour + patience - 1, 2, false}, {time.Hour + patience, 2, true}, {48 * time.Hour, 2, true}}},
		{"each begins the wait anew", []look{{0, 1, false}, {patience - 1, 2, false}, {patience, 2, false}, {2*patience - 1, 2, true}}},
		{"the last one comes", []look{{0, 2, false}, {time.Second, 3, true}}},
		{"one expires", []look{{0, 3, true}, {time.Hour, 2, false}, {time.Hour + patience, 2, true}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r ripening
			for i, l := range tt.looks {
				if got := r.look(start.Add(l.after), l.enough, 3); got != l.want {
					t.Errorf("look %d, %d labels after %v: %v, want %v", i, l.enough, l.after, got, l.want)
				}
			}
		})
	}
}

// TestGrown: every label needs its new packets, however many another one has.
func TestGrown(t *testing.T) {
	before := map[string]uint64{"dns": 1000, "http": 50}
	tests := []struct {
		name string
		now  map[string]uint64
		want bool
	}{
		{"nothing new", before, false},
		{"one label alone", map[string]uint64{"dns": 9000, "http": 50, "ping": 100}, false},
		{"one too few", map[string]uint64{"dns": 1100, "http": 149, "ping": 100}, false},
		{"enough, one label new", map[string]uint64{"dns": 1100, "http": 150, "ping": 100}, true},
		{"counts that began anew", map[string]uint64{"dns": 200, "http": 150, "ping": 100}, false},
	}
	for _, tt := range tests {
		if got := grown(before, tt.now, []string{"dns", "http", "ping"}, 100); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
