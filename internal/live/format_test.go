package live

import (
	"testing"
	"time"
)

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
		if long, short := Ago(tt.d), Brief(tt.d); long != tt.ago || short != tt.short {
			t.Errorf("%v: %q and %q, want %q and %q", tt.d, long, short, tt.ago, tt.short)
		}
	}
}
