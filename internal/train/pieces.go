package train

import (
	"math"
	"slices"

	"pacgan-appliance/internal/model"
)

// piece is a part of a part: of all packets the bytes that belong together.
type piece struct {
	rows  [][]byte
	fixed bool // all rows have the same length
}

// refined cuts the parts of varying length further, where their own bytes say how long a field is, and takes bytes
// that all packets have from the others.
func (a *aligned) refined() *aligned {
	r, _ := a.recut(a.headed)
	return r
}

// recut cuts the parts of varying length. It returns the number of the first part that each has become.
func (a *aligned) recut(pieces func(rows [][]byte) []piece) (r *aligned, first []int) {
	r = &aligned{packets: a.packets, cuts: make([][]int32, len(a.packets)), list: a.list}
	at := make([]int32, len(a.packets))
	for part, fixed := range a.fixed {
		first = append(first, len(r.fixed))
		cut := []piece{{a.column(part), fixed}}
		if !fixed && !a.isList(part) {
			cut = pieces(cut[0].rows)
		}
		for _, c := range cut {
			r.fixed = append(r.fixed, c.fixed)
			for p, row := range c.rows {
				r.cuts[p] = append(r.cuts[p], at[p])
				at[p] += int32(len(row))
			}
		}
	}
	for p := range r.cuts {
		r.cuts[p] = append(r.cuts[p], at[p])
	}
	return r, first
}

// fewestLengths is how many lengths packets have to have for a byte to be known as theirs: with two, any two letters that
// differ alike would be.
const fewestLengths = 3

// headed is pieces of rows; where these are one field, what it begins with up to a length of the packet is not of it.
func (a *aligned) headed(rows [][]byte) []piece {
	cut := pieces(rows)
	if len(cut) != 1 || cut[0].fixed {
		return cut
	}
	lengths, different := make([]int, len(a.packets)), map[int]bool{}
	for p, packet := range a.packets {
		lengths[p] = len(packet)
		different[len(packet)] = true
	}
	if len(different) < fewestLengths {
		return cut
	}
	for end := shortest(rows); end > 0; end-- {
		if isLength(lengths, rows, end-1, 1) {
			return slices.Concat([]piece{{slice(rows, 0, end), true}}, pieces(behind(rows, end)))
		}
	}
	return cut
}

// pieces cuts rows of different lengths: in bytes that all have, a field and what follows it, if one or two of these
// bytes are the field's length and that describes the rows more briefly; what follows is cut in the same way. Names
// in binary protocols begin so, and nothing in them would be an anchor.
func pieces(rows [][]byte) []piece {
	if sameLength(rows) {
		if len(rows[0]) == 0 {
			return nil
		}
		return []piece{{rows, true}}
	}
	head := lengthPrefix(rows)
	if head.size == 0 {
		return whole(rows)
	}
	begin, field, rest := head.cut(rows)
	return slices.Concat([]piece{{begin, true}}, whole(field), pieces(rest))
}

// whole is rows that are one field, without those bytes that all have where it is described digit by digit: these may
// depend on the lengths of all fields, as they are drawn after them. What is between delimiters that all rows have are
// fields of their own, if they are no words and that describes them more briefly.
func whole(rows [][]byte) []piece {
	sample := evenly(rows, costSample)
	digits := digitsCost(sample)
	if fields := delimited(rows); len(fields) > 1 && min(textCost(sample), digits) < wordCost(sample) {
		cost := 0.0
		for _, f := range fields {
			cost += plainCost(evenly(f.rows, costSample))
		}
		if cost < min(wordCost(sample), textCost(sample), digits) { // no chain keeps delimiters in place as surely
			return fields
		}
	}
	if begin := textBegins(sample); begin > 0 {
		head, text := slice(sample, 0, begin), behind(sample, begin)
		if min(textCost(head), digitsCost(head))+plainCost(text) < plainCost(sample) && begin <= shortest(rows) {
			return slices.Concat([]piece{{slice(rows, 0, begin), true}}, whole(behind(rows, begin)))
		}
	}
	begin := shortest(rows)
	if begin == 0 || min(wordCost(sample), textCost(sample), chainCost(nil, sample)) <= digits {
		return []piece{{rows, false}}
	}
	return []piece{{slice(rows, 0, begin), true}, {behind(rows, begin), false}}
}

// textBegins returns how many bytes stand before the first from which on rows are text, as far as all of them go.
func textBegins(rows [][]byte) int {
	begin := 0
	for x := range shortest(rows) {
		if !mostlyText(slice(rows, x, x+1)) {
			begin = x + 1
		}
	}
	return begin
}

// prefix is where a field's length lies: in size bytes, big-endian, behind the first at. It counts some bytes before the
// field, too: itself, or its type and itself.
type prefix struct{ at, size, more int }

// length is the length of the field of a row.
func (f prefix) length(row []byte) int { return number(row[f.at:f.at+f.size]) - f.more }

// cut cuts rows into what ends with the length, the field, and the rest.
func (f prefix) cut(rows [][]byte) (begin, field, rest [][]byte) {
	end := f.at + f.size
	for _, row := range rows {
		n := f.length(row)
		begin, field, rest = append(begin, row[:end]), append(field, row[end:end+n]), append(rest, row[end+n:])
	}
	return begin, field, rest
}

// fits reports whether all rows are as long as the field says, and its length is not always the same.
func (f prefix) fits(rows [][]byte) bool {
	varies := false
	for _, row := range rows {
		end := f.at + f.size
		if len(row) < end || f.length(row) < 0 || end+f.length(row) > len(row) {
			return false
		}
		varies = varies || f.length(row) != f.length(rows[0])
	}
	return varies
}

// farthestPrefix is how many bytes stand before a length at most, and mostCounted how many of them it counts, too, and
// of itself.
const farthestPrefix, mostCounted = 16, 4

// lengthPrefix finds the length that describes rows most briefly; of size 0 if there is none, or they are described
// more briefly without. One that counts more than the field is looked for where none is that counts the field alone:
// of random bytes the last is as well a field of its own.
func lengthPrefix(rows [][]byte) prefix {
	sample := evenly(rows, costSample)
	best, cost := prefix{}, plainCost(sample)-math.Log(2*farthestPrefix*(mostCounted+1))
	for more := range mostCounted + 1 {
		if more == 1 && best.size > 0 {
			break
		}
		for at := range farthestPrefix {
			for size := 1; size <= 2; size++ {
				f := prefix{at, size, more}
				if more > at+size || !f.fits(rows) {
					continue
				}
				begin, field, rest := f.cut(sample)
				// The length itself costs nothing, as the field is described with its own.
				if c := digitsCost(slice(begin, 0, at)) + plainCost(field) + plainCost(rest); c < cost {
					best, cost = f, c
				}
			}
		}
	}
	return best
}

// delimited cuts rows of text at what is no letter or digit, if these delimiters are the same in all rows, and in the
// same order; nil if not.
func delimited(rows [][]byte) (fields []piece) {
	var delimiters []byte
	for _, b := range rows[0] {
		if !model.InToken(b) {
			delimiters = append(delimiters, b)
		}
	}
	fields = make([]piece, 2*len(delimiters)+1)
	for _, row := range rows {
		at := 0
		for i, d := range delimiters {
			n := slices.IndexFunc(row[at:], func(b byte) bool { return !model.InToken(b) })
			if n < 0 || row[at+n] != d || d < ' ' && d != '\r' && d != '\n' || d > '~' {
				return nil
			}
			fields[2*i].rows = append(fields[2*i].rows, row[at:at+n])
			fields[2*i+1].rows = append(fields[2*i+1].rows, row[at+n:at+n+1])
			at += n + 1
		}
		if slices.ContainsFunc(row[at:], func(b byte) bool { return !model.InToken(b) }) {
			return nil
		}
		fields[2*len(delimiters)].rows = append(fields[2*len(delimiters)].rows, row[at:])
	}
	for i := range fields {
		fields[i].fixed = sameLength(fields[i].rows)
	}
	return slices.DeleteFunc(fields, func(f piece) bool { return f.fixed && len(f.rows[0]) == 0 })
}

// plainCost is the length of the briefest description of rows as one field.
func plainCost(rows [][]byte) float64 {
	return min(wordCost(rows), textCost(rows), digitsCost(rows), chainCost(nil, rows))
}

// shortest is the length of the shortest row.
func shortest(rows [][]byte) int {
	return len(slices.MinFunc(rows, func(a, b []byte) int { return len(a) - len(b) }))
}

func sameLength(rows [][]byte) bool {
	return !slices.ContainsFunc(rows, func(row []byte) bool { return len(row) != len(rows[0]) })
}

// behind returns each row without its first n bytes.
func behind(rows [][]byte, n int) [][]byte {
	part := make([][]byte, len(rows))
	for i, row := range rows {
		part[i] = row[n:]
	}
	return part
}
