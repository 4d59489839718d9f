package train

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"math"
	"slices"

	"pacgan-appliance/internal/model"
)

const (
	// chainSample is the number of bytes that a chain's tree is grown from, chainCostSample that its cost is estimated from,
	// and chainSplitSample is what splitSample is to other trees.
	chainSample, chainCostSample, chainSplitSample = 1 << 18, 1 << 16, 1 << 14
	// fewestTokens is how many rows have to have a token for a chain to know it, and fewestAlike how many of
	// a node's bytes have to have a value for it to have a child of its own: what a single packet has is not learned,
	// or a chain that happened to begin as a secret token would go on as it does.
	fewestTokens, fewestAlike = 4, 2
	// shortTokens is the share of rows that has to have a token shorter than a text.
	shortTokens = 32
	// anywhere is the length up to which packets may be longer than those of training: any network carries them (RFC
	// 8200, section 5). A chain that is cut at the longest one's end would end in the middle of a word.
	anywhere = 1280
)

// chainRows are the rows of a part that a chain describes.
type chainRows struct {
	rows  [][]byte
	frame model.Frame
	known [][]byte   // beginnings of tokens
	given []variable // drawn before, what its tree may split on; index is their index in the layout
	index []int32
}

// addChain adds a slot for rows of any length as a chain, or as a list.
func (l *layoutBuilder) addChain(rows [][]byte, frame model.Frame) {
	c := &chainRows{rows: rows, frame: frame, known: beginnings(rows)}
	c.give(l.first)
	v, longest := lengthVariable(rows)
	longest += max(0, min(longest/2, anywhere-slices.Max(l.lengths)))
	v.slot = l.add(model.Slot{
		Kind: model.SlotChain, Word: int32(len(l.words)), Size: int32(len(c.known)), Width: model.Leaf, At: int32(longest),
		Add: frame.Packed(),
	})
	v.chain = c
	for _, w := range c.known {
		l.word(w)
	}
	l.first = append(l.first, v)
	for _, tells := range model.ChainTells(frame.Form != model.FrameNone) {
		l.addToken(c, v.slot, tells)
	}
}

// addToken adds a slot for a feature of a chain that is over.
func (l *layoutBuilder) addToken(c *chainRows, slot int32, feature int) {
	values := make([]uint16, len(c.rows))
	var chain model.Chain
	for p, row := range c.rows {
		chain.Reset(c.known, c.frame)
		for _, b := range row {
			chain.Push(b)
		}
		values[p] = chain.Value(feature)
	}
	codes, names := numbered(values)
	if len(names) > 1 {
		slot := l.add(model.Slot{Kind: model.SlotToken, Width: slot, At: int32(feature)})
		l.first = append(l.first, variable{slot: slot, codes: codes, names: names, arity: len(names), known: true})
	}
}

// give has the tree split on what is drawn before.
func (c *chainRows) give(vars []variable) {
	for i, v := range vars {
		if v.codes != nil && !v.digit && !v.cut && v.arity <= mostFeatureValues {
			c.given, c.index = append(c.given, v), append(c.index, int32(i))
		}
	}
}

// lengthVariable returns the variable of the rows' lengths, and the longest.
func lengthVariable(rows [][]byte) (v variable, longest int) {
	lengths := make([]uint16, len(rows))
	for p, row := range rows {
		lengths[p] = uint16(len(row))
	}
	v.codes, v.names = numbered(lengths)
	v.arity = len(v.names)
	return v, int(v.names[v.arity-1])
}

// numbered numbers values by their order, and returns the value of each number.
func numbered(values []uint16) (codes, names []uint16) {
	var number [1 << 16]uint16
	for _, v := range values {
		number[v] = 1
	}
	for v, seen := range number {
		if seen != 0 {
			number[v] = uint16(len(names))
			names = append(names, uint16(v))
		}
	}
	codes = make([]uint16, len(values))
	for i, v := range values {
		codes[i] = number[v]
	}
	return codes, names
}

// beginnings returns the beginnings of the tokens that several rows have, numbers aside, ascending; of so many that a chain cannot know
// them all, those of the most frequent tokens.
func beginnings(rows [][]byte) [][]byte {
	counts := map[string]int{}
	for _, row := range rows {
		seen := map[string]bool{}
		for begin, i := 0, 0; i <= len(row); i++ {
			if i < len(row) && model.InToken(row[i]) {
				continue
			}
			if token := string(row[begin:i]); token != "" && token[0] > '9' && !seen[token] {
				seen[token] = true
				counts[token]++
			}
			begin = i + 1
		}
	}
	tokens := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(counts[b]-counts[a], cmp.Compare(a, b))
	})
	known := map[string]bool{}
	for _, token := range tokens {
		fewest := fewestTokens
		if len(token) < shortestText { // so short ones are there by chance
			fewest = max(fewest, len(rows)/shortTokens)
		}
		if len(known)+len(token) > model.MostTokens {
			break
		}
		if counts[token] < fewest {
			continue
		}
		for end := range len(token) {
			known[token[:end+1]] = true
		}
	}
	var words [][]byte
	for _, w := range slices.Sorted(maps.Keys(known)) {
		words = append(words, []byte(w))
	}
	return words
}

// variables returns the chain's features, what is given, and the byte that follows, of each byte of at most so many.
func (c *chainRows) variables(most int) []variable {
	columns := make([][]uint16, c.features())
	var target []uint16
	var packets []int32
	var chain model.Chain
	for _, p := range c.sample(most) {
		chain.Reset(c.known, c.frame)
		row := c.rows[p]
		for i := range len(row) + 1 {
			for f := range columns {
				columns[f] = append(columns[f], chain.Value(f))
			}
			packets = append(packets, p)
			if i < len(row) {
				target = append(target, uint16(row[i]))
				chain.Push(row[i])
			}
		}
		target = append(target, model.ChainEnd)
	}
	vars := make([]variable, 0, len(columns)+len(c.given)+1)
	for f, column := range columns {
		codes, names := numbered(column)
		vars = append(vars, variable{codes: codes, names: names, arity: len(names), ordinal: model.ChainCounts(f)})
	}
	for _, v := range c.given {
		codes := make([]uint16, len(packets))
		for i, p := range packets {
			codes[i] = v.codes[p]
		}
		v.codes = codes
		vars = append(vars, v)
	}
	return append(vars, variable{codes: target, arity: model.ChainEnd + 1})
}

// sample returns the packets that have at most so many bytes together, evenly spaced.
func (c *chainRows) sample(most int) []int32 {
	total := 0
	all := make([]int32, len(c.rows))
	for p, row := range c.rows {
		all[p] = int32(p)
		total += len(row) + 1
	}
	if total <= most {
		return all
	}
	return evenly(all, max(1, int(float64(len(all))*float64(most)/float64(total))))
}

// growChain grows the tree of a chain. Splits on a chain's features are as in [model.Forest.Split], others are indices
// of the layout's variables.
func growChain(ctx context.Context, c *chainRows) (tree, error) {
	t, _, err := c.grow(ctx, chainSample)
	for n, split := range t.split {
		switch {
		case split == model.Leaf:
		case int(split) < c.features():
			t.split[n] = model.ChainSplit(int(split))
		default:
			t.split[n] = c.index[int(split)-c.features()]
		}
	}
	return t, err
}

// features is the number of the chain's features.
func (c *chainRows) features() int {
	if c.frame.Form == model.FrameNone {
		return model.TextFeatures
	}
	return model.ChainFeatures
}

// grow grows the tree of what follows each of at most so many bytes. cost is the length of describing them, in nats:
// that of each by the same counts, less what the tree's splits gain. A list's tree splits on what a byte is first, so that
// no entry ends before its end.
func (c *chainRows) grow(ctx context.Context, most int) (t tree, cost float64, err error) {
	vars := c.variables(most)
	last := len(vars) - 1
	g := newGrower(vars, len(vars[0].codes))
	g.groups, g.least, g.sample = newGroupCounter(fewestAlike, len(g.hist)), fewestAlike, chainSplitSample
	if c.frame.Form != model.FrameNone {
		g.first = model.ListState
	}
	features := make([]int32, last)
	for i := range features {
		features[i] = int32(i)
	}
	t, err = g.growTree(ctx, last, features)
	target := vars[last].codes
	all := len(c.rows)
	for _, row := range c.rows {
		all += len(row)
	}
	return t, (rootCost(target) - g.gain) * float64(all) / float64(len(target)), err
}

// chainCost is the length of describing rows as a chain, in nats.
func chainCost(given []variable, rows [][]byte) float64 {
	if !open(rows) {
		return math.Inf(1)
	}
	c := chainRows{rows: rows, known: beginnings(rows)}
	c.give(given)
	return c.cost()
}

// cost is the length of describing the rows, in nats.
func (c *chainRows) cost() float64 {
	_, cost, _ := c.grow(context.Background(), chainCostSample) // it ends in an error where its context does only
	return cost
}

// rootCost is the length of describing a chain's bytes and ends by the same counts.
func rootCost(target []uint16) float64 {
	var counts [model.ChainEnd + 1]int
	for _, v := range target {
		counts[v]++
	}
	cost, _ := math.Lgamma(float64(len(target)) + 1)
	bottom, _ := math.Lgamma(1. / float64(len(counts)))
	for _, n := range counts {
		if n > 0 {
			top, _ := math.Lgamma(1./float64(len(counts)) + float64(n))
			cost -= top - bottom
		}
	}
	return cost
}

// open reports whether rows are long enough for a chain, and there are more words than they show: many that are there
// once, and few twice. Where most words are there several times, they are words, however briefly a chain says which
// letters follow each other: it would say what none of them says.
func open(rows [][]byte) bool {
	words := slices.SortedFunc(slices.Values(rows), bytes.Compare)
	once, twice, longest := 0, 0, 0
	for i := 0; i < len(words); {
		longest = max(longest, len(words[i]))
		end := i + 1
		for end < len(words) && bytes.Equal(words[i], words[end]) {
			end++
		}
		switch end - i {
		case 1:
			once++
		case 2:
			twice++
		}
		i = end
	}
	return longest >= shortestText && once > 4*twice && 16*once > len(rows) && mostlyText(rows)
}

// mostlyText reports whether three of four bytes of rows, at least, are letters, digits and the like: lengths and numbers
// of a binary protocol are no text, and a chain would not keep them as they count.
func mostlyText(rows [][]byte) bool {
	text, all := 0, 0
	for _, row := range rows {
		all += len(row)
		for _, b := range row {
			if b >= ' ' && b <= '~' || b == '\r' || b == '\n' || b == '\t' {
				text++
			}
		}
	}
	return 4*text >= 3*all
}
