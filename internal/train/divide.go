package train

import "context"

// divide adds the slots of rows of one length that are a word by what they are alone: whole, or in the two parts that
// trees describe most briefly, each of which may be divided again. An address that follows the host and the byte beside
// it that follows client and address are best told apart, although they are one word where nothing else is known: as
// one word, each pair of client and host that training lacks would draw another host's address.
func (l *layoutBuilder) divide(rows [][]byte) {
	sample := evenly(rows, costSample)
	if middle := l.middle(sample); middle > 0 {
		l.divide(slice(rows, 0, middle))
		l.divide(slice(rows, middle, len(rows[0])))
		return
	}
	if len(rows[0]) == 1 && digitsCost(sample) <= wordCost(sample) || !l.addWords(&l.later, rows) {
		l.bytes(rows)
	}
}

// middle returns where rows are to be divided, or 0.
func (l *layoutBuilder) middle(rows [][]byte) (best int) {
	width := len(rows[0])
	if width == 1 || width > longestPiece {
		return 0
	}
	given := append(sampled(l.later), l.ahead...)
	least := treeCost(given, rows)
	for at := 1; at < width; at++ {
		left, right := slice(rows, 0, at), slice(rows, at, width)
		cost := treeCost(given, left) + treeCost(append(given, wordVariable(left, distinct(left))), right)
		if cost < least {
			least, best = cost, at
		}
	}
	return best
}

// treeCost is the length of describing rows as words by a tree over the given variables, in nats: each distinct word
// digit by digit, and for each row which one it is by the tree's leaf.
func treeCost(given []variable, rows [][]byte) float64 {
	words := distinct(rows)
	l := layout{packets: len(rows), vars: append(given, wordVariable(rows, words))}
	g := newGrower(l.vars, l.packets)
	last := len(given)
	// It ends in an error where its context does only.
	_, _ = g.growTree(context.Background(), last, l.features(last))
	g.score.reset(len(words), len(rows))
	counts := make([]uint32, len(words))
	for _, code := range l.vars[last].codes {
		counts[code]++
	}
	leaf := max(g.score.likelihood(counts, len(rows)), g.score.evenLikelihood(len(rows)))
	return digitsCost(words) - leaf - g.gain
}

// sampled returns variables of the packets that descriptions are compared on.
func sampled(vars []variable) []variable {
	few := make([]variable, len(vars), len(vars)+2)
	for i, v := range vars {
		v.codes = evenly(v.codes, costSample)
		few[i] = v
	}
	return few
}
