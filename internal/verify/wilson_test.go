package verify

import (
	"math"
	"testing"
)

// TestSuccessOf compares with published intervals: R's prop.test(x, n, correct = FALSE), and
// Newcombe, Statistics in Medicine 17 (1998), table I, method 3 (81/263, 15/148, 0/20, 1/29).
func TestSuccessOf(t *testing.T) {
	tests := []struct {
		answered, decided uint64
		rate, low, high   float64
	}{
		{81, 263, 0.30798, 0.2553, 0.3662},
		{15, 148, 0.10135, 0.0624, 0.1605},
		{0, 20, 0, 0, 0.1611},
		{1, 29, 0.03448, 0.0061, 0.1718},
		{29, 29, 1, 0.8830, 1},
		{0, 0, 0, 0, 1},
		{1_000_000, 1_000_000, 1, 0.9999962, 1},
	}
	for _, tt := range tests {
		got := SuccessOf(tt.answered, tt.decided)
		for _, c := range []struct {
			name      string
			got, want float64
		}{{"rate", got.Rate, tt.rate}, {"low", got.Low, tt.low}, {"high", got.High, tt.high}} {
			if math.IsNaN(c.got) || math.Abs(c.got-c.want) > 5e-5 {
				t.Errorf("%d of %d: %s %.5f, want %.5f", tt.answered, tt.decided, c.name, c.got, c.want)
			}
		}
	}
}
