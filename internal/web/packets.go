package web

import (
	"fmt"
	"strings"

	"pacgan-appliance/internal/encoding"
)

// Packets are some generated packets of a label and the real ones that they
// may be compared with: IPv4 packets with their checksums zeroed.
type Packets struct {
	Label           string
	Geometry        encoding.Geometry // of the model that generated them
	Generated, Real [][]byte
}

// comparison is a label's generated packets, each beside the nearest real one.
type comparison struct {
	Label string
	Of    int // real packets that were searched
	Pairs []pair
}

// pair is a generated packet and the nearest real one, as matrices and fields.
type pair struct {
	Real, Generated matrix
	Digits, Differ  int // hex digits of the longer packet, and how many differ
	Fields          []fieldPair
}

// matrix is a packet in the paper's encoding (its Fig. 1): a path for each
// grey, and one around the digits that differ.
type matrix struct {
	Side  int // of the square, in blocks
	Greys [encoding.Values]string
	Marks string
}

// compare pairs each generated packet with the nearest real one.
func compare(p Packets) (comparison, error) {
	c := comparison{Label: p.Label, Of: len(p.Real)}
	if len(p.Real) == 0 {
		return c, nil
	}
	for _, generated := range p.Generated {
		near := nearest(generated, p.Real)
		differ := differing(near, generated)
		one := pair{Digits: len(differ), Fields: pairFields(near, generated)}
		for _, d := range differ {
			if d {
				one.Differ++
			}
		}
		var err error
		if one.Real, err = newMatrix(p.Geometry, near, differ); err != nil {
			return c, fmt.Errorf("web: real packet of %s: %w", p.Label, err)
		}
		if one.Generated, err = newMatrix(p.Geometry, generated, differ); err != nil {
			return c, fmt.Errorf("web: generated packet of %s: %w", p.Label, err)
		}
		c.Pairs = append(c.Pairs, one)
	}
	return c, nil
}

// nearest is the packet among packets that differs from p in the fewest digits.
func nearest(p []byte, packets [][]byte) []byte {
	best, least := packets[0], distance(p, packets[0])
	for _, other := range packets[1:] {
		if d := distance(p, other); d < least {
			best, least = other, d
		}
	}
	return best
}

// distance counts the hex digits that differ; one that only one packet has does.
func distance(a, b []byte) int {
	if len(a) > len(b) {
		a, b = b, a
	}
	n := 2 * (len(b) - len(a))
	for i := range a {
		x := a[i] ^ b[i]
		if x>>4 != 0 {
			n++
		}
		if x&15 != 0 {
			n++
		}
	}
	return n
}

// differing says for each digit of the longer packet whether it differs.
func differing(a, b []byte) []bool {
	out := make([]bool, 2*max(len(a), len(b)))
	for i := range out {
		in := i / 2
		if in >= len(a) || in >= len(b) {
			out[i] = true
			continue
		}
		out[i] = (a[in]^b[in])>>(4*(1-i%2))&15 != 0
	}
	return out
}

// newMatrix draws the packet's matrix. Runs of one grey along a row are one
// step of a path; what no digit fills has no grey.
func newMatrix(g encoding.Geometry, packet []byte, differ []bool) (matrix, error) {
	elements, err := g.Encode(packet)
	if err != nil {
		return matrix{}, err
	}
	m := matrix{Side: g.N / g.D}
	var greys [encoding.Values]strings.Builder
	var marks strings.Builder
	for digit := 0; digit < 2*len(packet); {
		row, col := g.Block(digit)
		value := g.Digit(elements[row*g.N+col])
		length := 1
		for (digit+length)%m.Side != 0 && digit+length < 2*len(packet) {
			r, c := g.Block(digit + length)
			if g.Digit(elements[r*g.N+c]) != value {
				break
			}
			length++
		}
		fmt.Fprintf(&greys[value], "M%d %dh%dv1h-%dz", col/g.D, row/g.D, length, length)
		digit += length
	}
	for digit, d := range differ[:min(len(differ), g.DigitsCapacity())] {
		if d {
			row, col := g.Block(digit)
			fmt.Fprintf(&marks, "M%d %dh1v1h-1z", col/g.D, row/g.D)
		}
	}
	for i := range greys {
		m.Greys[i] = greys[i].String()
	}
	m.Marks = marks.String()
	return m, nil
}

// compareAll pairs the packets of each label; labels without both are left out.
func compareAll(source func() ([]Packets, error)) ([]comparison, error) {
	packets, err := source()
	if err != nil {
		return nil, err
	}
	var all []comparison
	for _, p := range packets {
		c, err := compare(p)
		if err != nil {
			return nil, err
		}
		if len(c.Pairs) > 0 {
			all = append(all, c)
		}
	}
	return all, nil
}
