package train

import (
	"bytes"
	"math"
	"slices"

	"pacgan-appliance/internal/model"
)

// layout is one shape of packets as slots, and the variables that its trees are about.
type layout struct {
	packets int
	slots   []model.Slot // their words as in words; roots are not known yet
	words   [][]byte
	derived []model.Derivation
	vars    []variable // in the order of drawing
}

// variable is a slot that is drawn, with the value that each packet has there.
type variable struct {
	slot    int32
	codes   []uint16 // [packet] number of its value, or absent
	arity   int      // numbers 0..arity-1
	names   []uint16 // [number] value; nil where they are the same
	digit   bool
	cut     bool       // packets may lack it
	leaf    *tree      // all of its tree where it depends on nothing, shared by the bytes of a text; else nil
	ordinal bool       // a number of something: trees of chains split it in those up to a value and those above it
	known   bool       // follows from those drawn before: it has no tree
	chain   *chainRows // of a chain: codes are how long it is
}

// layOut finds the fields of aligned packets. A fixed part is cut into bytes that are the same in all packets, length
// fields, and runs of bytes that vary. A run, and a part of varying length, becomes words, text or digits, whichever
// describes the packets most briefly (see wordCost): names repeat, random numbers do not, and the letters of a token
// are of few kinds wherever they stand.
func layOut(a *aligned) *layout {
	var lengths []int
	for _, p := range a.packets {
		lengths = append(lengths, len(p))
	}
	ahead := &layoutBuilder{lengths: lengths} // what is drawn before any part of fixed length
	for part, fixed := range a.fixed {
		if !fixed && a.derived[part] == nil {
			ahead.partOf(a, part)
		}
	}
	l := &layoutBuilder{layout: layout{packets: len(a.packets)}, lengths: lengths, ahead: sampled(ahead.first)}
	for part, fixed := range a.fixed {
		l.begins = append(l.begins, int32(len(l.slots)))
		switch {
		case a.derived[part] != nil:
			l.derivedPart(a.derived[part])
		case fixed && a.early[part]:
			l.later, l.first = l.first, l.later
			l.fixedPart(a.column(part))
			l.later, l.first = l.first, l.later
		case fixed:
			l.fixedPart(a.column(part))
		default:
			l.behindPart(a, part)
			l.partOf(a, part)
		}
	}
	l.begins = append(l.begins, int32(len(l.slots)))
	l.resolve()
	l.vars = slices.Concat(l.first, l.counts, l.behind, l.later)
	return &l.layout
}

type layoutBuilder struct {
	layout
	lengths      []int         // [packet]
	begins       []int32       // [part] its first slot
	counts       []variable    // of lengths as text, the last first
	parts        []*derivation // of each of derived
	first, later []variable    // of parts of varying and of fixed length
	behind       []variable    // how many bytes there are from a part on, known when first are drawn
	ahead        []variable    // all of first, of the sample that descriptions are compared on
}

// absentDigit is the code of a digit that a packet is too short to have; of any variable, its arity is.
const absentDigit = digitValues

// Kinds of bytes of a fixed part.
const (
	byteVaries = iota
	byteConstant
	byteLength     // a length field
	byteLengthHigh // the high byte of one
)

// fixedPart adds the slots of a part that has the same length in all packets.
func (l *layoutBuilder) fixedPart(rows [][]byte) {
	kinds := l.kinds(rows)
	for x := 0; x < len(kinds); {
		end := x + 1
		switch kinds[x] {
		case byteConstant:
			for end < len(kinds) && kinds[end] == byteConstant {
				end++
			}
			l.add(model.Slot{Kind: model.SlotFixed, Word: l.word(rows[0][x:end]), Width: model.Leaf})
		case byteVaries:
			for end < len(kinds) && kinds[end] == byteVaries {
				end++
			}
			l.run(slice(rows, x, end))
		default:
			size := 1
			if kinds[x] == byteLengthHigh {
				size, end = 2, x+2
			}
			add := number(rows[0][x:end]) - l.lengths[0]
			l.add(model.Slot{Kind: model.SlotLength, Size: int32(size), Add: int32(add), Width: model.Leaf})
		}
		x = end
	}
}

// kinds returns of what kind each byte of a part of fixed length is.
func (l *layoutBuilder) kinds(rows [][]byte) []int {
	kinds := make([]int, len(rows[0]))
	for x := range kinds {
		if !slices.ContainsFunc(rows, func(row []byte) bool { return row[x] != rows[0][x] }) {
			kinds[x] = byteConstant
		} else if isLength(l.lengths, rows, x, 1) {
			kinds[x] = byteLength
		} else if x > 0 && kinds[x-1] < byteLength && isLength(l.lengths, rows, x, 2) {
			kinds[x-1], kinds[x] = byteLengthHigh, byteLength
		}
	}
	return kinds
}

// behindPart adds how many bytes there are from a part of varying length to the packet's end.
func (l *layoutBuilder) behindPart(a *aligned, part int) {
	lengths := make([]int, len(a.packets))
	for p, packet := range a.packets {
		lengths[p] = len(packet) - int(a.cuts[p][part])
	}
	names := slices.Clone(lengths)
	slices.Sort(names)
	if names = slices.Compact(names); len(names) > mostFeatureValues {
		return
	}
	v := variable{slot: l.add(model.Slot{Kind: model.SlotBehind, Width: model.Leaf}), arity: len(names), known: true}
	for _, n := range names {
		v.names = append(v.names, uint16(n))
	}
	for _, n := range lengths {
		code, _ := slices.BinarySearch(names, n)
		v.codes = append(v.codes, uint16(code))
	}
	l.behind = append(l.behind, v)
}

// isLength reports whether the size bytes that end with byte x are the packet's length plus a constant, in all
// packets of these lengths. Where lengths do not vary, nothing is known to be one.
func isLength(lengths []int, rows [][]byte, x, size int) bool {
	add := number(rows[0][x+1-size:x+1]) - lengths[0]
	varies := false
	for p, row := range rows {
		if number(row[x+1-size:x+1])-lengths[p] != add {
			return false
		}
		varies = varies || lengths[p] != lengths[0]
	}
	return varies
}

// run adds the slots of bytes that vary, side by side: the cheapest way to cut them into words and bytes of two
// digits.
func (l *layoutBuilder) run(rows [][]byte) {
	width := len(rows[0])
	sample := evenly(rows, costSample)
	best, from := make([]float64, width+1), make([]int, width+1) // from: where the last word begins; -1: a byte
	for end := 1; end <= width; end++ {
		best[end], from[end] = best[end-1]+digitsCost(slice(sample, end-1, end)), -1
		for begin := max(0, end-longestPiece); begin < end; begin++ {
			if c := best[begin] + pieceCost(slice(sample, begin, end)); c < best[end] {
				best[end], from[end] = c, begin
			}
		}
	}
	if c := wordCost(sample); c < best[width] {
		best[width], from[width] = c, 0
	}
	if textCost(sample) < best[width] {
		l.addText(&l.later, rows, model.Leaf)
		return
	}
	var pieces [][3]int // begin, end, and 1 if it is a word; the last first
	for end := width; end > 0; {
		if begin := from[end]; begin >= 0 {
			pieces = append(pieces, [3]int{begin, end, 1})
			end = begin
			continue
		}
		pieces = append(pieces, [3]int{end - 1, end, 0})
		end--
	}
	for _, piece := range slices.Backward(pieces) {
		part := slice(rows, piece[0], piece[1])
		if piece[2] == 0 {
			l.bytes(part)
		} else {
			l.divide(part)
		}
	}
}

// bytes adds two digits for each byte of rows of one length.
func (l *layoutBuilder) bytes(rows [][]byte) {
	for x := range rows[0] {
		l.digits(&l.later, slice(rows, x, x+1), model.Leaf, 0)
	}
}

// partOf adds the slots of a part of varying length: a list's, or a field's.
func (l *layoutBuilder) partOf(a *aligned, part int) {
	if rows := a.column(part); a.isList(part) {
		l.addChain(rows, a.list)
	} else {
		l.varyingPart(rows)
	}
}

// varyingPart adds the slots of a part whose length varies.
func (l *layoutBuilder) varyingPart(rows [][]byte) {
	sample := evenly(rows, costSample)
	text, digits, words := textCost(sample), digitsCost(sample), wordCost(sample)
	if chainCost(sampled(l.first), sample) < min(text, digits, words) {
		l.addChain(rows, model.Frame{})
		return
	}
	if words < min(text, digits) && l.addWords(&l.first, rows) {
		return
	}
	width := l.add(model.Slot{Kind: model.SlotWidth, Width: model.Leaf})
	v, longest := widthVariable(rows)
	v.slot = width
	l.first = append(l.first, v)
	if text < digits {
		l.addText(&l.first, rows, width)
		return
	}
	for x := range longest {
		column := make([][]byte, len(rows))
		for p, row := range rows {
			if x < len(row) {
				column[p] = row[x : x+1]
			}
		}
		l.digits(&l.first, column, width, x)
	}
}

// widthVariable returns the variable of the rows' lengths, and the longest. Lengths that hardly repeat are numbers from
// a range rather than a few that are usual: whichever describes the rows more briefly.
func widthVariable(rows [][]byte) (v variable, longest int) {
	lengths := make([]int, len(rows))
	for p, row := range rows {
		lengths[p] = len(row)
	}
	slices.Sort(lengths)
	lowest, longest := lengths[0], lengths[len(lengths)-1]
	each := math.Log(float64(longest - lowest + 1))
	repeats := repeatCost(lengths, func(a, b int) bool { return a == b })
	names := slices.Compact(lengths)
	even := float64(len(rows))*each < repeats+float64(len(names))*each
	if even {
		names = nil
		for n := lowest; n <= longest; n++ {
			names = append(names, n)
		}
	}
	for _, n := range names {
		v.names = append(v.names, uint16(n))
	}
	if even {
		v.leaf = newLeaf(v.names, slices.Repeat([]uint32{1}, len(names)))
	}
	for _, row := range rows {
		code, _ := slices.BinarySearch(names, len(row))
		v.codes = append(v.codes, uint16(code))
	}
	v.arity = len(names)
	return v, longest
}

// mostWords bounds a slot's words.
const mostWords = 1 << 13

// addWords adds a slot of words, one for each row; false if there are too many.
func (l *layoutBuilder) addWords(vars *[]variable, rows [][]byte) bool {
	words := distinct(rows)
	if len(words) > mostWords {
		return false
	}
	v := wordVariable(rows, words)
	v.slot = l.add(model.Slot{Kind: model.SlotWord, Word: int32(len(l.words)), Size: int32(len(words)), Width: model.Leaf})
	for _, w := range words {
		l.word(w)
	}
	*vars = append(*vars, v)
	return true
}

// wordVariable returns the variable of which word each row is.
func wordVariable(rows, words [][]byte) variable {
	v := variable{codes: make([]uint16, len(rows)), arity: len(words)}
	for p, row := range rows {
		at, _ := slices.BinarySearchFunc(words, row, bytes.Compare)
		v.codes[p] = uint16(at)
	}
	return v
}

// distinct returns the different ones of rows, ascending.
func distinct(rows [][]byte) [][]byte {
	words := slices.Clone(rows)
	slices.SortFunc(words, bytes.Compare)
	return slices.CompactFunc(words, bytes.Equal)
}

// digits adds the two digits of a column of bytes, which a row that is empty lacks; it is byte x of a field that
// width cuts.
func (l *layoutBuilder) digits(vars *[]variable, column [][]byte, width int32, x int) {
	high, low := make([]uint16, len(column)), make([]uint16, len(column))
	for p, b := range column {
		high[p], low[p] = absentDigit, absentDigit
		if len(b) > 0 {
			high[p], low[p] = uint16(b[0]>>4), uint16(b[0]&15)
		}
	}
	for i, codes := range [][]uint16{high, low} {
		slot := l.add(model.Slot{Kind: model.SlotDigit, Width: width, At: int32(2*x + i)})
		*vars = append(*vars, variable{slot: slot, codes: codes, arity: digitValues, digit: true, cut: width != model.Leaf})
	}
}

// add appends a slot and returns its number.
func (l *layoutBuilder) add(s model.Slot) int32 {
	s.Root = model.Leaf
	l.slots = append(l.slots, s)
	return int32(len(l.slots) - 1)
}

// word appends a word and returns its number.
func (l *layoutBuilder) word(w []byte) int32 {
	l.words = append(l.words, bytes.Clone(w))
	return int32(len(l.words) - 1)
}

// slice returns bytes lo to hi of each row.
func slice(rows [][]byte, lo, hi int) [][]byte {
	part := make([][]byte, len(rows))
	for i, row := range rows {
		part[i] = row[lo:hi]
	}
	return part
}

// number reads one or two bytes, big-endian.
func number(b []byte) int {
	n := 0
	for _, x := range b {
		n = n<<8 | int(x)
	}
	return n
}
