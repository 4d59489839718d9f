package appliance

import "testing"

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
