package packet

import "encoding/binary"

// Offsets in bytes of the checksum fields, each from its own header's start.
const (
	ipv4ChecksumOffset = 10
	icmpChecksumOffset = 2
	udpChecksumOffset  = 6
	tcpChecksumOffset  = 16
)

// RepairChecksums computes the checksums of a packet in place: IPv4's header's,
// and ICMP's, UDP's or TCP's where the packet is not a fragment (a fragment's
// transport checksum covers bytes that are not here). It changes nothing else
// and allocates nothing. Packets that ParseIP refuses are left alone and its
// error is returned.
func RepairChecksums(b []byte) error {
	p, err := ParseIP(b)
	if err != nil {
		return err
	}
	if p.Version() == 4 {
		put(b[ipv4ChecksumOffset:], 0)
		put(b[ipv4ChecksumOffset:], fold(sum(b[:p.HeaderLen()], 0)))
	}
	if p.MoreFragments() || p.FragmentOffset() != 0 {
		return nil
	}
	l4 := p.Payload()
	offset, ok := l4ChecksumOffset(p.Protocol())
	if !ok {
		return nil
	}
	put(l4[offset:], 0)
	var acc uint64
	if p.Protocol() != ProtoICMP {
		acc = pseudoHeader(p)
	}
	check := fold(sum(l4, acc))
	if p.Protocol() == ProtoUDP && check == 0 {
		check = 0xffff // zero on the wire means "no checksum" (RFC 768)
	}
	put(l4[offset:], check)
	return nil
}

// ZeroChecksums clears the checksum fields that RepairChecksums would write,
// in place, and as far as the bytes reach: it accepts what ParseIP refuses.
func ZeroChecksums(b []byte) {
	for _, at := range checksumOffsets(b) {
		if at > 0 {
			put(b[at:], 0)
		}
	}
}

// Checksums are the fields that RepairChecksums would write, as far as the
// bytes reach: equal before and after a repair that changed nothing.
func Checksums(b []byte) (fields [2]uint16) {
	for i, at := range checksumOffsets(b) {
		if at > 0 {
			fields[i] = binary.BigEndian.Uint16(b[at:])
		}
	}
	return fields
}

// checksumOffsets are where the header's and the transport's checksums are; 0:
// there is none, or the bytes end before it.
func checksumOffsets(b []byte) (at [2]int) {
	p := IP(b)
	switch {
	case len(b) >= minIPv4HeaderLen && p.Version() == 4:
		at[0] = ipv4ChecksumOffset
		if p.HeaderLen() < minIPv4HeaderLen {
			return at
		}
	case len(b) >= ipv6HeaderLen && p.Version() == 6:
		if !p.extensions().ok {
			return at
		}
	default:
		return at
	}
	offset, ok := l4ChecksumOffset(p.Protocol())
	if !ok || p.MoreFragments() || p.FragmentOffset() != 0 {
		return at
	}
	if end := p.HeaderLen() + offset; end+2 <= len(b) {
		at[1] = end
	}
	return at
}

func l4ChecksumOffset(protocol uint8) (offset int, ok bool) {
	switch protocol {
	case ProtoICMP, ProtoICMPv6:
		return icmpChecksumOffset, true
	case ProtoUDP:
		return udpChecksumOffset, true
	case ProtoTCP:
		return tcpChecksumOffset, true
	}
	return 0, false
}

// pseudoHeader sums the addresses, the protocol and the segment's length
// (RFC 9293, section 3.1; the same for UDP in RFC 768, and for all of IPv6 in
// RFC 8200, section 8.1).
func pseudoHeader(p IP) uint64 {
	addresses := p[12:20]
	if p.Version() == 6 {
		addresses = p[8:40]
	}
	acc := sum(addresses, 0)
	return acc + uint64(p.Protocol()) + uint64(len(p)-p.HeaderLen())
}

// sum adds the 16-bit big-endian words of b to acc (RFC 1071), four bytes at
// a time: the carries stay in the upper half until fold.
func sum(b []byte, acc uint64) uint64 {
	for len(b) >= 4 {
		acc += uint64(binary.BigEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		acc += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		acc += uint64(b[0]) << 8
	}
	return acc
}

// fold adds the carries back in and complements the result.
func fold(acc uint64) uint16 {
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return ^uint16(acc)
}

func put(b []byte, v uint16) { binary.BigEndian.PutUint16(b, v) }
