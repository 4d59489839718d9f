package train

import (
	"math"
	"slices"

	"pacgan-appliance/internal/model"
)

const (
	// byteValues is the number of letters of a text.
	byteValues = 1 << 8
	// shortestText is the length of the longest token of a text at least.
	shortestText = 4
	// mostOwn is how many of a text's first letters may be drawn by counts of their own.
	mostOwn = 16
)

// letters are how often a text has each letter.
type letters struct {
	counts [byteValues]int
	all    int
}

func (l *letters) add(b byte) {
	l.counts[b]++
	l.all++
}

// without returns the letters that are not among some of them.
func (l *letters) without(some *letters) *letters {
	rest := *l
	for b, n := range some.counts {
		rest.counts[b] -= n
	}
	rest.all -= some.all
	return &rest
}

// cost is the length of describing the letters, in nats.
func (l *letters) cost() float64 {
	cost, _ := math.Lgamma(float64(l.all) + 1)
	bottom, _ := math.Lgamma(1. / byteValues)
	for _, n := range l.counts {
		if n > 0 {
			top, _ := math.Lgamma(1./byteValues + float64(n))
			cost -= top - bottom
		}
	}
	return cost
}

// letterText is a field of letters that are drawn alike wherever they stand, but for the places that have letters of their
// own: the first digit of a number, for one.
type letterText struct {
	own     [mostOwn]bool // [place]
	shared  *letters
	longest int
	cost    float64 // of describing the rows, in nats
}

// readText reads rows as text. A place has letters of its own if that describes the rows more briefly, its name
// included.
func readText(rows [][]byte) letterText {
	t := letterText{shared: &letters{}}
	for _, row := range rows {
		t.longest = max(t.longest, len(row))
		for _, b := range row {
			t.shared.add(b)
		}
	}
	t.cost = t.shared.cost() + lengthsCost(rows)
	for x := range min(mostOwn, t.longest) {
		var here letters
		for _, row := range rows {
			if x < len(row) {
				here.add(row[x])
			}
		}
		rest := t.shared.without(&here)
		if gain := t.shared.cost() - rest.cost() - here.cost() - math.Log(mostOwn+1); gain > 0 {
			t.own[x], t.shared = true, rest
			t.cost -= gain
		}
	}
	return t
}

// textCost is the length of describing rows as text, in nats. Fields of a few bytes are no text.
func textCost(rows [][]byte) float64 {
	if !slices.ContainsFunc(rows, func(row []byte) bool { return len(row) >= shortestText }) {
		return math.Inf(1)
	}
	return readText(rows).cost
}

// addText adds a slot for each byte of a field, which width cuts.
func (l *layoutBuilder) addText(vars *[]variable, rows [][]byte, width int32) {
	t := readText(rows)
	word := int32(len(l.words))
	var values []uint16
	var seen []uint32
	for b, n := range t.shared.counts {
		if n > 0 {
			values, seen = append(values, uint16(len(values))), append(seen, uint32(n))
			l.word([]byte{byte(b)})
		}
	}
	evenText(seen)
	v := variable{arity: len(values), leaf: newLeaf(values, seen)}
	for x := range t.longest {
		if x < mostOwn && t.own[x] {
			l.addLetter(vars, rows, width, x)
			continue
		}
		v.slot = l.add(model.Slot{Kind: model.SlotWord, Word: word, Size: int32(v.arity), Width: width, At: int32(2 * x)})
		*vars = append(*vars, v)
	}
}

// addLetter adds a slot for the letter at place x of rows, which has a tree of its own.
func (l *layoutBuilder) addLetter(vars *[]variable, rows [][]byte, width int32, x int) {
	var here letters
	for _, row := range rows {
		if x < len(row) {
			here.add(row[x])
		}
	}
	word, number := int32(len(l.words)), [byteValues]uint16{}
	v := variable{cut: width != model.Leaf}
	for b, n := range here.counts {
		if n > 0 {
			number[b] = uint16(v.arity)
			v.arity++
			l.word([]byte{byte(b)})
		}
	}
	for _, row := range rows {
		code := uint16(v.arity)
		if x < len(row) {
			code = number[row[x]]
		}
		v.codes = append(v.codes, code)
	}
	v.slot = l.add(model.Slot{Kind: model.SlotWord, Word: word, Size: int32(v.arity), Width: width, At: int32(2 * x)})
	*vars = append(*vars, v)
}
