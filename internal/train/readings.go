package train

import (
	"bytes"
	"encoding/binary"
	"slices"

	"pacgan-appliance/internal/model"
)

const (
	// mostRanges is the number of parts of varying length that lengths of one or several are read of.
	mostRanges = 16
	// mostDigits and mostHex are the digits of the longest numbers that are read.
	mostDigits, mostHex = 19, 16
)

// byteColumn is what a byte of a part of fixed length is in all packets.
type byteColumn struct {
	varies    bool
	alphabets uint8 // bit i: it is a letter of alphabets[i]
}

// readColumns looks at each packet once: what is far apart in memory is slow to compare.
func (f *relationFinder) readColumns() [][]byteColumn {
	var letters [byteValues]uint8
	for i, a := range alphabets {
		for _, b := range []byte(a.letters) {
			letters[b] |= 1 << i
		}
	}
	columns := make([][]byteColumn, len(f.fixed))
	for part, fixed := range f.fixed {
		if !fixed {
			continue
		}
		first := f.part(0, part)
		column := make([]byteColumn, len(first))
		for x := range column {
			column[x].alphabets = ^uint8(0)
		}
		for p := range f.packets {
			for x, b := range f.part(p, part) {
				column[x].varies = column[x].varies || b != first[x]
				column[x].alphabets &= letters[b]
			}
		}
		columns[part] = column
	}
	return columns
}

// addKnown notes the bytes that say how long the packet is.
func (f *relationFinder) addKnown() {
	var lengths []int
	for _, p := range f.packets {
		lengths = append(lengths, len(p))
	}
	for part, columns := range f.columns {
		var rows [][]byte
		for x, c := range columns {
			if !c.varies {
				continue
			}
			if rows == nil {
				rows = f.column(part)
			}
			for size := 1; size <= min(2, x+1); size++ {
				if isLength(lengths, rows, x, size) {
					f.lengths = append(f.lengths, f.window(part, x+1-size, size))
				}
			}
		}
	}
}

// addLengths adds the lengths of the parts of varying length, alone and of several in a row, as sources.
func (f *relationFinder) addLengths() {
	var varying []int
	for part, fixed := range f.fixed {
		if !fixed && len(varying) < mostRanges {
			varying = append(varying, part)
		}
	}
	for i, first := range varying {
		for _, last := range varying[i:] {
			f.register(reading{span{edge{first, 0}, edge{last + 1, 0}}, model.FormLength, 0})
		}
	}
}

// numbers registers all numbers, and looks for relations of those written as text.
func (f *relationFinder) numbers() {
	for part, fixed := range f.fixed {
		if !fixed {
			f.textsAround(part)
			continue
		}
		f.textsWithin(part)
		for _, size := range binarySizes {
			f.windowsOf(part, size, f.register)
		}
	}
	for _, t := range f.texts {
		f.relate(t)
	}
}

// alphabets are what numbers as text are written in.
var alphabets = []struct {
	letters string
	form    model.Form
	most    int // letters; of dotted forms, of all
}{
	{"0123456789.", model.FormDotted2, 7},
	{"0123456789.", model.FormDotted3, 11},
	{"0123456789.", model.FormDotted4, 15},
	{"0123456789", model.FormDecimal, mostDigits},
	{"0123456789abcdef", model.FormHex, mostHex},
	{"0123456789ABCDEF", model.FormHexUpper, mostHex},
}

// textsWithin relates the numbers as text in a part of fixed length: the longest runs of letters, and of each what
// varies.
func (f *relationFinder) textsWithin(part int) {
	columns := f.columns[part]
	for i, a := range alphabets {
		for x := 0; x < len(columns); x++ {
			end := x
			for end < len(columns) && columns[end].alphabets>>i&1 == 1 {
				end++
			}
			if slices.ContainsFunc(columns[x:end], func(c byteColumn) bool { return c.varies }) {
				f.text(f.window(part, x, end-x), a.form, a.most)
				lo, hi := x, end
				for !columns[lo].varies {
					lo++
				}
				for !columns[hi-1].varies {
					hi--
				}
				if hi-lo < end-x {
					f.text(f.window(part, lo, hi-lo), a.form, a.most)
				}
			}
			x = end
		}
	}
}

// textsAround relates a part of varying length that is a number as text, first with the letters beside it: the first
// digits of numbers may be the same in all packets, and part of what these have in common.
func (f *relationFinder) textsAround(part int) {
	for i, a := range alphabets {
		own := span{edge{part, 0}, edge{part + 1, 0}}
		if !f.all(own, a.letters) {
			continue
		}
		wide := own
		if part > 0 && f.fixed[part-1] {
			x := f.partLength(part - 1)
			for x > 0 && f.columns[part-1][x-1].alphabets>>i&1 == 1 {
				x--
			}
			wide.lo = f.edge(part-1, x)
		}
		if part+1 < len(f.fixed) && f.fixed[part+1] {
			x, length := 0, f.partLength(part+1)
			for x < length && f.columns[part+1][x].alphabets>>i&1 == 1 {
				x++
			}
			wide.hi = f.edge(part+1, x)
		}
		f.text(wide, a.form, a.most)
		if wide != own {
			f.text(own, a.form, a.most)
		}
	}
}

// text registers a span that is a number of this form in all packets.
func (f *relationFinder) text(s span, form model.Form, most int) {
	shortest, longest := len(f.bytes(0, s)), 0
	for p := range f.packets {
		n := len(f.bytes(p, s))
		shortest, longest = min(shortest, n), max(longest, n)
	}
	if shortest == 0 || longest > most {
		return
	}
	r := reading{s, form, 0}
	if shortest == longest && form != model.FormDotted2 && form != model.FormDotted3 && form != model.FormDotted4 {
		r.size = longest
	}
	if f.holds(relation{target: r, source: r}) {
		f.texts = append(f.texts, r)
		f.register(r)
	}
}

// all reports whether a span has these letters alone, in all packets.
func (f *relationFinder) all(s span, letters string) bool {
	for p := range f.packets {
		if len(bytes.Trim(f.bytes(p, s), letters)) > 0 {
			return false
		}
	}
	return true
}

// binarySizes are the sizes of numbers that are no text, in bytes.
var binarySizes = []int{8, 4, 2, 1}

// windows looks for relations of big-endian numbers: first for the longest.
func (f *relationFinder) windows() {
	for _, size := range binarySizes {
		for part, fixed := range f.fixed {
			if fixed {
				f.windowsOf(part, size, f.relate)
			}
		}
	}
}

// windowsOf calls take with the numbers of a size in a part of fixed length. What is always the same before or behind a
// number is no part of it.
func (f *relationFinder) windowsOf(part, size int, take func(reading)) {
	columns := f.columns[part]
	for x := 0; x+size <= len(columns); x++ {
		if columns[x].varies && columns[x+size-1].varies {
			take(reading{f.window(part, x, size), model.FormBinary, size})
		}
	}
}

// copies looks for what is written twice, as it is: parts of varying length, and bytes of those of fixed length.
func (f *relationFinder) copies() {
	first := map[string]reading{}
	var run relation // of bytes of fixed parts, one behind the other, as far as it is known
	end := func() {
		if run.target.size > 0 {
			f.take(run)
		}
		run = relation{}
	}
	for part, fixed := range f.fixed {
		if !fixed {
			f.copied(first, reading{span{edge{part, 0}, edge{part + 1, 0}}, model.FormRaw, 0}, f.takeCopy)
			continue
		}
		for x, c := range f.columns[part] {
			if !c.varies {
				end()
				continue
			}
			joined := false
			f.copied(first, reading{f.window(part, x, 1), model.FormRaw, 1}, func(r relation) {
				if joined = run.target.size > 0 && run.target.hi == r.target.lo && run.source.hi == r.source.lo; !joined {
					end()
					run, joined = r, true
					return
				}
				run.target.hi, run.source.hi = r.target.hi, r.source.hi
				run.target.size++
				run.source.size++
			})
			if !joined {
				end()
			}
		}
		end()
	}
}

func (f *relationFinder) takeCopy(r relation) { f.take(r) }

// copied calls found if a reading is equal to one before it; else others may be equal to it.
func (f *relationFinder) copied(first map[string]reading, target reading, found func(relation)) {
	if f.known(target.span) {
		return
	}
	var content []byte
	for p := range f.sample.packets {
		b := f.sample.bytes(p, target.span)
		content = append(binary.BigEndian.AppendUint16(content, uint16(len(b))), b...)
	}
	f.readings++
	source, ok := first[string(content)]
	if !ok {
		first[string(content)] = target
		return
	}
	if r := (relation{target: target, source: source}); f.holds(r) {
		found(r)
	}
}
