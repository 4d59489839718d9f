package train

import (
	"math"
	"slices"

	"pacgan-appliance/internal/model"
)

// each is the value of a split that has a child for each value.
const each = -1

// groupCounter does for chains what pairCounter does for other trees. Their variables have many values, of which a node
// has few, and of those few tell much; so a split is on all values, those of few rows together, or on one of them
// against all others.
type groupCounter struct {
	least  uint32   // rows that have to have a value for it to have a child
	size   []uint32 // [code] how many rows have it: all 0 between uses
	codes  []uint16 // that rows have, in the order of their first
	next   []uint32 // [code] where in sorted the next target goes
	sorted []uint16 // the targets' numbers, those of one code side by side
	counts []uint32 // [number] all 0 between uses
	ways   []chainSplit
}

func newGroupCounter(least uint32, widest int) *groupCounter {
	return &groupCounter{
		least: least, size: make([]uint32, widest), next: make([]uint32, widest),
		counts: make([]uint32, widest),
	}
}

// chainSplit is a way to split a node of a chain's tree.
type chainSplit struct {
	variable, only int32
	gain           float64 // how much shorter it makes the description
	tells          float64 // how long the description of which rows go to which child would be
}

// bestChainSplit is bestSplit for chains: of the ways that gain as much as most, the one that gains most for what it
// tells. Positions tell much about the packets that they were counted in, and little about others; the last byte's
// class is known soon, and leaves rows enough for what is to be split on next.
func (g *grower) bestChainSplit(rows, sample, features []int32, counts []uint32, own float64) (split, only int32, varying []int32) {
	if g.first > 0 && len(g.tree.split) == 1 {
		every := g.groups.split(nil, g, g.first, sample, counts, own)[0]
		g.gain += every.gain * float64(len(rows)) / float64(len(sample))
		return g.first, each, features
	}
	start, ways := len(g.active), g.groups.ways[:0]
	for _, j := range features {
		before := len(ways)
		if ways = g.groups.split(ways, g, j, sample, counts, own); len(ways) > before {
			g.active = append(g.active, j)
		}
	}
	g.groups.ways, varying = ways, g.active[start:]
	price, total, paying := math.Log(float64(len(varying))), 0.0, 0
	for i := range ways {
		ways[i].gain -= price
		if ways[i].gain > 0 {
			total += ways[i].gain
			paying++
		}
	}
	best := chainSplit{variable: model.Leaf, only: each}
	for _, w := range ways {
		if w.gain > 0 && w.gain*float64(paying) >= total && w.gain*best.tells > best.gain*w.tells*(1+tieTolerance) || w.gain > 0 && w.gain*float64(paying) >= total && best.variable == model.Leaf {
			best = w
		}
	}
	g.gain += best.gain * float64(len(rows)) / float64(len(sample))
	return best.variable, best.only, varying
}

// split appends the ways in which variable j can split the rows: each value from all others, and one from all others; or
// those up to one from those above it, if it counts something. counts is how often each of the target's numbers is
// there, and own the likelihood of the node.
func (c *groupCounter) split(ways []chainSplit, g *grower, j int32, rows []int32, counts []uint32, own float64) []chainSplit {
	v, s := &g.vars[j], &g.score
	c.group(g.number, g.target.codes, v.codes, rows)
	if len(c.codes) < 2 {
		clear(c.size[:v.arity])
		return ways
	}
	if v.ordinal {
		return append(ways, c.threshold(s, j, counts, len(rows), own))
	}
	all := rising(s, counts)
	m, from, rest := len(rows), uint32(0), c.sorted[:0] // rest overwrites what is counted already
	every, one := chainSplit{j, each, -own, 0}, chainSplit{j, each, math.Inf(-1), 0}
	children := 0
	for _, code := range c.codes {
		n := c.size[code]
		c.size[code] = 0
		group := c.sorted[from : from+n]
		from += n
		if n < c.least {
			rest = append(rest, group...)
			continue
		}
		value, others := c.likelihood(s, group, counts, all)
		if gain := value + others - s.whole[m-int(n)] - own; gain > one.gain {
			one.gain, one.only, one.tells = gain, int32(code), tells(int(n), m)+tells(m-int(n), m)
		}
		every.gain += value
		every.tells += tells(int(n), m)
		children++
	}
	if children == 0 {
		return ways
	}
	one.gain -= math.Log(float64(children))
	if len(rest) > 0 {
		value, _ := c.likelihood(s, rest, counts, all)
		every.gain += value
		every.tells += tells(len(rest), m)
	}
	return append(ways, every, one)
}

// threshold is split's end for a variable that counts something: the best value for rows up to it to be a child, and
// the others another.
func (c *groupCounter) threshold(s *scorer, j int32, counts []uint32, m int, own float64) chainSplit {
	low, high := c.counts[:len(counts)], 0.0
	best := chainSplit{j, each, math.Inf(-1), 0}
	sum := rising(s, counts)
	slices.SortFunc(c.codes, func(a, b uint16) int { return int(a) - int(b) })
	n := 0
	for i, code := range c.codes {
		end := c.next[code]
		for _, number := range c.sorted[end-c.size[code] : end] {
			was := low[number]
			low[number]++
			high += s.rising[was+1] - s.rising[was]
			sum += s.rising[counts[number]-was-1] - s.rising[counts[number]-was]
		}
		n += int(c.size[code])
		c.size[code] = 0
		if i == len(c.codes)-1 {
			break
		}
		if gain := high + sum - s.whole[n] - s.whole[m-n] - own; gain > best.gain {
			best = chainSplit{j, int32(code), gain, tells(n, m) + tells(m-n, m)}
		}
	}
	clear(low)
	best.gain -= math.Log(float64(len(c.codes) - 1))
	return best
}

// rising is the sum of L over counts.
func rising(s *scorer, counts []uint32) (sum float64) {
	for _, n := range counts {
		sum += s.rising[n]
	}
	return sum
}

// tells is how long the description is of which n of m rows go to a child, by their share.
func tells(n, m int) float64 {
	if n == 0 {
		return 0
	}
	return float64(n) * math.Log(float64(m)/float64(n))
}

// group sorts the targets' numbers by code.
func (c *groupCounter) group(number, target, codes []uint16, rows []int32) {
	c.codes = c.codes[:0]
	for _, r := range rows {
		code := codes[r]
		if c.size[code] == 0 {
			c.codes = append(c.codes, code)
		}
		c.size[code]++
	}
	next := uint32(0)
	for _, code := range c.codes {
		c.next[code] = next
		next += c.size[code]
	}
	if len(c.sorted) < len(rows) {
		c.sorted = make([]uint16, len(rows))
	}
	for _, r := range rows {
		code := codes[r]
		c.sorted[c.next[code]] = number[target[r]]
		c.next[code]++
	}
}

// likelihood is ML of a node that has these targets, and the sum of L over all others, with all the sum of L over total.
func (c *groupCounter) likelihood(s *scorer, numbers []uint16, total []uint32, all float64) (own, others float64) {
	for _, number := range numbers {
		c.counts[number]++
	}
	own, others = -s.whole[len(numbers)], all
	for _, number := range numbers {
		if n := c.counts[number]; n > 0 {
			own += s.rising[n]
			others += s.rising[total[number]-n] - s.rising[total[number]]
			c.counts[number] = 0
		}
	}
	return own, others
}
