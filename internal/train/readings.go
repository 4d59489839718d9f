package train

import (
	"bytes"
	"encoding/binary"

	"pacgan-appliance/internal/model"
)

const (
	// mostRanges is the number of parts of varying length that lengths of one or several are read of.
	mostRanges = 16
	// mostDigits and mostHex are the digits of the longest numbers that are read.
	mostDigits, mostHex = 19, 16
)

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
	length := f.partLength(part)
	for _, a := range alphabets {
		for x := 0; x < length; x++ {
			end := x
			for end < length && f.all(f.window(part, end, 1), a.letters) {
				end++
			}
			if end > x {
				f.text(f.window(part, x, end-x), a.form, a.most)
				lo, hi := x, end
				for lo < hi && f.constant(f.window(part, lo, 1)) {
					lo++
				}
				for hi > lo && f.constant(f.window(part, hi-1, 1)) {
					hi--
				}
				if lo < hi && hi-lo < end-x {
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
	for _, a := range alphabets {
		own := span{edge{part, 0}, edge{part + 1, 0}}
		if !f.all(own, a.letters) {
			continue
		}
		wide := own
		if part > 0 && f.fixed[part-1] {
			x := f.partLength(part - 1)
			for x > 0 && f.all(f.window(part-1, x-1, 1), a.letters) {
				x--
			}
			wide.lo = f.edge(part-1, x)
		}
		if part+1 < len(f.fixed) && f.fixed[part+1] {
			x, length := 0, f.partLength(part+1)
			for x < length && f.all(f.window(part+1, x, 1), a.letters) {
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

// constant reports whether a span is the same in all packets.
func (f *relationFinder) constant(s span) bool {
	for p := range f.packets {
		if !bytes.Equal(f.bytes(p, s), f.bytes(0, s)) {
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
	for x := 0; x+size <= f.partLength(part); x++ {
		if !f.constant(f.window(part, x, 1)) && !f.constant(f.window(part, x+size-1, 1)) {
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
		for x := range f.partLength(part) {
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
	if f.known(target.span) || f.constant(target.span) {
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
