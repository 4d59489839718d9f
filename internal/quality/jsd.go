package quality

import (
	"cmp"
	"math"
	"slices"
)

// Binning of wide fields.
const (
	mostExact = 32 // a field with no more distinct real values is compared value by value
	wideBins  = 16 // a wider numeric one in this many ranges
)

// fieldDistances measures FieldJSD and its kin over the fields that some real
// packet has.
func (r *Report) fieldDistances(generated, train, heldOut []values) {
	r.FieldDivergence.Fields = make(map[string]float64)
	r.FieldDivergenceFloor.Fields = make(map[string]float64)
	r.FieldJSD.Fields = make(map[string]float64)
	r.FieldJSDFloor.Fields = make(map[string]float64)
	for f := range numFields {
		if !anyPresent(f, train) && !anyPresent(f, heldOut) {
			continue
		}
		edges := edgesOf(f, train, heldOut)
		held := histogram(f, edges, heldOut)
		divergence := jsDivergence(histogram(f, edges, generated), held)
		floor := jsDivergence(histogram(f, edges, train), held)
		name := f.String()
		r.FieldDivergence.Fields[name] = divergence
		r.FieldDivergenceFloor.Fields[name] = floor
		r.FieldJSD.Fields[name] = math.Sqrt(divergence)
		r.FieldJSDFloor.Fields[name] = math.Sqrt(floor)
	}
	for _, d := range []*FieldDistances{&r.FieldJSD, &r.FieldJSDFloor, &r.FieldDivergence, &r.FieldDivergenceFloor} {
		d.Mean = mean(d.Fields)
	}
}

func anyPresent(f field, packets []values) bool {
	return slices.ContainsFunc(packets, func(v values) bool { return v[f].kind == present })
}

// mean adds in the order of the names, so that the last bit is always the same.
func mean(fields map[string]float64) float64 {
	if len(fields) == 0 {
		return 0
	}
	sum := 0.0
	for f := range numFields {
		sum += fields[f.String()]
	}
	return sum / float64(len(fields))
}

// edgesOf gives the upper ends of a wide field's bins: 16 ranges with as many
// real packets each, as near as equal values allow. Narrow fields and names
// have none and are compared value by value. Addresses are names: two that are
// near each other are not alike.
func edgesOf(f field, train, heldOut []values) []uint64 {
	switch f {
	case fieldSrc, fieldDst, fieldQName, fieldQType, fieldHost, fieldPath:
		return nil
	}
	var numbers []uint64
	for _, packets := range [][]values{train, heldOut} {
		for i := range packets {
			if v := packets[i][f]; v.kind == present {
				numbers = append(numbers, v.number)
			}
		}
	}
	slices.Sort(numbers)
	if len(slices.Compact(slices.Clone(numbers))) <= mostExact {
		return nil
	}
	edges := make([]uint64, 0, wideBins-1)
	for i := 1; i < wideBins; i++ {
		edges = append(edges, numbers[i*len(numbers)/wideBins])
	}
	return slices.Compact(edges)
}

// histogram counts packets by the field's value, or by the number of the bin
// that holds it.
func histogram(f field, edges []uint64, packets []values) map[value]int {
	counts := make(map[value]int)
	for i := range packets {
		v := packets[i][f]
		if v.kind == present && edges != nil {
			bin, _ := slices.BinarySearch(edges, v.number)
			v.number = uint64(bin)
		}
		counts[v]++
	}
	return counts
}

// jsDivergence is the Jensen-Shannon divergence in bits of two histograms:
// with m = (p+q)/2, half of KL(p||m) + KL(q||m) (Lin 1991). It is 0 between
// two empty ones and 1 between an empty one and any other.
func jsDivergence(a, b map[value]int) float64 {
	totalA, totalB := total(a), total(b)
	if totalA == 0 || totalB == 0 {
		if totalA == totalB {
			return 0
		}
		return 1
	}
	all := make([]value, 0, len(a)+len(b))
	for v := range a {
		all = append(all, v)
	}
	for v := range b {
		if a[v] == 0 {
			all = append(all, v)
		}
	}
	slices.SortFunc(all, compareValues)
	sum := 0.0
	for _, v := range all {
		p, q := float64(a[v])/float64(totalA), float64(b[v])/float64(totalB)
		m := (p + q) / 2
		sum += (klTerm(p, m) + klTerm(q, m)) / 2
	}
	return min(max(sum, 0), 1)
}

// klTerm is p log2(p/m), and its limit 0 at p = 0.
func klTerm(p, m float64) float64 {
	if p == 0 {
		return 0
	}
	return p * math.Log2(p/m)
}

func total(counts map[value]int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}

// compareValues is any fixed order.
func compareValues(a, b value) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.number, b.number), cmp.Compare(a.text, b.text))
}
