package quality

import (
	"context"
	"math"
	"math/rand/v2"
)

// Gradient-boosted trees on the logistic loss (Friedman 2001), with second
// order leaves and histogram splits as in XGBoost (Chen and Guestrin 2016).
const (
	rounds       = 100 // trees
	depth        = 5   // splits from the root to a leaf
	learningRate = 0.15
	columnShare  = 0.4 // of the columns that a tree may use
	mostColumns  = 160 // that it may use on average: long packets have thousands
	rowShare     = 0.7 // of the rows that a tree is grown on
	ridge        = 1.0 // added to a leaf's curvature
	minCurvature = 2.0 // of a leaf: about eight undecided rows
	minSplitGain = 1e-6
)

// booster classifies rows.
type booster struct {
	columns []column
	always  int    // the last columns, which every tree may use
	labels  []bool // by row: true is generated
	rng     *rand.Rand

	gradient, curvature []float64 // by row
	bins                [maxLevels]bin
}

// bin sums the loss's derivatives over rows.
type bin struct{ gradient, curvature float64 }

func (b *bin) add(x bin) { b.gradient += x.gradient; b.curvature += x.curvature }

// score is twice the loss that a leaf with these sums saves.
func (b bin) score() float64 { return b.gradient * b.gradient / (b.curvature + ridge) }

// node of a tree: a leaf where left is 0.
type node struct {
	column      int
	cut         uint8 // codes up to it go left
	left, right int
	value       float64 // of a leaf, in logits
}

// run trains on some rows and gives the logits of others.
func (b *booster) run(ctx context.Context, train, test []int) ([]float64, error) {
	scores := make([]float64, len(b.labels))
	b.gradient = make([]float64, len(b.labels))
	b.curvature = make([]float64, len(b.labels))
	for range rounds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for _, row := range train {
			p := 1 / (1 + math.Exp(-scores[row]))
			b.gradient[row], b.curvature[row] = p, p*(1-p)
			if b.labels[row] {
				b.gradient[row] = p - 1
			}
		}
		tree := b.grow(nil, b.drawRows(train), b.drawColumns(), depth)
		for _, rows := range [][]int{train, test} {
			for _, row := range rows {
				scores[row] += learningRate * b.leaf(tree, row)
			}
		}
	}
	out := make([]float64, len(test))
	for i, row := range test {
		out[i] = scores[row]
	}
	return out, nil
}

func (b *booster) drawRows(rows []int) []int {
	drawn := make([]int, 0, len(rows))
	for _, row := range rows {
		if b.rng.Float64() < rowShare {
			drawn = append(drawn, row)
		}
	}
	return drawn
}

func (b *booster) drawColumns() []int {
	share := min(columnShare, mostColumns/float64(len(b.columns)+1))
	var drawn []int
	for c := range b.columns {
		if c >= len(b.columns)-b.always || b.rng.Float64() < share {
			drawn = append(drawn, c)
		}
	}
	return drawn
}

// grow appends the tree over rows, its root first, and reorders rows.
func (b *booster) grow(tree []node, rows, columns []int, depth int) []node {
	var sum bin
	for _, row := range rows {
		sum.add(bin{b.gradient[row], b.curvature[row]})
	}
	at := len(tree)
	tree = append(tree, node{value: -sum.gradient / (sum.curvature + ridge)})
	if depth == 0 {
		return tree
	}
	column, cut, ok := b.split(sum, rows, columns)
	if !ok {
		return tree
	}
	middle := b.part(rows, column, cut)
	tree[at].column, tree[at].cut = column, cut
	tree[at].left = len(tree)
	tree = b.grow(tree, rows[:middle], columns, depth-1)
	tree[at].right = len(tree)
	return b.grow(tree, rows[middle:], columns, depth-1)
}

// split finds the column and cut that save the most loss.
func (b *booster) split(sum bin, rows, columns []int) (column int, cut uint8, ok bool) {
	best := sum.score() + minSplitGain
	for _, c := range columns {
		levels := b.columns[c].levels
		bins := b.bins[:levels]
		clear(bins)
		codes := b.columns[c].codes
		for _, row := range rows {
			bins[codes[row]].add(bin{b.gradient[row], b.curvature[row]})
		}
		var left bin
		for code := range levels - 1 {
			left.add(bins[code])
			right := bin{sum.gradient - left.gradient, sum.curvature - left.curvature}
			if left.curvature < minCurvature || right.curvature < minCurvature {
				continue
			}
			if score := left.score() + right.score(); score > best {
				best, column, cut, ok = score, c, uint8(code), true
			}
		}
	}
	return column, cut, ok
}

// part moves the rows that go left to the front and counts them.
func (b *booster) part(rows []int, column int, cut uint8) int {
	codes := b.columns[column].codes
	middle := 0
	for i, row := range rows {
		if codes[row] <= cut {
			rows[i], rows[middle] = rows[middle], row
			middle++
		}
	}
	return middle
}

func (b *booster) leaf(tree []node, row int) float64 {
	at := 0
	for tree[at].left != 0 {
		n := tree[at]
		if b.columns[n.column].codes[row] <= n.cut {
			at = n.left
		} else {
			at = n.right
		}
	}
	return tree[at].value
}
