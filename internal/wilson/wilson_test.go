package wilson

import (
	"math"
	"testing"
)

// TestInterval compares with published intervals: R's prop.test(x, n, correct = FALSE), and
// Newcombe, Statistics in Medicine 17 (1998), table I, method 3 (81/263, 15/148, 0/20, 1/29).
func TestInterval(t *testing.T) {
	tests := []struct {
		hits, n   uint64
		low, high float64
	}{
		{81, 263, 0.2553, 0.3662},
		{15, 148, 0.0624, 0.1605},
		{0, 20, 0, 0.1611},
		{1, 29, 0.0061, 0.1718},
		{29, 29, 0.8830, 1},
		{0, 0, 0, 1},
		{1_000_000, 1_000_000, 0.9999962, 1},
	}
	for _, tt := range tests {
		low, high := Interval(tt.hits, tt.n)
		for _, c := range []struct {
			name      string
			got, want float64
		}{{"low", low, tt.low}, {"high", high, tt.high}} {
			if math.IsNaN(c.got) || math.Abs(c.got-c.want) > 5e-5 {
				t.Errorf("%d of %d: %s %.5f, want %.5f", tt.hits, tt.n, c.name, c.got, c.want)
			}
		}
	}
}
