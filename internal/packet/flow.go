package packet

import (
	"crypto/sha1" // the community-id specification asks for SHA-1; nothing is secured by it
	"encoding/base64"
	"encoding/binary"
	"net/netip"
)

// FlowKey names a flow in one direction. For ICMP, which has no ports, both
// ports are the message's community-id ports: the type and its counterpart.
type FlowKey struct {
	Protocol uint8
	Src, Dst netip.AddrPort
}

// Reverse is the key of the flow's other direction.
func (k FlowKey) Reverse() FlowKey {
	return FlowKey{Protocol: k.Protocol, Src: k.Dst, Dst: k.Src}
}

// FlowOf gives the flow of a packet that ParseIPv4 accepted. Later fragments
// and unknown protocols have ports of zero.
func FlowOf(p IPv4) FlowKey {
	var src, dst uint16
	if p.FragmentOffset() == 0 {
		switch l4 := p.Payload(); p.Protocol() {
		case ProtoUDP, ProtoTCP: // both headers begin with the two ports
			src, dst = UDP(l4).SrcPort(), UDP(l4).DstPort()
		case ProtoICMP:
			src, dst, _ = icmpPorts(ICMP(l4))
		}
	}
	return FlowKey{
		Protocol: p.Protocol(),
		Src:      netip.AddrPortFrom(p.Src(), src),
		Dst:      netip.AddrPortFrom(p.Dst(), dst),
	}
}

// icmpCounterpart maps each ICMP type that expects an answer to the answer's
// type, as the community-id specification lists them.
func icmpCounterpart(icmpType uint8) (answer uint8, ok bool) {
	switch icmpType {
	case 0:
		return 8, true
	case 8:
		return 0, true
	case 9:
		return 10, true
	case 10:
		return 9, true
	case 13:
		return 14, true
	case 14:
		return 13, true
	case 15:
		return 16, true
	case 16:
		return 15, true
	case 17:
		return 18, true
	case 18:
		return 17, true
	}
	return 0, false
}

// icmpPorts gives the type and its counterpart in the place of ports, or type
// and code for a one-way message.
func icmpPorts(m ICMP) (src, dst uint16, twoWay bool) {
	if answer, ok := icmpCounterpart(m.Type()); ok {
		return uint16(m.Type()), uint16(answer), true
	}
	return uint16(m.Type()), uint16(m.Code()), false
}

// CommunityID is the flow's community id, version 1, the same in both
// directions (https://github.com/corelight/community-id-spec).
func CommunityID(seed uint16, k FlowKey) string {
	if k.swap() {
		k = k.Reverse()
	}
	var b [16]byte
	binary.BigEndian.PutUint16(b[:], seed)
	src, dst := k.Src.Addr().As4(), k.Dst.Addr().As4()
	copy(b[2:], src[:])
	copy(b[6:], dst[:])
	b[10] = k.Protocol
	buf := b[:12]
	if k.Protocol == ProtoICMP || k.Protocol == ProtoTCP || k.Protocol == ProtoUDP {
		buf = binary.BigEndian.AppendUint16(buf, k.Src.Port())
		buf = binary.BigEndian.AppendUint16(buf, k.Dst.Port())
	}
	digest := sha1.Sum(buf)
	return "1:" + base64.StdEncoding.EncodeToString(digest[:])
}

// swap reports whether the specification's order puts the destination first:
// the smaller endpoint leads, but a one-way ICMP message keeps its direction.
func (k FlowKey) swap() bool {
	if k.Protocol == ProtoICMP {
		answer, ok := icmpCounterpart(uint8(k.Src.Port()))
		if !ok || uint16(answer) != k.Dst.Port() {
			return false
		}
	}
	return k.Dst.Compare(k.Src) < 0
}
