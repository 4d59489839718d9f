package quality

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

// index holds the distinct templates of real packets: what is left of a packet
// when its freely varying bytes are cleared. Packets with the same length and
// the same free bytes share one mask, so that a query is cleared once a group.
type index struct {
	groups []*group
}

// group is the templates under one mask, all as long as it.
type group struct {
	mask   []byte // 0xff where bytes must agree, 0 where they vary freely
	stride int    // 64-bit words of one template
	words  []uint64
	place  map[string]int // template -> its number in words
	known  []bool         // by number: a training packet has it
}

// wordBytes is the number of bytes compared at once.
const wordBytes = 8

// newIndex indexes real packets; train says which of them trained the
// generator, by their number.
func newIndex(train, heldOut [][]byte) *index {
	x := &index{}
	byMask := make(map[string]*group)
	add := func(packets [][]byte, known bool) {
		for _, p := range packets {
			mask := maskOf(p)
			g := byMask[string(mask)]
			if g == nil {
				g = &group{mask: mask, stride: (len(mask) + wordBytes - 1) / wordBytes, place: make(map[string]int)}
				byMask[string(mask)] = g
				x.groups = append(x.groups, g)
			}
			g.add(p, known)
		}
	}
	add(train, true)
	add(heldOut, false)
	return x
}

func maskOf(p []byte) []byte {
	mask := bytes.Repeat([]byte{0xff}, len(p))
	for _, s := range freeSpans(p) {
		clear(mask[s.from:s.to])
	}
	return mask
}

func (g *group) add(p []byte, known bool) {
	template := g.clearFree(nil, p)
	n, ok := g.place[string(template)]
	if !ok {
		n = len(g.known)
		g.place[string(template)] = n
		g.known = append(g.known, false)
		g.words = appendWords(g.words, template)
	}
	g.known[n] = g.known[n] || known
}

// clearFree appends to dst the bytes of p that the mask reaches, with the free
// ones cleared.
func (g *group) clearFree(dst, p []byte) []byte {
	for i := range min(len(p), len(g.mask)) {
		dst = append(dst, p[i]&g.mask[i])
	}
	return dst
}

// appendWords appends b, filled up with zeros, eight bytes a word.
func appendWords(words []uint64, b []byte) []uint64 {
	for len(b) >= wordBytes {
		words = append(words, binary.LittleEndian.Uint64(b))
		b = b[wordBytes:]
	}
	if len(b) > 0 {
		var last [wordBytes]byte
		copy(last[:], b)
		words = append(words, binary.LittleEndian.Uint64(last[:]))
	}
	return words
}

// finder asks an index. It keeps its buffers from one query to the next.
type finder struct {
	index  *index
	order  []*group
	masked []byte
	words  []uint64
}

// find gives the distance in bytes from p to the nearest template, 0 where
// there is none at all, and whether a training packet has p's own template.
func (f *finder) find(p []byte) (distance int, known bool) {
	exact := false
	for _, g := range f.index.groups {
		if len(g.mask) != len(p) {
			continue
		}
		f.masked = g.clearFree(f.masked[:0], p)
		if n, ok := g.place[string(f.masked)]; ok {
			exact = true
			known = known || g.known[n]
		}
	}
	if exact {
		return 0, known
	}
	return f.nearest(p), false
}

func (f *finder) nearest(p []byte) int {
	f.order = append(f.order[:0], f.index.groups...)
	slices.SortStableFunc(f.order, func(a, b *group) int {
		return cmp.Compare(lengthGap(p, a), lengthGap(p, b))
	})
	best := math.MaxInt
	for _, g := range f.order {
		gap := lengthGap(p, g)
		if gap >= best {
			break
		}
		f.masked = g.clearFree(f.masked[:0], p)
		f.words = appendWords(f.words[:0], f.masked)
		differ, _ := g.nearest(f.words, len(f.masked), best-gap)
		best = min(best, gap+differ)
	}
	if best == math.MaxInt {
		return 0
	}
	return best
}

func lengthGap(p []byte, g *group) int {
	if len(p) > len(g.mask) {
		return len(p) - len(g.mask)
	}
	return len(g.mask) - len(p)
}

// nearest is the smallest number of differing bytes among the first n between
// query and any template, and that template's number; limit where none is below it.
func (g *group) nearest(query []uint64, n, limit int) (differing, number int) {
	if len(query) == 0 {
		return 0, 0
	}
	tail := ^uint64(0) // of the last word only the bytes that the query has count
	if rest := n % wordBytes; rest != 0 {
		tail = 1<<(8*rest) - 1
	}
	last := len(query) - 1
	for at := 0; at < len(g.words); at += g.stride {
		template := g.words[at : at+len(query)]
		differ := differingBytes((template[last] ^ query[last]) & tail)
		for i := 0; i < last && differ < limit; i++ {
			differ += differingBytes(template[i] ^ query[i])
		}
		if differ < limit {
			limit, number = differ, at/g.stride
		}
	}
	return limit, number
}

// differingBytes counts the bytes of x that are not zero: adding 0x7f to the
// low seven bits of each carries into its top bit if any of them is set.
func differingBytes(x uint64) int {
	const low7, top = 0x7f7f7f7f7f7f7f7f, 0x8080808080808080
	return bits.OnesCount64(((x&low7 + low7) | x) & top)
}

// nearest measures what the templates of real packets say: ByteError,
// TemplateNovelty, and what both are of held-out packets.
func (r *Report) nearest(ctx context.Context, generated, train, heldOut [][]byte) error {
	var err error
	if r.N.ByteErrors, r.N.NovelTemplates, err = findAll(ctx, newIndex(train, heldOut), generated); err != nil {
		return err
	}
	if len(train) > 0 {
		if r.N.ByteErrorsReal, r.N.NovelTemplatesReal, err = findAll(ctx, newIndex(train, nil), heldOut); err != nil {
			return err
		}
	} else {
		r.N.NovelTemplatesReal = len(heldOut)
	}
	r.ByteError = share(r.N.ByteErrors, r.N.Generated)
	r.ByteErrorReal = share(r.N.ByteErrorsReal, r.N.HeldOut)
	r.TemplateNovelty = share(r.N.NovelTemplates, r.N.Generated)
	r.TemplateNoveltyReal = share(r.N.NovelTemplatesReal, r.N.HeldOut)
	return nil
}

// findAll sums the distances of packets to the index, and counts those whose
// template no training packet has.
func findAll(ctx context.Context, x *index, packets [][]byte) (distance, novel int, err error) {
	f := finder{index: x}
	for _, p := range packets {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		d, known := f.find(p)
		distance += d
		if !known {
			novel++
		}
	}
	return distance, novel, nil
}
