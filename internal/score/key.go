package score

import (
	"encoding/base64"
	"net/netip"

	"pacgan-appliance/internal/packet"
	"pacgan-appliance/internal/truth"
)

// key names a flow, the same in both directions. It holds no pointers: tables
// of millions are of no concern to the garbage collector.
type key struct {
	low, high [16]byte // addresses, the smaller first
	ports     [2]uint16
	protocol  uint8 // 0: no flow
}

// byCommunity is the protocol of a key that stands for a community id.
const byCommunity = 255

// keyOf is the key of a flow. ICMP's is the same for both directions, whichever
// end a log calls the source: request and reply are both types of one pair.
func keyOf(f packet.FlowKey) key {
	if f.Protocol == 0 || !f.Src.Addr().IsValid() || !f.Dst.Addr().IsValid() {
		return key{}
	}
	k := key{low: f.Src.Addr().As16(), high: f.Dst.Addr().As16(), ports: [2]uint16{f.Src.Port(), f.Dst.Port()}, protocol: f.Protocol}
	icmp := f.Protocol == packet.ProtoICMP || f.Protocol == packet.ProtoICMPv6
	if order := compare(&k.low, &k.high); order > 0 || order == 0 && k.ports[0] > k.ports[1] {
		k.low, k.high = k.high, k.low
		k.ports[0], k.ports[1] = k.ports[1], k.ports[0]
	}
	if icmp && k.ports[0] > k.ports[1] {
		k.ports[0], k.ports[1] = k.ports[1], k.ports[0]
	}
	return k
}

// reversed tells a flow's two directions apart: of ICMP by the type, since logs
// change its addresses' places.
func reversed(f packet.FlowKey) bool {
	if f.Protocol == packet.ProtoICMP || f.Protocol == packet.ProtoICMPv6 {
		return f.Src.Port() > f.Dst.Port()
	}
	return f.Src.Compare(f.Dst) > 0
}

// single reports whether a truth record about the key is one packet and its
// answer, and not a conversation.
func (k key) single() bool {
	return k.protocol == packet.ProtoUDP || k.protocol == packet.ProtoICMP || k.protocol == packet.ProtoICMPv6
}

// recordKey is the key of a truth record's flow, and its direction.
func recordKey(r *truth.Record) (k key, back bool) {
	f := packet.FlowKey{Src: netip.AddrPortFrom(r.SrcIP, r.SrcPort), Dst: netip.AddrPortFrom(r.DestIP, r.DestPort)}
	switch r.Proto {
	case "TCP":
		f.Protocol = packet.ProtoTCP
	case "UDP":
		f.Protocol = packet.ProtoUDP
	case "ICMP", "IPv6-ICMP":
		f.Protocol = packet.ProtoICMP
		if r.Proto == "IPv6-ICMP" {
			f.Protocol = packet.ProtoICMPv6
		}
		src, dst := packet.ICMPPorts(f.Protocol, r.ICMPType, r.ICMPCode)
		f.Src, f.Dst = netip.AddrPortFrom(r.SrcIP, src), netip.AddrPortFrom(r.DestIP, dst)
	}
	return keyOf(f), reversed(f)
}

func compare(a, b *[16]byte) int {
	return netip.AddrFrom16(*a).Compare(netip.AddrFrom16(*b))
}

// communityKey is the key of a community id, version 1; the zero key where it
// is none.
func communityKey(id []byte) key {
	var digest [21]byte // 20, and what base64 may claim of the padding
	if len(id) != 30 || string(id[:2]) != "1:" {
		return key{}
	}
	n, err := base64.StdEncoding.Decode(digest[:], id[2:])
	if err != nil || n != 20 {
		return key{}
	}
	k := key{protocol: byCommunity}
	copy(k.low[:], digest[:16])
	copy(k.high[:], digest[16:20])
	return k
}
