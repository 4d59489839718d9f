package inject

import (
	"encoding/binary"
	"hash/maphash"

	"pacgan-appliance/internal/packet"
)

// tuple names a conversation's flow: addresses and ports.
type tuple struct {
	src, dst         [16]byte
	srcPort, dstPort uint16
}

func tupleOf(p packet.IP) tuple {
	s := packet.TCP(p.Payload())
	return tuple{p.Src().As16(), p.Dst().As16(), s.SrcPort(), s.DstPort()}
}

// isnTick is the clock's, in nanoseconds. RFC 9293 says about 4 us, which a
// conversation of a tenth of a millisecond outruns; Linux's has this, too.
const isnTick = 64

// isn is the initial sequence number of RFC 9293, 3.4.1: a clock plus a keyed
// hash of the flow. So a flow that is used again begins after where it ended,
// and a server that still has it in TIME-WAIT accepts it.
func isn(secret maphash.Seed, flow tuple, now int64) uint32 {
	var b [36]byte
	copy(b[:], flow.src[:])
	copy(b[16:], flow.dst[:])
	binary.BigEndian.PutUint16(b[32:], flow.srcPort)
	binary.BigEndian.PutUint16(b[34:], flow.dstPort)
	return uint32(now/isnTick) + uint32(maphash.Bytes(secret, b[:]))
}

// A generation of stampMemory holds so many flows, for so long at most: twice
// the MSL, as TIME-WAIT lasts (RFC 9293, 3.6.1), in nanoseconds.
const (
	recentFlows = 1 << 16
	recentTime  = 4 * 60e9
)

// stampMemory remembers the timestamps that flows were last used with. A
// server that closed first has the flow in TIME-WAIT, and refuses a SYN with
// an older timestamp (RFC 7323, 5.3); generated timestamps come in any order.
type stampMemory struct {
	now, before map[tuple]uint32
	since       int64 // when now began, monotonic
}

// mayOffer reports whether a SYN of the flow may carry value at a time, and
// remembers it if so.
func (m *stampMemory) mayOffer(flow tuple, value uint32, at int64) bool {
	if m.now == nil || len(m.now) >= recentFlows || at-m.since >= recentTime {
		m.before, m.now, m.since = m.now, map[tuple]uint32{}, at
	}
	last, known := m.now[flow]
	if !known {
		last, known = m.before[flow]
	}
	if known && int32(value-last) < 0 {
		return false
	}
	m.now[flow] = value
	return true
}
