package packet

import (
	"encoding/binary"
	"net/netip"
)

// IP protocol numbers (IANA) whose headers this package knows.
const (
	ProtoICMP = 1
	ProtoTCP  = 6
	ProtoUDP  = 17
)

const (
	minIPv4HeaderLen = 20
	icmpHeaderLen    = 8
	udpHeaderLen     = 8
	minTCPHeaderLen  = 20
)

// IPv4 is a view of an IPv4 packet (RFC 791), from its first header byte to
// its last byte. Its methods may be called once ParseIPv4 has accepted it.
type IPv4 []byte

// ParseIPv4 checks that b can be framed as it is: version 4, header and total
// length that agree with len(b), and, in a first fragment, a transport header
// whose own lengths agree with what is there. It looks at lengths only; all
// other fields may hold anything. The error is a *FramingError.
func ParseIPv4(b []byte) (IPv4, error) {
	if len(b) < minIPv4HeaderLen {
		return nil, malformed("%d bytes are shorter than an IPv4 header", len(b))
	}
	if v := b[0] >> 4; v != 4 {
		return nil, malformed("IP version %d", v)
	}
	p := IPv4(b)
	if h := p.HeaderLen(); h < minIPv4HeaderLen || h > len(b) {
		return nil, malformed("header length %d of %d bytes", h, len(b))
	}
	if t := p.TotalLen(); t != len(b) {
		return nil, malformed("total length %d of %d bytes", t, len(b))
	}
	if p.FragmentOffset() != 0 {
		return p, nil
	}
	if err := checkTransport(p.Protocol(), p.Payload(), p.MoreFragments()); err != nil {
		return nil, err
	}
	return p, nil
}

// checkTransport compares the lengths inside a transport header with the
// bytes l4 that are there. Only the first part of a fragmented datagram may be
// shorter than its UDP length says.
func checkTransport(protocol uint8, l4 []byte, fragmented bool) error {
	switch protocol {
	case ProtoICMP:
		if len(l4) < icmpHeaderLen {
			return malformed("%d bytes are shorter than an ICMP header", len(l4))
		}
	case ProtoUDP:
		if len(l4) < udpHeaderLen {
			return malformed("%d bytes are shorter than a UDP header", len(l4))
		}
		n := int(binary.BigEndian.Uint16(l4[4:]))
		if n != len(l4) && (!fragmented || n < len(l4)) {
			return malformed("UDP length %d of %d bytes", n, len(l4))
		}
	case ProtoTCP:
		if len(l4) < minTCPHeaderLen {
			return malformed("%d bytes are shorter than a TCP header", len(l4))
		}
		if n := TCP(l4).HeaderLen(); n < minTCPHeaderLen || n > len(l4) {
			return malformed("TCP header length %d of %d bytes", n, len(l4))
		}
	}
	return nil
}

// HeaderLen is the header's length in bytes, options included.
func (p IPv4) HeaderLen() int { return int(p[0]&0x0f) * 4 }

// TOS is the type-of-service byte: DSCP and ECN (RFC 2474, RFC 3168).
func (p IPv4) TOS() uint8 { return p[1] }

// TotalLen is the packet's length in bytes as its header states it.
func (p IPv4) TotalLen() int { return int(binary.BigEndian.Uint16(p[2:])) }

// ID is the identification field.
func (p IPv4) ID() uint16 { return binary.BigEndian.Uint16(p[4:]) }

// DontFragment is the DF flag.
func (p IPv4) DontFragment() bool { return p[6]&0x40 != 0 }

// MoreFragments is the MF flag.
func (p IPv4) MoreFragments() bool { return p[6]&0x20 != 0 }

// FragmentOffset is the fragment's place in its datagram, in bytes.
func (p IPv4) FragmentOffset() int { return int(binary.BigEndian.Uint16(p[6:])&0x1fff) * 8 }

// TTL is the time to live, in hops.
func (p IPv4) TTL() uint8 { return p[8] }

// Protocol is the number of the transport protocol.
func (p IPv4) Protocol() uint8 { return p[9] }

// Src is the source address.
func (p IPv4) Src() netip.Addr { return netip.AddrFrom4([4]byte(p[12:16])) }

// Dst is the destination address.
func (p IPv4) Dst() netip.Addr { return netip.AddrFrom4([4]byte(p[16:20])) }

// Payload is the transport header and its data.
func (p IPv4) Payload() []byte { return p[p.HeaderLen():] }

// L4Data is what follows the transport header; for a protocol this package
// does not know, or a later fragment, it is the whole payload.
func (p IPv4) L4Data() []byte {
	l4 := p.Payload()
	if p.FragmentOffset() != 0 {
		return l4
	}
	switch p.Protocol() {
	case ProtoICMP:
		return l4[icmpHeaderLen:]
	case ProtoUDP:
		return l4[udpHeaderLen:]
	case ProtoTCP:
		return l4[TCP(l4).HeaderLen():]
	}
	return l4
}
