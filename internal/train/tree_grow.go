package train

import (
	"context"
	"math"
	"slices"

	"pacgan-appliance/internal/model"
)

// tieTolerance is the relative difference below which two marginal likelihoods count as equal: digits
// that split a node alike differ by rounding alone, and the first of them is to win.
const tieTolerance = 1e-9

// grower grows one tree at a time and keeps its buffers between them.
type grower struct {
	table  *digitTable
	tree   tree     // being grown
	target []uint16 // [packet] index of the value that the tree is about
	names  []uint16 // [index] the value; nil where they are the same

	digits []uint16 // target's room where the tree is about a digit
	rows   []int32  // packets, partitioned while the tree grows
	spare  []int32  // partition's second buffer
	hist   []uint32 // [value] how often the node has it
	code   []uint16 // [value] its number among the node's values, 0..k-1
	pairs  pairCounter
	active []int32 // stack of the features that still vary, one list for each node on the path
}

func newGrower(t *digitTable) *grower {
	packets, values := len(t.length), max(digitValues, len(t.lengths))
	return &grower{
		table: t, rows: make([]int32, packets), spare: make([]int32, packets),
		hist: make([]uint32, values), code: make([]uint16, values),
		pairs: newPairCounter(packets, values),
	}
}

// growTree grows the tree of digit i, or of the length where i is the number of digits.
func (g *grower) growTree(ctx context.Context, i int) (tree, error) {
	g.tree, g.names, g.active = tree{}, nil, g.active[:0]
	features := i
	if i == len(g.table.columns) {
		g.target, g.names = g.table.length, g.table.lengths
		features = 2 * g.table.minLen
	} else {
		g.digits = widen(g.digits[:0], g.table.columns[i])
		g.target = g.digits
	}
	rows := g.rows[:len(g.target)]
	for r := range rows {
		rows[r] = int32(r)
	}
	for j, column := range g.table.columns[:features] {
		if varies(column) {
			g.active = append(g.active, int32(j))
		}
	}
	_, err := g.grow(ctx, rows, g.active)
	return g.tree, err
}

// grow appends the node that holds rows, and what is below it; features are the digits that it may
// split on.
func (g *grower) grow(ctx context.Context, rows, features []int32) (node int32, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	node = int32(len(g.tree.split))
	k := g.addNode(rows)
	if k == 1 {
		return node, nil
	}
	depth := len(g.active)
	defer func() { g.active = g.active[:depth] }()
	split, varying := g.bestSplit(rows, features, k)
	if split == model.Leaf {
		return node, nil
	}
	kids := int32(len(g.tree.child))
	g.tree.split[node], g.tree.kids[node] = split, kids
	for range digitValues {
		g.tree.child = append(g.tree.child, model.Leaf)
	}
	ends := g.partition(rows, g.table.columns[split])
	for v, lo := 0, 0; v < digitValues; v, lo = v+1, ends[v] {
		if lo == ends[v] {
			continue
		}
		child, err := g.grow(ctx, rows[lo:ends[v]], varying)
		if err != nil {
			return 0, err
		}
		g.tree.child[kids+int32(v)] = child
	}
	return node, nil
}

// addNode appends a leaf with the counts of the target's values in rows, and returns how many values
// there are; hist and code describe them afterwards.
func (g *grower) addNode(rows []int32) (k int) {
	clear(g.hist)
	for _, r := range rows {
		g.hist[g.target[r]]++
	}
	t := &g.tree
	t.split, t.kids = append(t.split, model.Leaf), append(t.kids, model.Leaf)
	t.first = append(t.first, int32(len(t.value)))
	for v, n := range g.hist {
		if n == 0 {
			continue
		}
		g.code[v] = uint16(k)
		k++
		name := uint16(v)
		if g.names != nil {
			name = g.names[v]
		}
		t.value, t.count = append(t.value, name), append(t.count, n)
	}
	return k
}

// bestSplit returns the feature with the largest marginal likelihood, or Leaf if none exceeds the
// node's own, and the features that vary in the node. Call it after addNode.
func (g *grower) bestSplit(rows, features []int32, k int) (split int32, varying []int32) {
	g.pairs.reset(k, len(g.tree.split) == 1)
	for _, r := range rows {
		g.pairs.add(g.code[g.target[r]])
	}
	logs := &g.table.logs
	best := logs.likelihood(g.nodeCounts(), k, len(rows))
	split = model.Leaf
	start := len(g.active)
	for _, j := range features {
		joint := g.pairs.count(g.table.columns[j], rows)
		sum, children := logs.splitLikelihood(joint, k)
		if children < 2 {
			continue
		}
		g.active = append(g.active, j)
		if sum > best+tieTolerance*math.Abs(best) {
			best, split = sum, j
		}
	}
	return split, g.active[start:]
}

// nodeCounts returns the counts of the node added last.
func (g *grower) nodeCounts() []uint32 {
	t := &g.tree
	return t.count[t.first[len(t.first)-1]:]
}

// partition sorts rows by their value in column, keeping the order within a value, and returns
// where each value's rows end.
func (g *grower) partition(rows []int32, column []uint8) (ends [digitValues]int) {
	var next [digitValues]int
	for _, r := range rows {
		ends[column[r]]++
	}
	for v := 1; v < digitValues; v++ {
		next[v] = ends[v-1]
		ends[v] += ends[v-1]
	}
	spare := g.spare[:len(rows)]
	for _, r := range rows {
		v := column[r]
		spare[next[v]] = r
		next[v]++
	}
	copy(rows, spare)
	return ends
}

// varies reports whether a column has more than one value: no other can split a node.
func varies(column []uint8) bool {
	return slices.ContainsFunc(column, func(v uint8) bool { return v != column[0] })
}

func widen(dst []uint16, src []uint8) []uint16 {
	for _, x := range src {
		dst = append(dst, uint16(x))
	}
	return dst
}
