package verify

import "pacgan-appliance/internal/wilson"

// Success is a success rate with its 95 % interval.
type Success struct {
	Answered uint64  // packets with a valid response
	Decided  uint64  // packets whose end is known: generated less inflight
	Rate     float64 // Answered / Decided; 0 where Decided is 0
	Low      float64 // Wilson 95 % interval; 0 to 1 where Decided is 0
	High     float64
}

// SuccessOf computes the success rate of DESIGN.md. No result is NaN.
func SuccessOf(answered, decided uint64) Success {
	s := Success{Answered: answered, Decided: decided}
	if decided > 0 {
		s.Rate = float64(answered) / float64(decided)
	}
	s.Low, s.High = wilson.Interval(answered, decided)
	return s
}
