package chart

import (
	"testing"

	"pacgan-appliance/internal/wilson"
)

func TestPercent(t *testing.T) {
	_, high := wilson.Interval(7942, 7942)
	tests := []struct {
		share float64
		want  string
	}{
		{0, "0.0"}, {0.5, "50.0"}, {0.99949, "99.9"}, {0.9996, "99.9"}, {1 - 1e-9, "99.9"}, {1, "100.0"},
		{high, "100.0"}, // 1 up to rounding
		{7941.0 / 7942, "99.9"},
	}
	for _, tt := range tests {
		if got := Percent(tt.share); got != tt.want {
			t.Errorf("Percent(%v) = %s, want %s", tt.share, got, tt.want)
		}
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := Grouped(n); got != want {
			t.Errorf("Grouped(%d) = %s, want %s", n, got, want)
		}
	}
}
