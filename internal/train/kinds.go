package train

import (
	"cmp"
	"math"
	"slices"
)

// A label's packets may be of several kinds, of which each has fields of its own: requests of a protocol of many
// commands. What all kinds have in common cuts none of them well; so they are told apart by a byte, and each kind is
// laid out for itself.
const (
	// kindSample is the number of packets that kinds are told apart on, and fewestOfKind those of a kind at least.
	kindSample, fewestOfKind = 400, 20
	// fewestToDivide is the number of packets below which kinds are not told apart: too few would be left of each.
	fewestToDivide = 100
	// mostKinds is the number of kinds that one byte tells apart, and deepestKinds how often kinds are divided again.
	mostKinds, deepestKinds = 16, 6
	// tellBefore and tellBehind are how far before and behind the beginning of a part that varies in length a byte
	// may lie that tells its kind; tellTries is how many such bytes are tried.
	tellBefore, tellBehind, tellTries = 8, 16, 4
	// tellWindow is the number of a part's bytes by which tries are chosen.
	tellWindow = 24
	// kindWorth is how much longer a packet's description by kinds may be, in nats, if a share of enoughLetters of what
	// letters described is described by fields: what kinds share is learned for each. It buys that no packet is drawn
	// that is half of one kind and half of another, which costs letters little, and an answer.
	kindWorth, enoughLetters = 2, 0.15
)

// teller is a byte that tells kinds apart: x bytes behind the beginning of a part, or before it where x is negative.
type teller struct {
	part, x int
	gain    float64
}

// value is what the byte is in a packet, or one more than any is where there is none.
func (t teller) value(a *aligned, packet int) uint16 {
	at := int(a.cuts[packet][t.part]) + t.x
	if at >= len(a.packets[packet]) {
		return byteValues
	}
	return uint16(a.packets[packet][at])
}

// several reports whether packets have different bytes there. Where they have the same or none, it tells how long they
// are, and the short ones would be a kind of a few.
func (t teller) several(a *aligned) bool {
	seen := -1
	for p := range a.packets {
		v := int(t.value(a, p))
		if v == byteValues {
			continue
		}
		if seen >= 0 && v != seen {
			return true
		}
		seen = v
	}
	return false
}

// kinds divides packets whose cuts leave parts that nothing describes but letters one after the other, if layouts of
// kinds describe them more briefly; nil if not.
func (a *aligned) kinds() [][][]byte {
	if len(a.packets) < fewestToDivide {
		return nil
	}
	sample := &aligned{packets: evenly(a.packets, kindSample), cuts: evenly(a.cuts, kindSample), fixed: a.fixed}
	cut := sample.refined().merged().derive()
	best := teller{part: -1}
	tries := cut.tellers()
	for _, t := range tries {
		_, groups := cut.told(t)
		if gain := cut.gain(t, groups) - math.Log(float64(len(tries))); gain > best.gain {
			best = t
			best.gain = gain
		}
	}
	if best.part < 0 {
		return nil
	}
	values, _ := cut.told(best)
	return a.divideBy(cut, values, best)
}

// divideBy divides all packets as their sample is; what the sample has not is of the last kind.
func (a *aligned) divideBy(cut *aligned, values []uint16, t teller) [][][]byte {
	whole := cut
	if len(cut.packets) < len(a.packets) {
		whole = a.refined().merged().derive()
		if len(whole.fixed) != len(cut.fixed) {
			return nil
		}
	}
	kinds := make([][][]byte, len(values)+1)
	for p, packet := range whole.packets {
		at := slices.Index(values, t.value(whole, p))
		if at < 0 {
			at = len(values)
		}
		kinds[at] = append(kinds[at], packet)
	}
	return slices.DeleteFunc(kinds, func(k [][]byte) bool { return len(k) == 0 })
}

// told returns the values of a teller that enough packets have, and the packets of each, those of all others last.
func (a *aligned) told(t teller) (values []uint16, groups [][]int) {
	var of [byteValues + 1][]int
	for p := range a.packets {
		v := t.value(a, p)
		of[v] = append(of[v], p)
	}
	var rest []int
	for v, group := range of {
		if len(group) >= fewestOfKind {
			values, groups = append(values, uint16(v)), append(groups, group)
		} else {
			rest = append(rest, group...)
		}
	}
	if len(rest) > 0 {
		slices.Sort(rest)
		groups = append(groups, rest)
	}
	return values, groups
}

// tellers returns the bytes that tell most about the parts that nothing describes whole, as far as bytes at their
// places show it.
func (a *aligned) tellers() []teller {
	var tries []teller
	for part := range a.fixed {
		if a.fixed[part] || a.derived[part] != nil {
			continue
		}
		rows := a.column(part)
		if varyingBill(rows).all == wordCost(rows) {
			continue
		}
		before := 0
		if part > 0 && a.fixed[part-1] {
			before = min(tellBefore, len(a.part(0, part-1)))
		}
		own := beginCost(rows)
		for x := -before; x < tellBehind; x++ {
			t := teller{part: part, x: x}
			values, groups := a.told(t)
			if len(groups) < 2 || len(values) > mostKinds || !t.several(a) {
				continue
			}
			t.gain = own
			for _, group := range groups {
				t.gain -= beginCost(pick(rows, group))
			}
			if t.gain > 0 {
				tries = append(tries, t)
			}
		}
	}
	slices.SortStableFunc(tries, func(a, b teller) int { return cmp.Compare(b.gain, a.gain) })
	return tries[:min(len(tries), tellTries)]
}

// beginCost is the length of describing how long rows are, and what they begin with.
func beginCost(rows [][]byte) float64 {
	begin := make([][]byte, len(rows))
	for i, row := range rows {
		begin[i] = row[:min(len(row), tellWindow)]
	}
	return digitsCost(begin) + lengthsCost(rows)
}

func pick(rows [][]byte, of []int) [][]byte {
	some := make([][]byte, len(of))
	for i, p := range of {
		some[i] = rows[p]
	}
	return some
}

// bill is the length of describing something, in nats, and what of it goes to letters one after the other.
type bill struct{ all, letters float64 }

func (b *bill) add(other bill) { b.all, b.letters = b.all+other.all, b.letters+other.letters }

// gain is how much more briefly packets are described, from their first part of varying length or the teller on, if each
// group of them is laid out for itself, in nats. Parts of this layout may be described for each group by itself, too, as
// trees would find: the groups' own layouts have to gain more than that. They may cost a little more (see kindWorth) if
// they leave less to letters.
func (a *aligned) gain(t teller, groups [][]int) float64 {
	first, behind := slices.Index(a.fixed, false), 0
	if t.part == first && t.x < 0 {
		behind = t.x
	}
	var own, kinds bill
	if behind < 0 {
		before := a.column(first - 1)
		own.add(apart(fixedBill, slice(before, len(before[0])+behind, len(before[0])), groups))
	}
	for part := first; part < len(a.fixed); part++ {
		if a.derived[part] == nil {
			own.add(apart(billOf(a.fixed[part]), a.column(part), groups))
		}
	}
	var of []int
	for g, group := range groups {
		of = append(of, slices.Repeat([]int{g}, len(group))...)
		rows := make([][]byte, len(group))
		for i, p := range group {
			rows[i] = a.packets[p][int(a.cuts[p][first])+behind:]
		}
		kinds.add(shapeBill(rows))
	}
	codes := repeatCost(of, func(a, b int) bool { return a == b })
	return own.all - kinds.all - codes + kindWorth*float64(len(of))*letterShare(own, kinds)
}

// letterShare is how much of the letters is none in kinds, as a share of what counts as enough.
func letterShare(own, kinds bill) float64 {
	if own.letters == 0 {
		return 0
	}
	return min(1, max(0, (own.letters-kinds.letters)/own.letters/enoughLetters))
}

// apart is the bill of rows together or of each group for itself, whichever is less.
func apart(of func(rows [][]byte) bill, rows [][]byte, groups [][]int) bill {
	var each bill
	for _, group := range groups {
		each.add(of(pick(rows, group)))
	}
	if whole := of(rows); whole.all <= each.all {
		return whole
	}
	return each
}

// billOf is how parts are described.
func billOf(fixed bool) func(rows [][]byte) bill {
	if fixed {
		return fixedBill
	}
	return varyingBill
}

// randomByte is the length of describing a byte of which nothing is known, in nats: none costs more.
const randomByte = 8 * math.Ln2

// varyingBill describes rows of a part that varies in length.
func varyingBill(rows [][]byte) bill {
	all := 0
	for _, row := range rows {
		all += len(row)
	}
	letters := min(textCost(rows), chainCost(nil, rows))
	others := min(wordCost(rows), digitsCost(rows), lengthsCost(rows)+float64(all)*randomByte)
	if letters < others {
		return bill{letters, letters}
	}
	return bill{all: others}
}

// fixedBill describes rows of one length: bytes that are the same in all, and runs of others.
func fixedBill(rows [][]byte) (b bill) {
	for x := 0; x < len(rows[0]); {
		end := x
		for end < len(rows[0]) && slices.ContainsFunc(rows, func(row []byte) bool { return row[end] != rows[0][end] }) {
			end++
		}
		if end == x {
			b.all += randomByte
			x++
			continue
		}
		others := 0.0
		for at := x; at < end; at++ {
			column := slice(rows, at, at+1)
			others += min(digitsCost(column), pieceCost(column), float64(len(rows))*randomByte)
		}
		run := slice(rows, x, end)
		others = min(others, wordCost(run))
		if letters := textCost(run); letters < others {
			b.add(bill{letters, letters})
		} else {
			b.all += others
		}
		x = end
	}
	return b
}

// shapeBill describes what packets end with, laid out for itself.
func shapeBill(rows [][]byte) (b bill) {
	for len(rows) > 0 {
		a, odd := alignMost(rows)
		if a == nil {
			a, odd = cut(rows, nil)
		}
		a = a.refined().merged().derive()
		for part, fixed := range a.fixed {
			if a.derived[part] == nil {
				b.add(billOf(fixed)(a.column(part)))
			}
		}
		rows = odd
	}
	return b
}
