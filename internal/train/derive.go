package train

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"pacgan-appliance/internal/model"
)

// edge is a place between two bytes of every packet: at bytes behind the beginning of a part. Behind the end of a part
// of fixed length is the beginning of the next; a part of varying length has no place but its beginning.
type edge struct{ part, at int }

func (e edge) compare(other edge) int {
	return cmp.Or(cmp.Compare(e.part, other.part), cmp.Compare(e.at, other.at))
}

// span is what lies between two edges.
type span struct{ lo, hi edge }

func (s span) overlaps(other span) bool {
	return s.lo.compare(other.hi) < 0 && other.lo.compare(s.hi) < 0
}

// around reports whether an edge lies within the span, and not at its ends.
func (s span) around(e edge) bool { return s.lo.compare(e) < 0 && e.compare(s.hi) < 0 }

// place is where an edge lies in a packet.
func (a *aligned) place(packet int, e edge) int { return int(a.cuts[packet][e.part]) + e.at }

// bytes are what a packet has in a span.
func (a *aligned) bytes(packet int, s span) []byte {
	return a.packets[packet][a.place(packet, s.lo):a.place(packet, s.hi)]
}

// rows are a span of all packets.
func (a *aligned) rows(s span) [][]byte {
	rows := make([][]byte, len(a.packets))
	for p := range rows {
		rows[p] = a.bytes(p, s)
	}
	return rows
}

// reading is a span and a form that its bytes are in, in every packet.
type reading struct {
	span
	form model.Form
	size int // digits, or bytes of FormBinary and FormRaw; 0 where it varies
}

// relation says that a span of every packet is another one, read, and written in another form.
type relation struct {
	target, source reading
	add            int32
}

// derivation is what a part writes that repeats others.
type derivation struct {
	relation
	first, last int // parts of the source
}

// derive cuts a shape where parts of it repeat others in every packet: a span that is equal to one before, a number
// that is one before it in another form, plus a constant, or that says how long parts are. Such a part has nothing of
// its own to draw. What is found has to be a briefer description of the packets than the part itself: its name, the
// logarithm of the number of readings that it was chosen from, and the constant's.
func (a *aligned) derive() *aligned {
	fine, first := a.recut(func(rows [][]byte) []piece {
		if fields := delimited(rows); len(fields) > 0 {
			return fields
		}
		return []piece{{rows, false}}
	})
	f := newRelationFinder(fine)
	f.numbers()
	f.copies()
	f.windows()
	if len(f.found) == 0 {
		return a
	}
	return fine.cutAt(first, f.found)
}

// cutAt returns the shape with the relations' spans as parts, beside those that begin with the given ones.
func (a *aligned) cutAt(parts []int, relations []relation) *aligned {
	edges := []edge{{len(a.fixed), 0}}
	for _, part := range parts {
		edges = append(edges, edge{part, 0})
	}
	for _, r := range relations {
		for _, s := range []reading{r.target, r.source} {
			if s.form != model.FormLength { // lengths are those of one or several parts
				edges = slices.DeleteFunc(edges, s.around)
			}
			edges = append(edges, s.lo, s.hi)
		}
	}
	slices.SortFunc(edges, edge.compare)
	edges = slices.Compact(edges)
	c := &aligned{packets: a.packets, cuts: make([][]int32, len(a.packets)), derived: map[int]*derivation{}, early: map[int]bool{}, list: a.list}
	for p := range c.cuts {
		for _, e := range edges {
			c.cuts[p] = append(c.cuts[p], int32(a.place(p, e)))
		}
	}
	c.fixed = make([]bool, len(edges)-1)
	for part := range c.fixed {
		c.fixed[part] = sameLength(c.column(part))
	}
	number := func(e edge) int {
		at, _ := slices.BinarySearchFunc(edges, e, edge.compare)
		return at
	}
	for _, r := range relations {
		d := &derivation{relation: r, first: number(r.source.lo), last: number(r.source.hi) - 1}
		c.derived[number(r.target.lo)] = d
		if r.target.size == 0 && r.source.form != model.FormLength {
			c.early[d.first] = true
		}
	}
	return c
}

// relationFinder looks for relations, and keeps those that are worth their description.
type relationFinder struct {
	*aligned
	sample   *aligned           // the packets that are looked at first
	columns  [][]byteColumn     // [part][byte] of the parts of fixed length
	lengths  []span             // bytes that say how long the packet is: they are known
	texts    []reading          // numbers as text
	sources  map[uint64]reading // by key: the first reading of numbers that differ by a constant
	readings int
	found    []relation
}

// relationSample is the number of packets that relations are looked for in, before all are.
const relationSample = 128

func newRelationFinder(a *aligned) *relationFinder {
	f := &relationFinder{aligned: a, sources: map[uint64]reading{}}
	f.sample = &aligned{packets: evenly(a.packets, relationSample), cuts: evenly(a.cuts, relationSample), fixed: a.fixed}
	f.columns = f.readColumns()
	f.addKnown()
	f.addLengths()
	return f
}

// window is the span of n bytes, from byte x on, of a part of fixed length.
func (f *relationFinder) window(part, x, n int) span {
	return span{f.edge(part, x), f.edge(part, x+n)}
}

// edge is a place in a part of fixed length.
func (f *relationFinder) edge(part, x int) edge {
	if x == f.partLength(part) {
		return edge{part + 1, 0}
	}
	return edge{part, x}
}

// partLength is the length of a part that has always the same.
func (f *relationFinder) partLength(part int) int {
	return int(f.cuts[0][part+1] - f.cuts[0][part])
}

// number reads a reading in a packet.
func (f *relationFinder) number(packet int, r reading) uint64 {
	return r.form.Number(f.bytes(packet, r.span))
}

// key is equal for readings whose numbers differ by a constant; ok is false where they are always the same.
func (f *relationFinder) key(r reading) (key uint64, ok bool) {
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a, of words
	first := r.form.Number(f.sample.bytes(0, r.span))
	key = offset
	for p := range f.sample.packets {
		difference := r.form.Number(f.sample.bytes(p, r.span)) - first
		ok = ok || difference != 0
		key = (key ^ difference) * prime
		key ^= key >> 29
	}
	return key, ok
}

// register takes a reading of numbers as a source.
func (f *relationFinder) register(r reading) {
	key, varies := f.key(r)
	if !varies || f.known(r.span) && r.form != model.FormLength {
		return
	}
	f.readings++
	other, ok := f.sources[key]
	if !ok || other.form != model.FormLength && r.lo.compare(other.lo) < 0 {
		f.sources[key] = r
	}
}

// relate keeps the relation of a target with the source that it has, if that is good.
func (f *relationFinder) relate(target reading) {
	key, varies := f.key(target)
	source, ok := f.sources[key]
	if !varies || !ok || f.known(target.span) {
		return
	}
	add := int64(f.number(0, target) - f.number(0, source))
	if add == int64(int32(add)) {
		f.take(relation{target, source, int32(add)})
	}
}

// mostRelations bounds the relations of a shape.
const mostRelations = 64

// take keeps a relation that is good.
func (f *relationFinder) take(r relation) {
	if len(f.found) < mostRelations && r.ordered() && f.free(r) && f.holds(r) && f.pays(r) {
		f.found = append(f.found, r)
	}
}

// known reports whether a span has bytes that say how long the packet is.
func (f *relationFinder) known(s span) bool { return slices.ContainsFunc(f.lengths, s.overlaps) }

// ordered reports whether the source is known when the target is written: it stands before it. Lengths are known
// when all that varies in length is drawn, so that a target of fixed size may count what it is a part of; one of
// varying size may count what is behind it.
func (r relation) ordered() bool {
	switch {
	case r.source.form != model.FormLength:
		return r.source.hi.compare(r.target.lo) <= 0
	case r.target.size == 0:
		return r.target.hi.compare(r.source.lo) <= 0
	}
	return true
}

// free reports whether the relation's spans can be parts beside those of the relations that are known.
func (f *relationFinder) free(r relation) bool {
	for _, other := range f.found {
		if r.target.overlaps(other.target.span) {
			return false
		}
		for _, a := range []reading{r.target, r.source} {
			for _, b := range []reading{other.target, other.source} {
				if a.clashes(b) {
					return false
				}
			}
		}
		if r.source.form != model.FormLength && r.source.span == other.target.span || other.source.span == r.target.span {
			return false // what is read is drawn
		}
	}
	return true
}

// clashes reports whether two spans cannot both be parts, or ranges of parts.
func (r reading) clashes(other reading) bool {
	if r.span == other.span {
		return false
	}
	if r.form != model.FormLength && (r.around(other.lo) || r.around(other.hi)) {
		return true
	}
	return other.form != model.FormLength && (other.around(r.lo) || other.around(r.hi))
}

// holds reports whether the relation does, in every packet.
func (f *relationFinder) holds(r relation) bool {
	var text []byte
	for p := range f.packets {
		if r.target.form == model.FormRaw {
			if !bytes.Equal(f.bytes(p, r.target.span), f.bytes(p, r.source.span)) {
				return false
			}
			continue
		}
		text = r.target.form.Append(text[:0], f.number(p, r.source)+uint64(int64(r.add)), r.target.size)
		if string(text) != string(f.bytes(p, r.target.span)) {
			return false
		}
	}
	return true
}

// pays reports whether the packets are described more briefly by the relation: by which two of the readings it is
// between, and its constant.
func (f *relationFinder) pays(r relation) bool {
	rows := evenly(f.rows(r.target.span), costSample)
	chosen := float64(len(rows)) * math.Log(float64(len(distinct(rows)))) // among values that are known
	name := 2*math.Log(float64(f.readings)) + 2*math.Log(1+math.Abs(float64(r.add)))
	return min(plainCost(rows), chosen) > name
}
