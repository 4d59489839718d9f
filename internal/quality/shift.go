package quality

import "math"

// Shift is the field in which newer packets of a label differ most from what
// was learned, beyond what moved within that by itself.
type Shift struct {
	Field    string
	Distance float64 // Jensen-Shannon, base 2: 0 equal, 1 disjoint; from the learned packets to the newer ones
	Within   float64 // the same from the older half of the learned packets to its newer half
}

// By is how much further newer packets lie away than learned ones from each
// other: -1 to 1.
func (s Shift) By() float64 { return s.Distance - s.Within }

// ShiftOf compares packets that were learned, in the order of their times,
// with newer ones. Samples of equal size are compared, so that chance moves
// both distances alike: the newest halves of what there is of each. It is zero
// where there are no two packets to learn from, or no newer one.
func ShiftOf(learned, newer [][]byte) Shift {
	n := min(len(learned)/2, len(newer))
	if n == 0 {
		return Shift{}
	}
	older := readAll(learned[len(learned)-2*n : len(learned)-n])
	latest := readAll(learned[len(learned)-n:])
	fresh := readAll(newer[len(newer)-n:])
	var most Shift
	for f := range numFields {
		if !anyPresent(f, latest) && !anyPresent(f, fresh) {
			continue
		}
		edges := edgesOf(f, older, latest)
		before := histogram(f, edges, latest)
		s := Shift{
			Field:    f.String(),
			Distance: math.Sqrt(jsDivergence(before, histogram(f, edges, fresh))),
			Within:   math.Sqrt(jsDivergence(histogram(f, edges, older), before)),
		}
		if most.Field == "" || s.By() > most.By() {
			most = s
		}
	}
	return most
}
