package quality

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/net/dns/dnsmessage"

	"pacgan-appliance/internal/packet"
)

// span is a range of bytes of a packet, [from, to).
type span struct{ from, to int }

// Transport ports and numbers that the layout of a payload hangs on.
const (
	portDNS  = 53
	portMDNS = 5353

	firstClientPort = 1024 // below are the system ports (RFC 6335, section 6)

	tcpOptionEnd       = 0
	tcpOptionNop       = 1
	tcpOptionSACK      = 5
	tcpOptionTimestamp = 8

	ednsOptionCookie = 10 // RFC 7873
)

// freeSpans lists the bytes of a real packet that vary freely: those that a
// sender draws, counts or reads off a clock, so that no other packet need
// agree with them.
//
//   - IPv4: header checksum; identification (RFC 6864)
//   - IPv6: traffic class's end and flow label (RFC 6437)
//   - ICMP: checksum; of an echo or its reply the identifier, the sequence
//     number and the time that ping puts at the head of its payload
//   - UDP: checksum; the client's port
//   - TCP: checksum; the client's port; sequence and acknowledgement numbers;
//     the timestamps' and SACK's values (RFC 7323, RFC 2018)
//   - DNS over UDP: the message's id; the data of EDNS cookies (RFC 7873)
//
// The client's port is the higher of the two, from 1024 on: the other, the
// service's, has to be right. A packet that ParseIP refuses gives only its
// checksum and identification, or its flow label.
func freeSpans(b []byte) []span {
	if len(b) < 20 {
		return nil
	}
	free := []span{{4, 6}, {10, 12}}
	if b[0]>>4 == 6 {
		free = []span{{1, 4}}
	}
	p, err := packet.ParseIP(b)
	if err != nil || p.FragmentOffset() != 0 {
		return free
	}
	at, l4 := p.HeaderLen(), p.Payload()
	switch p.Protocol() {
	case packet.ProtoICMP:
		free = appendShifted(free, at, freeICMP(l4, 8, 0))
	case packet.ProtoICMPv6:
		free = appendShifted(free, at, freeICMP(l4, 128, 129))
	case packet.ProtoUDP:
		free = appendShifted(free, at, freeUDP(l4))
	case packet.ProtoTCP:
		free = appendShifted(free, at, freeTCP(l4))
	}
	return free
}

func appendShifted(spans []span, by int, more []span) []span {
	for _, s := range more {
		spans = append(spans, span{s.from + by, s.to + by})
	}
	return spans
}

func freeICMP(m packet.ICMP, request, reply uint8) []span {
	free := []span{{2, 4}}
	if m.Type() != request && m.Type() != reply {
		return free
	}
	free = append(free, span{4, 8})
	if n := pingTimeLen(m[8:]); n > 0 {
		free = append(free, span{8, 8 + n})
	}
	return free
}

// pingTimeLen is the length of the time at the head of an echo's payload: a
// struct timeval in the sender's byte order, of two 64-bit or two 32-bit
// words. It is known by its value, seconds since 2001 and under a million
// microseconds, or by iputils' filling after it, where byte i holds i.
func pingTimeLen(data []byte) int {
	for _, n := range []int{16, 8} {
		if len(data) < n {
			continue
		}
		if isTimeval(data[:n]) || (len(data) >= n+8 && countsUp(data[n:n+8], n)) {
			return n
		}
	}
	return 0
}

// isTimeval says whether the two words of b read as a time between 2001 and
// 2106 (the end of 32 bits) in either byte order.
func isTimeval(b []byte) bool {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		var seconds, micros uint64
		if len(b) == 16 {
			seconds, micros = order.Uint64(b), order.Uint64(b[8:])
		} else {
			seconds, micros = uint64(order.Uint32(b)), uint64(order.Uint32(b[4:]))
		}
		if seconds >= 1e9 && seconds < 1<<32 && micros < 1e6 {
			return true
		}
	}
	return false
}

func countsUp(b []byte, from int) bool {
	for i, v := range b {
		if v != byte(from+i) {
			return false
		}
	}
	return true
}

func freeUDP(d packet.UDP) []span {
	free := append([]span{{6, 8}}, freePort(d.SrcPort(), d.DstPort())...)
	if !isDNS(d) {
		return free
	}
	return appendShifted(free, 8, freeDNS(d[8:]))
}

// freePort is the place of the client's port in a UDP or TCP header.
func freePort(src, dst uint16) []span {
	switch {
	case src > dst && src >= firstClientPort:
		return []span{{0, 2}}
	case dst > src && dst >= firstClientPort:
		return []span{{2, 4}}
	}
	return nil
}

func isDNS(d packet.UDP) bool {
	for _, port := range []uint16{d.SrcPort(), d.DstPort()} {
		if port == portDNS || port == portMDNS {
			return true
		}
	}
	return false
}

// freeDNS finds the id and the cookies of a DNS message. The parser does not
// say where an option lies, so each is looked for by its whole bytes.
func freeDNS(msg []byte) []span {
	if len(msg) < 2 {
		return nil
	}
	free := []span{{0, 2}}
	for _, cookie := range ednsCookies(msg) {
		header := binary.BigEndian.AppendUint16(nil, ednsOptionCookie)
		header = binary.BigEndian.AppendUint16(header, uint16(len(cookie)))
		if at := bytes.LastIndex(msg, append(header, cookie...)); at >= 0 {
			free = append(free, span{at + 4, at + 4 + len(cookie)})
		}
	}
	return free
}

// ednsCookies gives the data of each cookie option in a DNS message's OPT
// records, none where the message cannot be read.
func ednsCookies(msg []byte) [][]byte {
	var p dnsmessage.Parser
	if _, err := p.Start(msg); err != nil {
		return nil
	}
	if p.SkipAllQuestions() != nil || p.SkipAllAnswers() != nil || p.SkipAllAuthorities() != nil {
		return nil
	}
	var cookies [][]byte
	for {
		h, err := p.AdditionalHeader()
		if err != nil {
			return cookies
		}
		if h.Type != dnsmessage.TypeOPT {
			if p.SkipAdditional() != nil {
				return cookies
			}
			continue
		}
		opt, err := p.OPTResource()
		if err != nil {
			return cookies
		}
		for _, option := range opt.Options {
			if option.Code == ednsOptionCookie && len(option.Data) > 0 {
				cookies = append(cookies, option.Data)
			}
		}
	}
}

func freeTCP(s packet.TCP) []span {
	free := append([]span{{4, 12}, {16, 18}}, freePort(s.SrcPort(), s.DstPort())...)
	return appendShifted(free, 20, freeTCPOptions(s.Options()))
}

func freeTCPOptions(options []byte) []span {
	var free []span
	for at := 0; at < len(options); {
		kind := options[at]
		if kind == tcpOptionEnd {
			break
		}
		if kind == tcpOptionNop {
			at++
			continue
		}
		if at+1 >= len(options) {
			break
		}
		end := at + int(options[at+1])
		if end < at+2 || end > len(options) {
			break
		}
		if kind == tcpOptionTimestamp || kind == tcpOptionSACK {
			free = append(free, span{at + 2, end})
		}
		at = end
	}
	return free
}
