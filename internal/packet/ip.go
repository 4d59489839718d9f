package packet

import (
	"encoding/binary"
	"net/netip"
)

// IP protocol numbers (IANA) whose headers this package knows.
const (
	ProtoICMP   = 1
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoICMPv6 = 58
)

const (
	minIPv4HeaderLen = 20
	icmpHeaderLen    = 8
	udpHeaderLen     = 8
	minTCPHeaderLen  = 20
)

// IP is a view of an IPv4 (RFC 791) or IPv6 packet (RFC 8200), from its first
// header byte to its last byte. Its methods may be called once ParseIP has
// accepted it.
type IP []byte

// ParseIP checks that b can be framed as it is: version 4 or 6, lengths in
// the header that agree with len(b), and, in a first fragment, a transport
// header whose own lengths agree with what is there. It looks at lengths
// only; all other fields may hold anything. The error is a *FramingError.
func ParseIP(b []byte) (IP, error) {
	if len(b) < minIPv4HeaderLen {
		return nil, malformed("%d bytes are shorter than an IP header", len(b))
	}
	p := IP(b)
	check := checkIPv4
	switch p.Version() {
	case 4:
	case 6:
		check = checkIPv6
	default:
		return nil, malformed("IP version %d", p.Version())
	}
	if err := check(b); err != nil {
		return nil, err
	}
	if p.FragmentOffset() != 0 {
		return p, nil
	}
	if err := checkTransport(p.Protocol(), p.Payload(), p.MoreFragments()); err != nil {
		return nil, err
	}
	return p, nil
}

func checkIPv4(b []byte) error {
	p := IP(b)
	if h := p.HeaderLen(); h < minIPv4HeaderLen || h > len(b) {
		return malformed("header length %d of %d bytes", h, len(b))
	}
	if t := p.TotalLen(); t != len(b) {
		return malformed("total length %d of %d bytes", t, len(b))
	}
	return nil
}

// checkTransport compares the lengths inside a transport header with the
// bytes l4 that are there. Only the first part of a fragmented datagram may be
// shorter than its UDP length says.
func checkTransport(protocol uint8, l4 []byte, fragmented bool) error {
	switch protocol {
	case ProtoICMP, ProtoICMPv6:
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

// Version is 4 or 6.
func (p IP) Version() int { return int(p[0] >> 4) }

// HeaderLen is the header's length in bytes, options or extension headers
// included.
func (p IP) HeaderLen() int {
	if p.Version() == 6 {
		return p.extensions().end
	}
	return int(p[0]&0x0f) * 4
}

// TOS is the type-of-service byte, or IPv6's traffic class: DSCP and ECN (RFC
// 2474, RFC 3168).
func (p IP) TOS() uint8 {
	if p.Version() == 6 {
		return p[0]<<4 | p[1]>>4
	}
	return p[1]
}

// TotalLen is the packet's length in bytes as its header states it.
func (p IP) TotalLen() int {
	if p.Version() == 6 {
		return ipv6HeaderLen + int(binary.BigEndian.Uint16(p[4:]))
	}
	return int(binary.BigEndian.Uint16(p[2:]))
}

// ID is IPv4's identification field; 0 in IPv6.
func (p IP) ID() uint16 {
	if p.Version() == 6 {
		return 0
	}
	return binary.BigEndian.Uint16(p[4:])
}

// DontFragment is IPv4's DF flag; IPv6 routers never fragment.
func (p IP) DontFragment() bool { return p.Version() == 6 || p[6]&0x40 != 0 }

// MoreFragments says that the datagram's rest follows in others.
func (p IP) MoreFragments() bool {
	if p.Version() == 6 {
		return p.extensions().fragment&1 != 0
	}
	return p[6]&0x20 != 0
}

// FragmentOffset is the fragment's place in its datagram, in bytes.
func (p IP) FragmentOffset() int {
	if p.Version() == 6 {
		return int(p.extensions().fragment &^ 7)
	}
	return int(binary.BigEndian.Uint16(p[6:])&0x1fff) * 8
}

// TTL is the time to live, or IPv6's hop limit, in hops.
func (p IP) TTL() uint8 {
	if p.Version() == 6 {
		return p[7]
	}
	return p[8]
}

// Protocol is the number of the transport protocol.
func (p IP) Protocol() uint8 {
	if p.Version() == 6 {
		return p.extensions().protocol
	}
	return p[9]
}

// Src is the source address.
func (p IP) Src() netip.Addr {
	if p.Version() == 6 {
		return netip.AddrFrom16([16]byte(p[8:24]))
	}
	return netip.AddrFrom4([4]byte(p[12:16]))
}

// Dst is the destination address.
func (p IP) Dst() netip.Addr {
	if p.Version() == 6 {
		return netip.AddrFrom16([16]byte(p[24:40]))
	}
	return netip.AddrFrom4([4]byte(p[16:20]))
}

// Payload is the transport header and its data.
func (p IP) Payload() []byte { return p[p.HeaderLen():] }

// L4Data is what follows the transport header; for a protocol this package
// does not know, or a later fragment, it is the whole payload.
func (p IP) L4Data() []byte {
	l4 := p.Payload()
	if p.FragmentOffset() != 0 {
		return l4
	}
	switch p.Protocol() {
	case ProtoICMP, ProtoICMPv6:
		return l4[icmpHeaderLen:]
	case ProtoUDP:
		return l4[udpHeaderLen:]
	case ProtoTCP:
		return l4[TCP(l4).HeaderLen():]
	}
	return l4
}
