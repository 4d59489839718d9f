package appliance

import (
	"math"

	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/verify"
)

// below reports whether the rate a lies below the rate b by more than the 95 %
// interval of their difference: R. G. Newcombe's hybrid score interval
// (Statistics in Medicine 17, 1998, method 10), made of their two Wilson
// intervals. Nothing is below or above what has not been measured.
func below(a, b verify.Success) bool {
	if a.Decided == 0 || b.Decided == 0 {
		return false
	}
	return a.Rate-b.Rate+math.Hypot(a.High-a.Rate, b.Rate-b.Low) < 0
}

// fewer reports whether the count a is smaller than b by more than two standard
// deviations of their difference, were both Poisson. Counts of distinct things
// vary less than that.
func fewer(a, b int) bool {
	return float64(b-a) > 2*math.Sqrt(float64(a+b))
}

// outcomeOf is what became of a number of packets.
func outcomeOf(generated uint64, s verify.Success) model.Outcome {
	return model.Outcome{Generated: generated, Answered: s.Answered, Decided: s.Decided, Rate: s.Rate, Low: s.Low, High: s.High}
}

// successOf is an outcome's success rate.
func successOf(o model.Outcome) verify.Success { return verify.SuccessOf(o.Answered, o.Decided) }

// passed is what became of a label's packets between two readings of its counts.
func passed(before, after labelCounts) model.Outcome {
	a, b := before.success(), after.success()
	answered := b.Answered - a.Answered
	decided := max(answered, b.Decided-min(a.Decided, b.Decided)) // while packets pass one count is behind another
	return outcomeOf(after.Generated-before.Generated, verify.SuccessOf(answered, decided))
}
