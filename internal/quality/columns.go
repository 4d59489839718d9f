package quality

import (
	"encoding/binary"
	"slices"

	"pacgan-appliance/internal/packet"
)

const (
	maxLevels    = 256  // of a column: codes are bytes
	maxPositions = 1514 // bytes of a packet that the classifier looks at
	maxPairNames = 128  // levels of a field that pairs are made of
	maxPairFrom  = 192  // columns that pairs are made of, the first of the packet
)

// column is one feature of every row, as codes below levels. In the trees'
// columns the codes keep the order of the values; in the pairs' they are names.
type column struct {
	codes  []uint8
	levels int
}

// columnsOf gives the features of packets: for the trees, the bytes, their low
// digits, the length, how the packet's own lengths agree, and the fields; for
// pairs, both digits of each byte and the fields. The freely varying bytes are
// among them. Columns that are constant, or equal to one before, are left out.
func columnsOf(rows sample) (trees, pairs []column) {
	t, p := newColumnSet(), newColumnSet()
	for f := range numFields {
		codes, levels := fieldCodes(rows.fields, f)
		t.add(codes, maxLevels)
		if levels <= maxPairNames {
			p.addNames(codes)
		}
	}
	for _, feature := range []func([]byte) int{length, ipExcess, transportExcess} {
		t.add(each(rows.packets, feature), maxLevels)
	}
	longest := 0
	for _, b := range rows.packets {
		longest = max(longest, min(len(b), maxPositions))
	}
	for i := range longest {
		whole := each(rows.packets, func(b []byte) int { return byteAt(b, i) })
		low := each(rows.packets, func(b []byte) int { return byteAt(b, i) & 0x0f })
		high := each(rows.packets, func(b []byte) int { return byteAt(b, i) >> 4 })
		t.add(whole, maxLevels)
		t.add(low, maxLevels)
		p.addNames(high)
		p.addNames(low)
	}
	return t.columns, p.columns[:min(len(p.columns), maxPairFrom)]
}

func each(packets [][]byte, feature func([]byte) int) []int {
	column := make([]int, len(packets))
	for i, b := range packets {
		column[i] = feature(b)
	}
	return column
}

// byteAt is 0 past the packet's end: the length is a feature of its own.
func byteAt(b []byte, i int) int {
	if i >= len(b) {
		return 0
	}
	return int(b[i])
}

func length(b []byte) int { return len(b) }

// ipExcess is how far the IPv4 total length is from the bytes that are there.
func ipExcess(b []byte) int {
	if len(b) < 4 {
		return 0
	}
	return int(binary.BigEndian.Uint16(b[2:])) - len(b)
}

// transportExcess is how far the UDP length is from what the IPv4 header
// leaves for it, and 0 for other protocols.
func transportExcess(b []byte) int {
	if len(b) < 20 || b[9] != packet.ProtoUDP {
		return 0
	}
	at := int(b[0]&0x0f) * 4
	if len(b) < at+6 {
		return 0
	}
	return int(binary.BigEndian.Uint16(b[at+4:])) - (len(b) - at)
}

// fieldCodes numbers the values of a field by their fixed order.
func fieldCodes(rows []values, f field) (codes []int, levels int) {
	distinct := make(map[value]int)
	for i := range rows {
		distinct[rows[i][f]] = 0
	}
	order := make([]value, 0, len(distinct))
	for v := range distinct {
		order = append(order, v)
	}
	slices.SortFunc(order, compareValues)
	for i, v := range order {
		distinct[v] = i
	}
	codes = make([]int, len(rows))
	for i := range rows {
		codes[i] = distinct[rows[i][f]]
	}
	return codes, len(order)
}

// columnSet collects distinct columns.
type columnSet struct {
	columns []column
	seen    map[string]bool
}

func newColumnSet() *columnSet { return &columnSet{seen: make(map[string]bool)} }

// add codes numbers by their rank among the distinct ones, evenly thinned to
// at most levels codes.
func (s *columnSet) add(numbers []int, levels int) {
	distinct := slices.Clone(numbers)
	slices.Sort(distinct)
	distinct = slices.Compact(distinct)
	used := min(levels, len(distinct))
	codes := make([]uint8, len(numbers))
	for i, n := range numbers {
		rank, _ := slices.BinarySearch(distinct, n)
		codes[i] = uint8(rank * used / len(distinct))
	}
	s.keep(column{codes, used})
}

// addNames codes numbers by their first appearance, so that columns that part
// the rows in the same way are equal. There must be at most 256.
func (s *columnSet) addNames(numbers []int) {
	code := make(map[int]uint8)
	codes := make([]uint8, len(numbers))
	for i, n := range numbers {
		c, ok := code[n]
		if !ok {
			c = uint8(len(code))
			code[n] = c
		}
		codes[i] = c
	}
	s.keep(column{codes, len(code)})
}

func (s *columnSet) keep(c column) {
	if c.levels < 2 || s.seen[string(c.codes)] {
		return
	}
	s.seen[string(c.codes)] = true
	s.columns = append(s.columns, c)
}
