package web

import (
	"testing"
	"time"

	"pacgan-appliance/internal/verify"
)

func TestPercent(t *testing.T) {
	tests := []struct {
		share float64
		want  string
	}{
		{0, "0.0"}, {0.5, "50.0"}, {0.99949, "99.9"}, {0.9996, "99.9"}, {1 - 1e-9, "99.9"}, {1, "100.0"},
		{verify.SuccessOf(7942, 7942).High, "100.0"}, // 1 up to rounding
		{verify.SuccessOf(7941, 7942).Rate, "99.9"},
	}
	for _, tt := range tests {
		if got := percent(tt.share); got != tt.want {
			t.Errorf("percent(%v) = %s, want %s", tt.share, got, tt.want)
		}
	}
}

func TestTimes(t *testing.T) {
	tests := []struct {
		d          time.Duration
		ago, short string
	}{
		{10 * time.Second, "10 s", "10 s"},
		{24 * time.Minute, "24 min", "24 min"},
		{12 * time.Hour, "12 h 0 min", "12 h"},
		{day, "24 h 0 min", "24 h"},
		{15*day + 2*time.Hour, "15 d 2 h", "15 d"},
	}
	for _, tt := range tests {
		if long, short := ago(tt.d), brief(tt.d); long != tt.ago || short != tt.short {
			t.Errorf("%v: %q and %q, want %q and %q", tt.d, long, short, tt.ago, tt.short)
		}
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) = %s, want %s", n, got, want)
		}
	}
}
