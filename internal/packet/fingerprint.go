package packet

import (
	"encoding/binary"
	"hash/crc32"
)

const (
	dnsPort      = 53
	dnsHeaderLen = 12
)

// FingerprintOf is a digest of what tells a packet of UDP or ICMP from others
// with its addresses and ports: the CRC-32 (IEEE) of an echo's identifier,
// sequence number and data; of the id and the first question where a port is
// DNS's; of the UDP payload elsewhere; of any other ICMP message what follows
// its checksum. mirrored says that the answer has the same one. It is 0 for
// fragments and other protocols, whose packets have none.
func FingerprintOf(p IP) (digest uint32, mirrored bool) {
	if p.MoreFragments() || p.FragmentOffset() > 0 {
		return 0, false
	}
	var parts [2][]byte
	switch payload := p.Payload(); p.Protocol() {
	case ProtoICMP, ProtoICMPv6:
		parts[0] = payload[4:]
		mirrored = isEcho(p.Protocol(), ICMP(payload).Type())
	case ProtoUDP:
		d := UDP(payload)
		parts[0] = payload[udpHeaderLen:]
		if d.SrcPort() != dnsPort && d.DstPort() != dnsPort {
			break
		}
		if question := firstQuestion(parts[0]); question != nil {
			parts[0], parts[1], mirrored = parts[0][:2], question, true
		}
	default:
		return 0, false
	}
	for _, part := range parts {
		digest = crc32.Update(digest, crc32.IEEETable, part)
	}
	return max(digest, 1), mirrored
}

// isEcho is for the requests and replies of ping.
func isEcho(protocol, icmpType uint8) bool {
	if protocol == ProtoICMPv6 {
		return icmpType == 128 || icmpType == 129
	}
	return icmpType == 8 || icmpType == 0
}

// firstQuestion is a DNS message's: name, type and class; nil: it has none that
// can be read.
func firstQuestion(m []byte) []byte {
	if len(m) < dnsHeaderLen || binary.BigEndian.Uint16(m[4:]) == 0 {
		return nil
	}
	at := dnsHeaderLen
	for at < len(m) && m[at] != 0 && m[at] < 64 {
		at += 1 + int(m[at])
	}
	if at+5 > len(m) || m[at] != 0 {
		return nil
	}
	return m[dnsHeaderLen : at+5]
}
