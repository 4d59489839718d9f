package train

// pairCounter counts how often a node's packets have each pair of target's code and feature's value:
// where growing trees spends its time.
type pairCounter struct {
	k      int
	root   bool     // the node holds the first packets in their order
	codes  []uint16 // [place in the node's rows]
	bytes  []uint8  // codes * 16, while k <= 16
	column []uint8  // the node's part of a feature's column
	joint  []uint32 // [code*16 + value]
	lanes  [4][1 << 8]uint32
}

func newPairCounter(packets, values int) pairCounter {
	return pairCounter{
		codes: make([]uint16, 0, packets), bytes: make([]uint8, 0, packets), column: make([]uint8, packets),
		joint: make([]uint32, values*digitValues),
	}
}

// reset begins a node whose target has k values; root says that it is its tree's first, before any
// packet was moved.
func (c *pairCounter) reset(k int, root bool) {
	c.k, c.root, c.codes, c.bytes = k, root, c.codes[:0], c.bytes[:0]
}

// add appends the code, 0..k-1, of the node's next packet.
func (c *pairCounter) add(code uint16) {
	c.codes = append(c.codes, code)
	c.bytes = append(c.bytes, uint8(code<<4))
}

// count returns joint[code*16+value] for a feature's column, valid until the next call; rows has
// the packets in the order in which they were added.
func (c *pairCounter) count(column []uint8, rows []int32) (joint []uint32) {
	joint = c.joint[:c.k*digitValues]
	clear(joint)
	if c.k > digitValues {
		for i, r := range rows {
			joint[int(c.codes[i])*digitValues+int(column[r])]++
		}
		return joint
	}
	if c.root {
		c.countLanes(column[:len(rows)])
	} else {
		c.countLanes(c.gather(column, rows))
	}
	for i := range joint {
		joint[i] = c.lanes[0][i] + c.lanes[1][i] + c.lanes[2][i] + c.lanes[3][i]
	}
	return joint
}

// gather returns the rows of a column side by side.
func (c *pairCounter) gather(column []uint8, rows []int32) []uint8 {
	own := c.column[:len(rows)]
	for i, r := range rows {
		own[i] = column[r]
	}
	return own
}

// countLanes counts into four tables in turn: with one, a value that repeats would make each
// increment wait for the one before (measured: 2 to 8 times slower).
func (c *pairCounter) countLanes(column []uint8) {
	for lane := range c.lanes {
		clear(c.lanes[lane][:c.k*digitValues])
	}
	bytes := c.bytes[:len(column)]
	i := 0
	for ; i+4 <= len(column); i += 4 {
		c.lanes[0][bytes[i]|column[i]]++
		c.lanes[1][bytes[i+1]|column[i+1]]++
		c.lanes[2][bytes[i+2]|column[i+2]]++
		c.lanes[3][bytes[i+3]|column[i+3]]++
	}
	for ; i < len(column); i++ {
		c.lanes[0][bytes[i]|column[i]]++
	}
}
