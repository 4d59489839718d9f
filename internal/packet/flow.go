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

// FlowOf gives the flow of a packet that ParseIP accepted. Later fragments
// and unknown protocols have ports of zero.
func FlowOf(p IP) FlowKey {
	var src, dst uint16
	if p.FragmentOffset() == 0 {
		switch l4 := p.Payload(); p.Protocol() {
		case ProtoUDP, ProtoTCP: // both headers begin with the two ports
			src, dst = UDP(l4).SrcPort(), UDP(l4).DstPort()
		case ProtoICMP, ProtoICMPv6:
			src, dst = ICMPPorts(p.Protocol(), ICMP(l4).Type(), ICMP(l4).Code())
		}
	}
	return FlowKey{
		Protocol: p.Protocol(),
		Src:      netip.AddrPortFrom(p.Src(), src),
		Dst:      netip.AddrPortFrom(p.Dst(), dst),
	}
}

// icmpAnswers maps ICMP types that expect an answer to the answer's type, as
// the community-id specification lists them; the other way round it holds too.
func icmpAnswers(protocol uint8) [][2]uint8 {
	if protocol == ProtoICMPv6 {
		return [][2]uint8{{128, 129}, {130, 131}, {133, 134}, {135, 136}, {139, 140}, {144, 145}}
	}
	return [][2]uint8{{8, 0}, {9, 10}, {13, 14}, {15, 16}, {17, 18}}
}

// icmpCounterpart is the type of the answer, or of what is answered.
func icmpCounterpart(protocol, icmpType uint8) (counterpart uint8, ok bool) {
	for _, pair := range icmpAnswers(protocol) {
		switch icmpType {
		case pair[0]:
			return pair[1], true
		case pair[1]:
			return pair[0], true
		}
	}
	return 0, false
}

// ICMPPorts are a message's community-id ports: its type and its counterpart,
// or type and code of a one-way message.
func ICMPPorts(protocol, icmpType, code uint8) (src, dst uint16) {
	if counterpart, ok := icmpCounterpart(protocol, icmpType); ok {
		return uint16(icmpType), uint16(counterpart)
	}
	return uint16(icmpType), uint16(code)
}

// CommunityID is the flow's community id, version 1, the same in both
// directions (https://github.com/corelight/community-id-spec).
func CommunityID(seed uint16, k FlowKey) string {
	digest := communityDigest(seed, k)
	return "1:" + base64.StdEncoding.EncodeToString(digest[:])
}

// CommunityIDs are the flow's community id, version 1 and seed 0, and a number
// from the same digest, below 2^51: like it the same in both directions, and
// whole in every reader of JSON.
func CommunityIDs(k FlowKey) (id string, number uint64) {
	digest := communityDigest(0, k)
	var text [30]byte
	copy(text[:], "1:")
	base64.StdEncoding.Encode(text[2:], digest[:])
	return string(text[:]), binary.BigEndian.Uint64(digest[:]) >> 13
}

func communityDigest(seed uint16, k FlowKey) [sha1.Size]byte {
	if k.swap() {
		k = k.Reverse()
	}
	var room [40]byte
	buf := binary.BigEndian.AppendUint16(room[:0], seed)
	for _, a := range [2]netip.Addr{k.Src.Addr(), k.Dst.Addr()} {
		if a.Is4() {
			four := a.As4()
			buf = append(buf, four[:]...)
			continue
		}
		sixteen := a.As16()
		buf = append(buf, sixteen[:]...)
	}
	buf = append(buf, k.Protocol, 0)
	switch k.Protocol {
	case ProtoICMP, ProtoICMPv6, ProtoTCP, ProtoUDP:
		buf = binary.BigEndian.AppendUint16(buf, k.Src.Port())
		buf = binary.BigEndian.AppendUint16(buf, k.Dst.Port())
	}
	return sha1.Sum(buf)
}

// swap reports whether the specification's order puts the destination first:
// the smaller endpoint leads, but a one-way ICMP message keeps its direction.
func (k FlowKey) swap() bool {
	if k.Protocol == ProtoICMP || k.Protocol == ProtoICMPv6 {
		counterpart, ok := icmpCounterpart(k.Protocol, uint8(k.Src.Port()))
		if !ok || uint16(counterpart) != k.Dst.Port() {
			return false
		}
	}
	return k.Dst.Compare(k.Src) < 0
}
