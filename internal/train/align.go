package train

import (
	"bytes"
	"encoding/binary"
	"slices"

	"pacgan-appliance/internal/model"
)

// aligned are packets of one shape, cut into the same parts. What all of them have in common, at whatever place, is
// an anchor; what lies between two anchors is a part of its own, and what follows an anchor is found again behind
// it however long the part before was.
type aligned struct {
	packets [][]byte
	cuts    [][]int32 // [packet][part] where the part begins; and where the last ends
	fixed   []bool    // [part] it has the same length in all packets

	derived map[int]*derivation // [part] what it repeats
	early   map[int]bool        // [part] the length of others follows from what it says
	list    model.Frame         // of the last part, if that is a list
}

// part returns a part of a packet.
func (a *aligned) part(packet, part int) []byte {
	cuts := a.cuts[packet]
	return a.packets[packet][cuts[part]:cuts[part+1]]
}

// column returns a part of all packets.
func (a *aligned) column(part int) [][]byte {
	rows := make([][]byte, len(a.packets))
	for p := range rows {
		rows[p] = a.part(p, part)
	}
	return rows
}

const (
	// gram is the number of bytes of the shortest anchor.
	gram = 4
	// commonShare is the share of packets that have to have a string of gram bytes for it to be common, and
	// oddShare of the common strings what a packet has at least that is laid out like most: anchors are what
	// all of these have.
	commonShare, oddShare = 0.9, 0.5
	// mostAligned is the number of packets that anchors are looked for in.
	mostAligned = 256
	// mostShapes bounds the ways in which packets of one label are laid out, and fewestAligned the packets of
	// one: fewer tell nothing of what they have in common.
	mostShapes, fewestAligned = 4, 20
	// alignRounds is how often anchors are looked for again with packets that lacked one of the last.
	alignRounds = 4
)

// align lays packets out. It does not depend on their order, for it sorts them.
func align(packets [][]byte) []*aligned {
	sorted := slices.Clone(packets)
	slices.SortFunc(sorted, bytes.Compare)
	return shapesOf(sorted, 0)
}

// shapesOf lays sorted packets out, of kinds that were told apart so often.
func shapesOf(packets [][]byte, depth int) (shapes []*aligned) {
	rest := packets
	for round := 0; len(rest) > 0; round++ {
		var a *aligned
		var odd [][]byte
		if round < mostShapes-1 && len(rest) >= fewestAligned {
			a, odd = alignMost(rest)
		}
		if a == nil {
			a, odd = cut(rest, nil)
		}
		rest = odd
		if listed := a.listed(); listed != nil {
			shapes = append(shapes, listed.refined().merged())
			continue
		}
		var kinds [][][]byte
		if depth < deepestKinds {
			kinds = a.kinds()
		}
		if kinds == nil {
			shapes = append(shapes, a.refined().merged())
		}
		for _, kind := range kinds {
			shapes = append(shapes, shapesOf(kind, depth+1)...)
		}
	}
	return shapes
}

// alignMost lays out the packets that are like most; nil if they are few. Packets of one length are cut nowhere: an
// anchor could be found where a number before it happens to end as the anchor begins.
func alignMost(packets [][]byte) (a *aligned, odd [][]byte) {
	sample := evenly(packets, mostAligned)
	common := commonGrams(sample, max(int32(commonShare*float64(len(sample))), 2))
	var like [][]byte
	for _, p := range packets {
		if shared(p, common) < oddShare {
			odd = append(odd, p)
		} else {
			like = append(like, p)
		}
	}
	if len(like) < fewestAligned {
		return nil, nil
	}
	if sameLength(like) { // nothing shifts
		a, _ = cut(like, nil)
		return a, odd
	}
	sample = evenly(like, mostAligned)
	for round := range alignRounds {
		anchors := findAnchors(sample, common)
		var unfit [][]byte
		a, unfit = cut(like, anchors)
		if len(unfit) == 0 || round == alignRounds-1 {
			return a, append(odd, unfit...)
		}
		sample = append(slices.Clone(sample), evenly(unfit, mostAligned)...)
	}
	return a, odd
}

// shared returns the share of the common strings that a packet has.
func shared(packet []byte, common map[uint32]bool) float64 {
	found := map[uint32]bool{}
	for i := 0; i+gram <= len(packet); i++ {
		if g := gramAt(packet, i); common[g] {
			found[g] = true
		}
	}
	return float64(len(found)) / float64(max(len(common), 1))
}

// anchor is a string that packets have in common; gap is how far behind the one before it lies in the packet that
// it was found in.
type anchor struct {
	text []byte
	gap  int
}

// find returns where the anchor begins in packet behind from, or -1: at its usual place, if it is there too. (A
// field may end in bytes that the anchor begins with.)
func (a anchor) find(packet []byte, from int) int {
	if at := from + a.gap; at <= len(packet) && bytes.HasPrefix(packet[at:], a.text) {
		return at
	}
	if at := bytes.Index(packet[from:], a.text); at >= 0 {
		return from + at
	}
	return -1
}

// findAnchors returns the strings that all packets have in common, left to right.
func findAnchors(packets [][]byte, common map[uint32]bool) []anchor {
	reference := mostCommon(packets, common)
	f := anchorFinder{reference: reference, packets: packets, from: make([]int, len(packets))}
	for i := 0; i+gram <= len(reference); i++ {
		if !common[gramAt(reference, i)] {
			continue
		}
		end := i + gram
		for end < len(reference) && common[gramAt(reference, end+1-gram)] {
			end++
		}
		f.add(max(i, f.end), end) // strings that overlap may both be common, and what joins them not
		i = end - gram
	}
	return f.anchors
}

// anchorFinder collects anchors; from is where the last one ended in each packet.
type anchorFinder struct {
	reference []byte
	packets   [][]byte
	from      []int
	end       int // of the last anchor in the reference
	anchors   []anchor
}

// add takes reference[i:end] as an anchor, or else what of its halves can be one.
func (f *anchorFinder) add(i, end int) {
	if end-i < gram {
		return
	}
	a := anchor{f.reference[i:end], i - f.end}
	next := make([]int, len(f.packets))
	for p, packet := range f.packets {
		at := a.find(packet, f.from[p])
		if at < 0 {
			middle := (i + end) / 2
			f.add(i, middle)
			f.add(max(middle, f.end), end)
			return
		}
		next[p] = at + len(a.text)
	}
	f.from, f.end = next, end
	f.anchors = append(f.anchors, a)
}

// commonGrams returns the strings of gram bytes that at least least of the packets have.
func commonGrams(packets [][]byte, least int32) map[uint32]bool {
	type seen struct{ packets, last int32 }
	grams := map[uint32]seen{}
	for p, packet := range packets {
		for i := 0; i+gram <= len(packet); i++ {
			g := gramAt(packet, i)
			s := grams[g]
			if s.last != int32(p+1) {
				grams[g] = seen{s.packets + 1, int32(p + 1)}
			}
		}
	}
	common := map[uint32]bool{}
	for g, s := range grams {
		if s.packets >= least {
			common[g] = true
		}
	}
	return common
}

// mostCommon returns the first packet with the largest share of common strings.
func mostCommon(packets [][]byte, common map[uint32]bool) []byte {
	var best []byte
	most := -1.0
	for _, packet := range packets {
		n := 0
		for i := 0; i+gram <= len(packet); i++ {
			if common[gramAt(packet, i)] {
				n++
			}
		}
		if share := float64(n) / float64(len(packet)+1); share > most {
			best, most = packet, share
		}
	}
	return best
}

func gramAt(b []byte, i int) uint32 { return binary.BigEndian.Uint32(b[i:]) }

// evenly returns at most n of x, evenly spaced.
func evenly[T any](x []T, n int) []T {
	if len(x) <= n {
		return x
	}
	spaced := make([]T, n)
	for i := range spaced {
		spaced[i] = x[i*len(x)/n]
	}
	return spaced
}

// cut cuts the packets that have all anchors: a gap, an anchor, a gap, ..., a gap. Without anchors, packets are cut
// where the shortest ends.
func cut(packets [][]byte, anchors []anchor) (a *aligned, unfit [][]byte) {
	a = &aligned{fixed: make([]bool, 2*len(anchors)+1)}
	begin := 0
	if len(anchors) == 0 {
		a.fixed = make([]bool, 2)
		begin = shortest(packets)
	}
packets:
	for _, packet := range packets {
		cuts, from := []int32{0}, 0
		for _, anchor := range anchors {
			at := anchor.find(packet, from)
			if at < 0 {
				unfit = append(unfit, packet)
				continue packets
			}
			from = at + len(anchor.text)
			cuts = append(cuts, int32(at), int32(from))
		}
		if len(anchors) == 0 {
			cuts = append(cuts, int32(begin))
		}
		a.packets, a.cuts = append(a.packets, packet), append(a.cuts, append(cuts, int32(len(packet))))
	}
	for part := range a.fixed {
		a.fixed[part] = !slices.ContainsFunc(a.cuts, func(cuts []int32) bool {
			return cuts[part+1]-cuts[part] != a.cuts[0][part+1]-a.cuts[0][part]
		})
	}
	return a, unfit
}

// merged joins neighbouring parts of fixed length.
func (a *aligned) merged() *aligned {
	m := &aligned{packets: a.packets, cuts: make([][]int32, len(a.cuts)), list: a.list}
	for part, fixed := range a.fixed {
		if part > 0 && fixed && a.fixed[part-1] {
			continue
		}
		m.fixed = append(m.fixed, fixed)
		for p := range m.cuts {
			m.cuts[p] = append(m.cuts[p], a.cuts[p][part])
		}
	}
	for p, packet := range m.packets {
		m.cuts[p] = append(m.cuts[p], int32(len(packet)))
	}
	return m
}
