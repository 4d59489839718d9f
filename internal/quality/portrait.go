package quality

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"slices"
)

// Histogram is how a header or payload field of generated packets is spread, beside that of real ones.
type Histogram struct {
	Field string // as in Report.FieldJSD
	Bars  []Bar
}

// Bar is a value, or a range of values, of a field and its share of the packets that have the field.
type Bar struct {
	Value           string
	Generated, Real float64 // 0 to 1
}

// Histograms returns the fields that the real packets have: the values where there are no more than most, else ranges of
// numbers, or the most common names and "others". Values that cannot be read are "unreadable".
func Histograms(generated, real [][]byte, most int) []Histogram {
	gen, re := readAll(generated), readAll(real)
	var all []Histogram
	for f := range numFields {
		if bars := barsOf(f, gen, re, most); len(bars) > 0 {
			all = append(all, Histogram{f.String(), bars})
		}
	}
	return all
}

// count is how often a value occurs.
type count struct{ generated, real int }

func barsOf(f field, gen, re []values, most int) []Bar {
	counts := map[value]count{}
	var total count
	for i := range gen {
		if v := gen[i][f]; v.kind != absent {
			c := counts[v]
			c.generated++
			counts[v] = c
			total.generated++
		}
	}
	had := false
	for i := range re {
		if v := re[i][f]; v.kind != absent {
			c := counts[v]
			c.real++
			counts[v] = c
			total.real++
			had = had || v.kind == present
		}
	}
	if !had {
		return nil
	}
	order := make([]value, 0, len(counts))
	for v := range counts {
		order = append(order, v)
	}
	slices.SortFunc(order, compareValues)
	name, bins := nameOf(f), len(order)
	if len(order) > most {
		name, bins = groupValues(f, order, counts, most)
	}
	bars := make([]Bar, 0, bins)
	at := map[string]int{}
	for _, v := range order {
		text := name(v)
		i, ok := at[text]
		if !ok {
			i = len(bars)
			at[text] = i
			bars = append(bars, Bar{Value: text})
		}
		bars[i].Generated += share(counts[v].generated, total.generated)
		bars[i].Real += share(counts[v].real, total.real)
	}
	if i, ok := at[others]; ok { // last
		rest := bars[i]
		bars = append(slices.Delete(bars, i, i+1), rest)
	}
	return bars
}

// What a bar is called that is no value.
const unreadable, others = "unreadable", "others"

// nameOf is how a field's values are written.
func nameOf(f field) func(value) string {
	return func(v value) string {
		switch {
		case v.kind == unparsable:
			return unreadable
		case v.text != "":
			return v.text
		case f == fieldSrc || f == fieldDst:
			var b [4]byte
			binary.BigEndian.PutUint32(b[:], uint32(v.number))
			return netip.AddrFrom4(b).String()
		case f == fieldHost || f == fieldPath || f == fieldQName:
			return `""`
		}
		return fmt.Sprint(v.number)
	}
}

// groupValues puts many values into at most most groups: equal ranges of numbers, or the commonest names and the rest.
func groupValues(f field, order []value, counts map[value]count, most int) (name func(value) string, groups int) {
	one := nameOf(f)
	numbers := slices.DeleteFunc(slices.Clone(order), func(v value) bool { return v.kind != present || v.text != "" })
	if named := f == fieldSrc || f == fieldDst || f >= fieldQName && f != fieldQType && f != fieldWindow; named || len(numbers) == 0 {
		common := slices.Clone(order)
		slices.SortStableFunc(common, func(a, b value) int {
			return counts[b].real + counts[b].generated - counts[a].real - counts[a].generated
		})
		kept := map[value]bool{}
		for _, v := range common[:most-1] {
			kept[v] = true
		}
		return func(v value) string {
			if kept[v] {
				return one(v)
			}
			return others
		}, most
	}
	low, high := numbers[0].number, numbers[len(numbers)-1].number
	width := (high-low)/uint64(most) + 1
	return func(v value) string {
		if v.kind == unparsable {
			return unreadable
		}
		from := low + (v.number-low)/width*width
		return fmt.Sprintf("%d - %d", from, min(from+width-1, high))
	}, most + 1
}

// ErrorsAt returns for each byte position the share of the generated packets that reach it whose byte there is not that
// of the nearest real packet (the one that ByteError counts from, trained on or held out); freely varying bytes of that
// one are never wrong.
func ErrorsAt(generated, train, heldOut [][]byte) []float64 {
	f := finder{index: newIndex(train, heldOut)}
	longest := 0
	for _, p := range generated {
		longest = max(longest, len(p))
	}
	wrong, reached := make([]int, longest), make([]int, longest)
	for _, p := range generated {
		template, mask := f.template(p)
		for i := range p {
			reached[i]++
			if i >= len(mask) || p[i]&mask[i] != template[i] {
				wrong[i]++
			}
		}
	}
	out := make([]float64, longest)
	for i := range out {
		out[i] = share(wrong[i], reached[i])
	}
	return out
}

// template returns the nearest template and its mask, both as long as the real packet; none where there are none.
func (f *finder) template(p []byte) (template, mask []byte) {
	best := math.MaxInt
	for _, g := range f.index.groups {
		gap := lengthGap(p, g)
		if gap >= best {
			continue
		}
		f.masked = g.clearFree(f.masked[:0], p)
		f.words = appendWords(f.words[:0], f.masked)
		differ, n := g.nearest(f.words, len(f.masked), best-gap)
		if differ < best-gap {
			best, mask = gap+differ, g.mask
			template = bytesOf(template[:0], g.words[n*g.stride:], len(g.mask))
		}
	}
	return template, mask
}

// bytesOf undoes appendWords.
func bytesOf(dst []byte, words []uint64, n int) []byte {
	for _, w := range words[:(n+wordBytes-1)/wordBytes] {
		dst = binary.LittleEndian.AppendUint64(dst, w)
	}
	return dst[:n]
}
