package train

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"pacgan-appliance/internal/model"
)

const (
	// listTries is the number of lists that descriptions are compared of, and listSample of packets that frames are
	// looked for in first.
	listTries, listSample = 6, 48
	// deepestList is how far behind the beginning of a part a list begins at most.
	deepestList = 320
	// fewestEntries is how many entries some packet has, at least, and others have fewer: as many in each are fields with
	// their lengths.
	fewestEntries = 2
	// listWorth is how much shorter a packet's description by a list has to be, in nats, where lengths are no text: fields
	// that are small numbers, or filled up, look like entries to some frame. Lists gain ten times as much.
	listWorth = 2
)

// found is a list of a frame that begins at an edge and goes on to the end of all packets.
type found struct {
	edge
	frame   model.Frame
	entries int // of all packets of the sample
}

// frames are the ways in which entries are looked for.
func frames() (all []model.Frame) {
	for head := 1; head <= 9; head++ {
		for size := 1; size <= min(head, 3); size++ {
			for at := 0; at+size <= head; at++ {
				for _, counts := range slices.Compact([]int{0, size, head}) {
					for _, align := range []int{1, 4} {
						f := model.Frame{Form: model.FrameBinary, Head: head, At: at, Size: size, Counts: counts, Align: align}
						all = append(all, f)
						if head <= 2 && align == 1 {
							f.End = model.EndZeros
							all = append(all, f)
							f.End = model.EndOnes
							all = append(all, f)
						}
					}
				}
			}
		}
	}
	all = append(all, model.Frame{Form: model.FrameNibbles, End: model.EndOnes})
	for head := range 2 {
		all = append(all, model.Frame{Form: model.FrameDecimal, Head: head}, model.Frame{Form: model.FrameHex, Head: head})
	}
	return all
}

// listed cuts packets where a list begins, with which they end, if that describes them as briefly; nil if not.
func (a *aligned) listed() *aligned {
	if len(a.packets) < fewestAligned {
		return nil
	}
	a = a.merged()
	lists := a.lists()
	if len(lists) == 0 {
		return nil
	}
	sample := &aligned{packets: evenly(a.packets, kindSample), cuts: evenly(a.cuts, kindSample), fixed: a.fixed}
	best, least := -1, sample.shapeCost()
	for i, l := range lists {
		cost := sample.cutList(l).shapeCost()
		if l.frame.Form != model.FrameDecimal && l.frame.Form != model.FrameHex {
			cost += listWorth * float64(len(sample.packets))
		}
		if cost < least {
			best, least = i, cost
		}
	}
	if best < 0 {
		return nil
	}
	return a.cutList(lists[best])
}

// shapeCost is the length of describing packets of a shape, in nats.
func (a *aligned) shapeCost() float64 {
	var all bill
	a = a.refined().merged().derive()
	for part, fixed := range a.fixed {
		switch {
		case a.derived[part] != nil:
		case a.isList(part):
			all.all += listCost(a.column(part), a.list)
		default:
			all.add(billOf(fixed)(a.column(part)))
		}
	}
	return all.all
}

// listCost is the length of describing rows as a list, in nats.
func listCost(rows [][]byte, frame model.Frame) float64 {
	return (&chainRows{rows: rows, frame: frame, known: beginnings(rows)}).cost()
}

// lists returns what may be lists at the packets' end: those of most entries first.
func (a *aligned) lists() (lists []found) {
	all := frames()
	for part, fixed := range a.fixed {
		if part > 0 && fixed && a.fixed[part-1] {
			continue
		}
		sample := evenly(a.behindPart(part), listSample)
		if sameLength(sample) {
			break
		}
		tails := &tails{rows: sample}
		end := min(shortest(sample), deepestList)
		if fixed {
			end = min(end, len(a.part(0, part))-1)
		}
		for _, frame := range all {
			for at := range end + 1 {
				l, ok := tails.list(frame, at)
				if ok && tails.fit(frame, at, a.behindPart(part)) {
					if l.part = part; !endless(lists, l) {
						lists = append(lists, l)
					}
					break
				}
			}
		}
	}
	slices.SortStableFunc(lists, func(a, b found) int {
		return cmp.Or(cmp.Compare(b.entries, a.entries), a.compare(b.edge))
	})
	return lists[:min(len(lists), listTries)]
}

// endless reports whether a list is one of lists but for an end that no packet has.
func endless(lists []found, l found) bool {
	l.frame.End = model.EndNone
	return slices.Contains(lists, l)
}

// behindPart returns of all packets what begins with a part.
func (a *aligned) behindPart(part int) [][]byte {
	rows := make([][]byte, len(a.packets))
	for p, packet := range a.packets {
		rows[p] = packet[a.cuts[p][part]:]
	}
	return rows
}

// tails are ends of packets.
type tails struct{ rows [][]byte }

// list reads the rows as a list that begins with byte at. An entry that is the same in all rows is none of it.
func (t *tails) list(frame model.Frame, at int) (l found, ok bool) {
	l = found{edge: edge{at: at}, frame: frame}
	var opening []byte
	same, fewest, most := true, math.MaxInt, 0
	for _, row := range t.rows {
		entries, first, ok := entriesOf(frame, row[at:])
		if !ok {
			return l, false
		}
		l.entries, fewest, most = l.entries+entries, min(fewest, entries), max(most, entries)
		if opening == nil && entries > 0 {
			opening = row[at : at+first]
		}
		same = same && bytes.HasPrefix(row[at:], opening)
	}
	return l, most >= fewestEntries && most > fewest && 2*l.entries >= len(t.rows) && !same
}

// entriesOf reads a list to the packet's end. Behind one that ends before may be what fills the packet up, and nothing
// else, but for nibbles: of a single byte one would be anywhere.
func entriesOf(frame model.Frame, row []byte) (entries, first int, ok bool) {
	entries, first, rest, ok := frame.Entries(row)
	if ok && frame.Form != model.FrameNibbles {
		ok = len(bytes.Trim(rest, "\x00")) == 0
	}
	return entries, first, ok
}

// fit reports whether all rows are such lists.
func (t *tails) fit(frame model.Frame, at int, rows [][]byte) bool {
	return !slices.ContainsFunc(rows, func(row []byte) bool {
		if at > len(row) {
			return true
		}
		_, _, ok := entriesOf(frame, row[at:])
		return !ok
	})
}

// cutList cuts a shape where a list begins, which is the last part then.
func (a *aligned) cutList(l found) *aligned {
	c := &aligned{packets: a.packets, cuts: make([][]int32, len(a.packets)), fixed: slices.Clone(a.fixed[:l.part]), list: l.frame}
	if l.at > 0 {
		c.fixed = append(c.fixed, true)
	}
	c.fixed = append(c.fixed, false)
	for p, packet := range a.packets {
		c.cuts[p] = append(c.cuts[p], a.cuts[p][:l.part+1]...)
		if l.at > 0 {
			c.cuts[p] = append(c.cuts[p], a.cuts[p][l.part]+int32(l.at))
		}
		c.cuts[p] = append(c.cuts[p], int32(len(packet)))
	}
	return c
}

// isList reports whether a part is the list that packets end with.
func (a *aligned) isList(part int) bool {
	return part == len(a.fixed)-1 && a.list.Form != model.FrameNone
}
