package inject

import (
	"hash/maphash"
	"net/netip"

	"pacgan-appliance/internal/packet"
)

// tuple names a conversation's flow.
type tuple struct {
	src, dst netip.AddrPort
}

func tupleOf(p packet.IPv4) tuple {
	s := packet.TCP(p.Payload())
	return tuple{netip.AddrPortFrom(p.Src(), s.SrcPort()), netip.AddrPortFrom(p.Dst(), s.DstPort())}
}

// isn is the initial sequence number of RFC 9293, 3.4.1: a clock of 4 us ticks
// plus a keyed hash of the flow. So a flow that is used again begins after
// where it ended, and a server that still has it in TIME-WAIT accepts it.
func isn(secret maphash.Seed, flow tuple, now int64) uint32 {
	return uint32(now/4000) + uint32(maphash.Comparable(secret, flow))
}
