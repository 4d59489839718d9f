package train

import (
	"context"
	"math"
	"slices"

	"pacgan-appliance/internal/model"
)

// tieTolerance is the relative difference below which two marginal likelihoods count as equal: variables
// that split a node alike differ by rounding alone, and the first of them is to win.
const tieTolerance = 1e-9

// splitSample is the number of a node's packets that the variable to split on is chosen by. A dependency that
// shows in fewer packets than that is found; time stays linear in packets.
const splitSample = 2048

// tree is one grown tree, its nodes numbered from 0; the fields are those of [model.Forest]. Splits are indices of
// variables.
type tree struct {
	split []int32
	kids  [][]kid
	first []int32
	value []uint16
	count []uint32
}

type kid struct {
	value uint16
	node  int32
}

// grower grows one tree at a time and keeps its buffers between them.
type grower struct {
	vars   []variable
	target *variable
	tree   tree
	gain   float64 // of all splits of the tree: how much shorter they make the description of the target, in nats

	rows   []int32  // packets, partitioned while the tree grows
	spare  []int32  // partition's second buffer
	hist   []uint32 // [code] how often the node has it: all 0 between uses
	number []uint16 // [code of the target] its number among the node's values, 0..k-1
	active []int32  // stack of the variables that still vary, one list for each node on the path
	pairs  pairCounter
	groups *groupCounter // of chains; nil: each value is a child
	least  uint32        // rows that have to have a value for it to have a child of its own
	sample int           // rows that the variable to split on is chosen by
	first  int32         // the variable that the root splits on, whatever it gains; 0: the best
	score  scorer
}

func newGrower(vars []variable, packets int) *grower {
	widest := absentDigit + 1
	for _, v := range vars {
		widest = max(widest, v.arity+1)
	}
	return &grower{
		vars: vars, rows: make([]int32, packets), spare: make([]int32, packets),
		hist: make([]uint32, widest), number: make([]uint16, widest),
		pairs: newPairCounter(), score: newScorer(), sample: splitSample,
	}
}

// growTree grows the tree of variable i; features are the variables that it may split on.
func (g *grower) growTree(ctx context.Context, i int, features []int32) (tree, error) {
	g.tree, g.gain, g.target, g.active = tree{}, 0, &g.vars[i], g.active[:0]
	if g.target.leaf != nil {
		return *g.target.leaf, nil
	}
	rows := g.rows[:0]
	for r, code := range g.target.codes {
		if !g.target.cut || int(code) != g.target.arity {
			rows = append(rows, int32(r))
		}
	}
	for _, j := range features {
		codes := g.vars[j].codes
		if slices.ContainsFunc(rows, func(r int32) bool { return codes[r] != codes[rows[0]] }) {
			g.active = append(g.active, j)
		}
	}
	_, err := g.grow(ctx, rows, g.active)
	return g.tree, err
}

// newLeaf returns a tree of one node.
func newLeaf(values []uint16, counts []uint32) *tree {
	return &tree{split: []int32{model.Leaf}, kids: make([][]kid, 1), first: []int32{0}, value: values, count: counts}
}

// grow appends the node that holds rows, and what is below it; features are the variables that it may
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
	split, only, varying := g.bestSplit(rows, features)
	if split == model.Leaf {
		return node, nil
	}
	g.tree.split[node] = split
	for _, part := range g.partition(rows, &g.vars[split], only) {
		child, err := g.grow(ctx, rows[part.lo:part.hi], varying)
		if err != nil {
			return 0, err
		}
		g.tree.kids[node] = append(g.tree.kids[node], kid{g.vars[split].name(part.code), child})
	}
	return node, nil
}

// name is the value that a code stands for.
func (v *variable) name(code uint16) uint16 {
	switch {
	case code == model.Other:
		return code
	case v.names != nil:
		return v.names[code]
	case v.cut && int(code) == v.arity:
		return model.Absent
	}
	return code
}

// addNode appends a leaf with the counts of the target's values in rows, and returns how many values
// there are.
func (g *grower) addNode(rows []int32) (k int) {
	t := &g.tree
	t.split, t.kids, t.first = append(t.split, model.Leaf), append(t.kids, nil), append(t.first, int32(len(t.value)))
	for _, r := range rows {
		g.hist[g.target.codes[r]]++
	}
	for code, n := range g.hist[:g.target.arity] {
		if n > 0 {
			t.value, t.count = append(t.value, g.target.name(uint16(code))), append(t.count, n)
			k++
		}
	}
	clear(g.hist[:g.target.arity])
	g.score.reset(k, len(rows))
	g.score.even(t.count[len(t.count)-k:], len(rows))
	return k
}

// bestSplit returns the variable that splits a node best, or Leaf, and the variables that vary in it. The choice of one of
// several is itself to be paid for: by the logarithm of their number. A chain's split may have a child for one code only.
func (g *grower) bestSplit(rows, features []int32) (split, only int32, varying []int32) {
	sample := evenly(rows, g.sample)
	k, counts := g.renumber(sample)
	if k == 1 {
		return model.Leaf, each, nil
	}
	g.score.reset(k, len(sample))
	own := max(g.score.likelihood(counts, len(sample)), g.score.evenLikelihood(len(sample)))
	if g.groups != nil {
		return g.bestChainSplit(rows, sample, features, counts, own)
	}
	best := math.Inf(-1)
	split = model.Leaf
	start := len(g.active)
	for _, j := range features {
		v := &g.vars[j]
		sum, children := g.pairs.split(&g.score, g.number, g.target.codes, v, sample, k)
		if children < 2 {
			continue
		}
		g.active = append(g.active, j)
		if sum > best+tieTolerance*math.Abs(best) || split == model.Leaf {
			best, split = sum, j
		}
	}
	varying = g.active[start:]
	best -= math.Log(float64(len(varying)))
	if split == model.Leaf || best <= own {
		return model.Leaf, each, nil
	}
	g.gain += best - own
	return split, each, varying
}

// renumber numbers the target's values in rows 0..k-1, and returns how often each is there.
func (g *grower) renumber(rows []int32) (k int, counts []uint32) {
	codes := g.target.codes
	for _, r := range rows {
		g.hist[codes[r]]++
	}
	for code, n := range g.hist[:g.target.arity] {
		if n > 0 {
			g.number[code] = uint16(k)
			counts = append(counts, n)
			k++
		}
	}
	clear(g.hist[:g.target.arity])
	return k, counts
}

// section is the rows lo..hi-1 that have a code.
type section struct {
	code   uint16
	lo, hi int
}

// partition sorts rows by their code, keeping the order within one.
func (g *grower) partition(rows []int32, v *variable, only int32) (sections []section) {
	codes := v.codes
	top := 0
	for _, r := range rows {
		g.hist[codes[r]]++
		top = max(top, int(codes[r]))
	}
	sections = place(g.hist[:top+1], g.least, only, v.ordinal)
	spare := g.spare[:len(rows)]
	for _, r := range rows {
		spare[g.hist[codes[r]]] = r
		g.hist[codes[r]]++
	}
	copy(rows, spare)
	clear(g.hist[:top+1])
	return sections
}

// place turns how many rows have each code into where the first of them is to go, and returns the sections: codes
// that fewer than least rows have are one together, the last; or all but one are; or those up to one, and the others.
func place(hist []uint32, least uint32, only int32, upTo bool) (sections []section) {
	own := func(code int, n uint32) bool {
		switch {
		case only == each:
			return n >= least
		case upTo:
			return code <= int(only)
		}
		return code == int(only)
	}
	many := 0
	for code, n := range hist {
		if own(code, n) {
			many += int(n)
		}
	}
	next, few := 0, many
	for code, n := range hist {
		switch {
		case n == 0:
			continue
		case !own(code, n):
			hist[code] = uint32(few)
			few += int(n)
			continue
		case upTo && len(sections) > 0:
			sections[0].code, sections[0].hi = uint16(code), next+int(n)
		default:
			sections = append(sections, section{uint16(code), next, next + int(n)})
		}
		hist[code] = uint32(next)
		next += int(n)
	}
	if few > many {
		sections = append(sections, section{model.Other, many, few})
	}
	return sections
}
