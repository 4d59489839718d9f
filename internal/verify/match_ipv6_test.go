package verify

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

const (
	client6 = "fd77:1::11"
	server6 = "fd77:2::53"

	protocolICMPv6 = 58
)

// replyKey6 is replyKey for IPv6.
func replyKey6(kind, protocol uint8, sport, dport, id uint16, hash uint32) matchExpectKey {
	k := replyKey(kind, protocol, sport, dport, id, hash)
	k.Src, k.Dst = rawAddr(server6), rawAddr(client6)
	return k
}

func ip6From(src, dst string, protocol layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{
		Version: 6, HopLimit: 64, NextHeader: protocol,
		SrcIP: netip.MustParseAddr(src).AsSlice(), DstIP: netip.MustParseAddr(dst).AsSlice(),
	}
}

// mustReply6 is a frame from the server to the client.
func mustReply6(tb testing.TB, protocol layers.IPProtocol, above ...gopacket.SerializableLayer) []byte {
	tb.Helper()
	return append(mustEthernet6(tb), mustPacket6(tb, ip6From(server6, client6, protocol), above...)...)
}

func mustEthernet6(tb testing.TB) []byte {
	tb.Helper()
	return mustSerialize(tb, ethernet(layers.EthernetTypeIPv6))[:14]
}

func mustPacket6(tb testing.TB, ip *layers.IPv6, above ...gopacket.SerializableLayer) []byte {
	tb.Helper()
	for _, l := range above {
		if c, ok := l.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			if err := c.SetNetworkLayerForChecksum(ip); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return mustSerialize(tb, append([]gopacket.SerializableLayer{ip}, above...)...)
}

func icmp6(kind, code uint8) *layers.ICMPv6 {
	return &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(kind, code)}
}

func mustEcho6(tb testing.TB, kind uint8, id, seq uint16, data []byte) []byte {
	tb.Helper()
	return mustReply6(tb, layers.IPProtocolICMPv6, icmp6(kind, 0),
		&layers.ICMPv6Echo{Identifier: id, SeqNumber: seq}, gopacket.Payload(data))
}

// behind puts an extension header before what the frame's packet has behind
// its fixed header.
func behind(frame []byte, number byte, header ...byte) []byte {
	const fixed = 14 + 40
	out := append(bytes.Clone(frame[:fixed]), header...)
	out[fixed], out[20] = frame[20], number
	out = append(out, frame[fixed:]...)
	binary.BigEndian.PutUint16(out[18:], uint16(len(out)-fixed))
	return out
}

func TestMatchIPv6(t *testing.T) {
	echo := mustEcho6(t, 129, 77, 3, pingData)
	echoed := replyKey6(kindEcho, protocolICMPv6, 77, 3, 0, payloadHash(pingData))
	sameIPv4 := echoKey(pingData)
	short := bytes.Clone(echo)
	short[19]++ // payload length beyond the frame
	asIPv4 := bytes.Clone(echo)
	binary.BigEndian.PutUint16(asIPv4[12:], 0x0800)
	udp := &layers.UDP{SrcPort: 53, DstPort: 4000}
	message := response(9, "www.lab.test", 0, 1)
	name := mustSerialize(t, message)[12 : 12+14]
	asked := replyKey6(kindDNS, 17, 53, 4000, 9, questionHash(name, []byte{0, 1, 0, 1}))
	flow := replyKey6(kindFlow, 6, 80, 4000, 0, 0)
	iss := uint32(ourISS)
	first := func(data string) []byte {
		return mustReply6(t, layers.IPProtocolTCP, segment(theirISS+1, iss+1+request, "PA"), gopacket.Payload(data))
	}
	runMatchCases(t, []matchCase{
		{name: "echo", key: echoed, expect: pending(ping), frame: echo, action: steal, want: answered},
		{name: "echo, padded", key: echoed, expect: pending(ping), frame: append(bytes.Clone(echo), 0, 0), action: steal, want: answered},
		{name: "echo behind options", key: echoed, expect: pending(ping), frame: behind(echo, 0, 0, 0, 1, 4, 0, 0, 0, 0), action: steal, want: answered},
		{name: "echo request", key: echoed, expect: pending(ping), frame: mustEcho6(t, 128, 77, 3, pingData), action: pass, want: missed},
		{name: "ICMPv4's type", key: echoed, expect: pending(ping), frame: mustEcho6(t, 0, 77, 3, pingData), action: pass, want: missed},
		{name: "other payload", key: echoed, expect: pending(ping), frame: mustEcho6(t, 129, 77, 3, pingData[1:]), action: pass, want: missed},
		{name: "IPv4's key", key: sameIPv4, expect: pending(ping), frame: echo, action: pass, want: missed},
		{name: "fragment", key: echoed, expect: pending(ping), frame: behind(echo, 44, 0, 0, 0, 1, 0, 0, 0, 9), action: pass, want: missed},
		{name: "an only fragment", key: echoed, expect: pending(ping), frame: behind(echo, 44, 0, 0, 0, 0, 0, 0, 0, 9), action: steal, want: answered},
		{name: "payload length beyond the frame", key: echoed, expect: pending(ping), frame: short, action: pass, want: missed},
		{name: "in a frame that says IPv4", key: echoed, expect: pending(ping), frame: asIPv4, action: pass, want: missed},
		{name: "extension header cut", key: echoed, expect: pending(ping), frame: behind(echo, 60, 0, 255, 1, 4, 0, 0, 0, 0), action: pass, want: missed},
		{name: "DNS", key: asked, expect: pending(dns), frame: mustReply6(t, layers.IPProtocolUDP, udp, message), action: steal, want: answered},
		{name: "200", key: flow, expect: sent(web), frame: first("HTTP/1.1 200 OK\r\n\r\n"), action: steal, want: answered},
		{name: "404", key: flow, expect: sent(web), frame: first("HTTP/1.1 404 Not Found\r\n\r\n"), action: steal, want: rejected("http 404")},
	})
}

// TestMatchICMPv6Errors: each error finds the packet that it quotes.
func TestMatchICMPv6Errors(t *testing.T) {
	request := mustPacket6(t, ip6From(client6, server6, layers.IPProtocolUDP),
		&layers.UDP{SrcPort: 4000, DstPort: 9}, gopacket.Payload("x"))
	ping6 := mustPacket6(t, ip6From(client6, server6, layers.IPProtocolICMPv6), icmp6(128, 0),
		&layers.ICMPv6Echo{Identifier: 77, SeqNumber: 3}, gopacket.Payload(pingData))
	frame := func(kind, code uint8, quoted []byte) []byte {
		return append(mustEthernet6(t), mustPacket6(t, ip6From("fd77:2::1", client6, layers.IPProtocolICMPv6), icmp6(kind, code),
			gopacket.Payload(append(make([]byte, 4), quoted...)))...)
	}
	flow := replyKey6(kindFlow, 17, 9, 4000, 0, 0)
	echoed := replyKey6(kindEcho, protocolICMPv6, 77, 3, 0, payloadHash(pingData))
	extended := behind(append(mustEthernet6(t), request...), 60, 0, 0, 1, 4, 0, 0, 0, 0)[14:]
	runMatchCases(t, []matchCase{
		{name: "no route", key: flow, expect: pending(reply), frame: frame(1, 0, request), action: steal, want: rejected("icmp6 no-route")},
		{name: "prohibited", key: flow, expect: pending(reply), frame: frame(1, 1, request), action: steal, want: rejected("icmp6 prohibited")},
		{name: "address", key: flow, expect: pending(reply), frame: frame(1, 3, request), action: steal, want: rejected("icmp6 address-unreachable")},
		{name: "port", key: flow, expect: pending(reply), frame: frame(1, 4, request), action: steal, want: rejected("icmp6 port-unreachable")},
		{name: "too big", key: flow, expect: pending(reply), frame: frame(2, 0, request), action: steal, want: rejected("icmp6 packet-too-big")},
		{name: "hop limit", key: flow, expect: pending(reply), frame: frame(3, 0, request), action: steal, want: rejected("icmp ttl-exceeded")},
		{name: "parameter", key: flow, expect: pending(reply), frame: frame(4, 1, request), action: steal, want: rejected("icmp parameter-problem")},
		{name: "behind options", key: flow, expect: pending(reply), frame: frame(1, 4, extended), action: steal, want: rejected("icmp6 port-unreachable")},
		{name: "of a ping", key: echoed, expect: pending(ping), frame: frame(1, 3, ping6), action: steal, want: rejected("icmp6 address-unreachable")},
		{name: "of a ping, cut", key: echoed, expect: pending(ping), frame: frame(1, 3, ping6[:50]), action: steal, want: rejected("icmp6 address-unreachable")},
		{name: "cut in the addresses", key: flow, expect: pending(reply), frame: frame(1, 4, request[:30]), action: pass, want: missed},
		{name: "quotes another flow", key: replyKey6(kindFlow, 17, 10, 4000, 0, 0), expect: pending(reply), frame: frame(1, 4, request), action: pass, want: missed},
		{name: "no error", key: flow, expect: pending(reply), frame: frame(135, 0, request), action: pass, want: missed},
	})
}
