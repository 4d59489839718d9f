package train

import (
	"maps"
	"math"
	"slices"

	"pacgan-appliance/internal/encoding"
	"pacgan-appliance/internal/model"
)

// defineForest is recipe T written down plainly and slowly: what FitTrees has to equal.
func defineForest(packets [][]byte) *model.Forest {
	var all [][]uint8
	shortest, longest := math.MaxInt, 0
	for _, p := range packets {
		all = append(all, encoding.AppendDigits(nil, p))
		shortest, longest = min(shortest, len(p)), max(longest, len(p))
	}
	f := &model.Forest{MinLen: shortest}
	for i := range 2*longest + 1 {
		var examples []example
		for _, digits := range all {
			switch {
			case i == 2*longest:
				examples = append(examples, example{digits[:2*shortest], len(digits) / 2})
			case i < len(digits):
				examples = append(examples, example{digits[:i], int(digits[i])})
			}
		}
		f.Root = append(f.Root, int32(len(f.Split)))
		define(f, examples)
	}
	f.First = append(f.First, int32(len(f.Value)))
	return f
}

// example is what a tree may look at, and what it is to tell.
type example struct {
	features []uint8
	target   int
}

func define(f *model.Forest, examples []example) int32 {
	node := int32(len(f.Split))
	f.Split, f.Kids = append(f.Split, model.Leaf), append(f.Kids, model.Leaf)
	f.First = append(f.First, int32(len(f.Value)))
	counts := countTargets(examples)
	for _, v := range slices.Sorted(maps.Keys(counts)) {
		f.Value, f.Count = append(f.Value, uint16(v)), append(f.Count, uint32(counts[v]))
	}
	k := len(counts)
	best, split := defineLikelihood(counts, k), -1
	for j := range examples[0].features {
		sum := 0.0
		for _, child := range divide(examples, j) {
			if len(child) > 0 {
				sum += defineLikelihood(countTargets(child), k)
			}
		}
		if sum > best+1e-9*math.Abs(best) {
			best, split = sum, j
		}
	}
	if split < 0 {
		return node
	}
	kids := len(f.Child)
	f.Split[node], f.Kids[node] = int32(split), int32(kids)
	for range 16 {
		f.Child = append(f.Child, model.Leaf)
	}
	for v, child := range divide(examples, split) {
		if len(child) > 0 {
			f.Child[kids+v] = define(f, child)
		}
	}
	return node
}

func divide(examples []example, j int) (children [16][]example) {
	for _, e := range examples {
		children[e.features[j]] = append(children[e.features[j]], e)
	}
	return children
}

func countTargets(examples []example) map[int]int {
	counts := map[int]int{}
	for _, e := range examples {
		counts[e.target]++
	}
	return counts
}

// defineLikelihood is ML = sum over t of L_{1/k}(n_t) - L_1(m), with L_a(n) = sum of ln(a + s).
func defineLikelihood(counts map[int]int, k int) float64 {
	rising := func(a float64, n int) (sum float64) {
		for s := range n {
			sum += math.Log(a + float64(s))
		}
		return sum
	}
	ml, m := 0.0, 0
	for _, n := range counts {
		ml += rising(1/float64(k), n)
		m += n
	}
	return ml - rising(1, m)
}
