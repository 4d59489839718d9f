package verify

import "math"

// Success is a success rate with its 95 % interval.
type Success struct {
	Answered uint64  // packets with a valid response
	Decided  uint64  // packets whose end is known: generated less inflight
	Rate     float64 // Answered / Decided; 0 where Decided is 0
	Low      float64 // Wilson 95 % interval; 0 to 1 where Decided is 0
	High     float64
}

// z95 is the standard normal distribution's 0.975 quantile.
const z95 = 1.959963984540054

// SuccessOf computes the success rate of DESIGN.md. No result is NaN.
func SuccessOf(answered, decided uint64) Success {
	if decided == 0 {
		return Success{High: 1}
	}
	s := Success{Answered: answered, Decided: decided, Rate: float64(answered) / float64(decided)}
	s.Low, s.High = wilson(s.Rate, float64(decided))
	return s
}

// wilson is the score interval of a proportion p of n trials: E. B. Wilson,
// JASA 22 (1927), the roots of (p - x)^2 = z^2 x (1 - x) / n.
func wilson(p, n float64) (low, high float64) {
	const z2 = z95 * z95
	centre := (p + z2/(2*n)) / (1 + z2/n)
	half := z95 / (1 + z2/n) * math.Sqrt(p*(1-p)/n+z2/(4*n*n))
	return max(0, centre-half), min(1, centre+half)
}
