package train

import (
	"maps"
	"math"
	"slices"

	"pacgan-appliance/internal/model"
)

// defineTree appends the tree of rows by the rule of FitTrees, written down plainly and slowly: what growTree has to
// equal on as many packets as it looks at.
func defineTree(t *tree, target []uint16, features [][]uint16, rows []int) int32 {
	node := int32(len(t.split))
	t.split, t.kids, t.first = append(t.split, model.Leaf), append(t.kids, nil), append(t.first, int32(len(t.value)))
	counts := countTargets(target, rows)
	k, m := len(counts), len(rows)
	own, even := defineLikelihood(counts, k), -float64(m)*math.Log(float64(k))
	for _, v := range slices.Sorted(maps.Keys(counts)) {
		n := counts[v]
		if even >= own {
			n = 1
		}
		t.value, t.count = append(t.value, v), append(t.count, uint32(n))
	}
	best, split, varying := math.Inf(-1), -1, 0
	for j := range features {
		children := divide(features[j], rows)
		if len(children) < 2 {
			continue
		}
		varying++
		sum := 0.0
		for _, child := range children {
			sum += defineLikelihood(countTargets(target, child), k)
		}
		if split < 0 || sum > best+1e-9*math.Abs(best) {
			best, split = sum, j
		}
	}
	if k == 1 || split < 0 || best-math.Log(float64(varying)) <= max(own, even) {
		return node
	}
	t.split[node] = int32(split)
	children := divide(features[split], rows)
	for _, v := range slices.Sorted(maps.Keys(children)) {
		t.kids[node] = append(t.kids[node], kid{v, defineTree(t, target, features, children[v])})
	}
	return node
}

func divide(feature []uint16, rows []int) map[uint16][]int {
	children := map[uint16][]int{}
	for _, r := range rows {
		children[feature[r]] = append(children[feature[r]], r)
	}
	return children
}

func countTargets(target []uint16, rows []int) map[uint16]int {
	counts := map[uint16]int{}
	for _, r := range rows {
		counts[target[r]]++
	}
	return counts
}

// defineLikelihood is ML = sum over t of L_{1/k}(n_t) - L_1(m), with L_a(n) = sum of ln(a + s).
func defineLikelihood(counts map[uint16]int, k int) float64 {
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
