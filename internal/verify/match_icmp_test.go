package verify

import (
	"bytes"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

var pingData = []byte("0123456789abcdefghijklmnopqrstuvwxyz-")

func icmpLayer(icmpType, code uint8, id, seq uint16) *layers.ICMPv4 {
	return &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(icmpType, code), Id: id, Seq: seq}
}

func mustEcho(tb testing.TB, id, seq uint16, data []byte) []byte {
	tb.Helper()
	return mustReply(tb, layers.IPProtocolICMPv4, icmpLayer(0, 0, id, seq), gopacket.Payload(data))
}

func echoKey(data []byte) matchExpectKey { return replyKey(kindEcho, 1, 77, 3, 0, payloadHash(data)) }

func TestMatchEcho(t *testing.T) {
	frame := mustEcho(t, 77, 3, pingData)
	optioned := ipFrom(server, client, layers.IPProtocolICMPv4)
	optioned.Options = []layers.IPv4Option{{OptionType: 7, OptionLength: 7, OptionData: []byte{4, 0, 0, 0, 0}}, {OptionType: 0}}
	long := bytes.Repeat([]byte("long"), 366)
	fragment := bytes.Clone(frame)
	fragment[20] |= 0x20
	truncated := bytes.Clone(frame)
	truncated[17]++ // total length
	tagged := append(append(bytes.Clone(frame[:12]), 0x81, 0, 0, 5), frame[12:]...)
	noVersion := bytes.Clone(frame)
	noVersion[14] = 0x65
	key := echoKey(pingData)
	runMatchCases(t, []matchCase{
		{name: "answered", key: key, expect: pending(ping), frame: frame, action: steal, want: answered},
		{name: "label reply", key: key, expect: pending(reply), frame: frame, action: steal, want: answered},
		{name: "label dns", key: key, expect: pending(dns), frame: frame, action: steal, want: rejected("unexpected reply")},
		{name: "no data", key: echoKey(nil), expect: pending(ping), frame: mustEcho(t, 77, 3, nil), action: steal, want: answered},
		{name: "three bytes", key: echoKey([]byte("abc")), expect: pending(ping), frame: mustEcho(t, 77, 3, []byte("abc")), action: steal, want: answered},
		{name: "eight bytes", key: echoKey([]byte("abcdefgh")), expect: pending(ping), frame: mustEcho(t, 77, 3, []byte("abcdefgh")), action: steal, want: answered},
		{name: "padded", key: key, expect: pending(ping), frame: append(bytes.Clone(frame), make([]byte, 9)...), action: steal, want: answered},
		{name: "whole MTU", key: echoKey(long), expect: pending(ping), frame: mustEcho(t, 77, 3, long), action: steal, want: answered},
		{name: "IP options", key: key, expect: pending(ping), action: steal, want: answered,
			frame: mustFrame(t, optioned, icmpLayer(0, 0, 77, 3), gopacket.Payload(pingData))},
		{name: "other payload", key: key, expect: pending(ping), frame: mustEcho(t, 77, 3, bytes.ToUpper(pingData)), action: pass, want: missed},
		{name: "payload cut", key: key, expect: pending(ping), frame: mustEcho(t, 77, 3, pingData[:36]), action: pass, want: missed},
		{name: "other sequence", key: key, expect: pending(ping), frame: mustEcho(t, 77, 4, pingData), action: pass, want: missed},
		{name: "other id", key: key, expect: pending(ping), frame: mustEcho(t, 78, 3, pingData), action: pass, want: missed},
		{name: "echo request", key: key, expect: pending(ping), action: pass, want: missed,
			frame: mustReply(t, layers.IPProtocolICMPv4, icmpLayer(8, 0, 77, 3), gopacket.Payload(pingData))},
		{name: "fragment", key: key, expect: pending(ping), frame: fragment, action: pass, want: missed},
		{name: "length beyond the frame", key: key, expect: pending(ping), frame: truncated, action: pass, want: missed},
		{name: "VLAN tag", key: key, expect: pending(ping), frame: tagged, action: pass, want: missed},
		{name: "version 6", key: key, expect: pending(ping), frame: noVersion, action: pass, want: missed},
		{name: "half an ICMP header", key: key, expect: pending(ping), frame: frame[:38], action: pass, want: missed},
		{name: "late", key: key, expect: pending(ping), age: tooLate, frame: frame, action: steal, want: ends{Expired: 1, Late: 1, Stolen: 1}},
		{name: "again", key: key, expect: matchExpectation{Label: ping}, frame: frame, action: steal, want: ends{Duplicate: 1, Stolen: 1}},
		{name: "one of two", key: key, expect: matchExpectation{Label: ping, State: 2}, frame: frame, action: steal,
			want: ends{Answered: 1, Inflight: 1, Stolen: 1}},
	})
}

// mustQuoting is an ICMP error about a packet of the client's.
func mustQuoting(tb testing.TB, icmpType, code uint8, quoted []byte) []byte {
	tb.Helper()
	ip := ipFrom("10.77.2.1", client, layers.IPProtocolICMPv4)
	return mustFrame(tb, ip, icmpLayer(icmpType, code, 0, 0), gopacket.Payload(quoted))
}

// request cuts the Ethernet header off a frame of the client's.
func mustRequest(tb testing.TB, protocol layers.IPProtocol, above ...gopacket.SerializableLayer) []byte {
	tb.Helper()
	return mustFrame(tb, ipFrom(client, server, protocol), above...)[14:]
}

func TestMatchICMPErrors(t *testing.T) {
	echo := mustRequest(t, layers.IPProtocolICMPv4, icmpLayer(8, 0, 77, 3), gopacket.Payload(pingData))
	query := mustRequest(t, layers.IPProtocolUDP, &layers.UDP{SrcPort: 4000, DstPort: 53}, question(9, "www.lab.test"))
	datagram := mustRequest(t, layers.IPProtocolUDP, &layers.UDP{SrcPort: 4000, DstPort: 123}, gopacket.Payload(pingData))
	syn := mustRequest(t, layers.IPProtocolTCP, &layers.TCP{SrcPort: 4000, DstPort: 80, Seq: 1, SYN: true})
	iss := uint32(ourISS)
	earlier := mustRequest(t, layers.IPProtocolTCP, &layers.TCP{SrcPort: 4000, DstPort: 80, Seq: iss - 1, ACK: true})
	spoken := mustRequest(t, layers.IPProtocolTCP, &layers.TCP{SrcPort: 4000, DstPort: 80, Seq: iss + 1, ACK: true}, gopacket.Payload("GET"))
	gre := mustRequest(t, layers.IPProtocolGRE, gopacket.Payload(pingData))
	optioned := ipFrom(client, server, layers.IPProtocolICMPv4)
	optioned.Options = []layers.IPv4Option{{OptionType: 1}, {OptionType: 1}, {OptionType: 1}, {OptionType: 0}}
	echoOptioned := mustFrame(t, optioned, icmpLayer(8, 0, 77, 3), gopacket.Payload(pingData))[14:]
	key := echoKey(pingData)
	flow := replyKey(kindFlow, 17, 123, 4000, 0, 0)
	runMatchCases(t, []matchCase{
		{name: "host unreachable", key: key, expect: pending(ping), frame: mustQuoting(t, 3, 1, echo), action: steal, want: rejected("icmp host-unreachable")},
		{name: "time exceeded", key: key, expect: pending(ping), frame: mustQuoting(t, 11, 0, echo), action: steal, want: rejected("icmp ttl-exceeded")},
		{name: "parameter problem", key: key, expect: pending(ping), frame: mustQuoting(t, 12, 0, echo), action: steal, want: rejected("icmp parameter-problem")},
		{name: "eight bytes quoted", key: key, expect: pending(ping), frame: mustQuoting(t, 3, 13, echo[:28]), action: steal, want: rejected("icmp prohibited")},
		{name: "options quoted", key: key, expect: pending(ping), frame: mustQuoting(t, 3, 0, echoOptioned), action: steal, want: rejected("icmp net-unreachable")},
		{name: "query", key: dnsKey(9, "www.lab.test"), expect: pending(dns), frame: mustQuoting(t, 3, 3, query), action: steal, want: rejected("icmp port-unreachable")},
		{name: "query cut", key: dnsKey(9, "www.lab.test"), expect: pending(dns), frame: mustQuoting(t, 3, 3, query[:44]), action: steal, want: rejected("icmp port-unreachable")},
		{name: "datagram", key: flow, expect: pending(reply), frame: mustQuoting(t, 3, 3, datagram), action: steal, want: rejected("icmp port-unreachable")},
		{name: "datagram, eight bytes", key: flow, expect: pending(reply), frame: mustQuoting(t, 3, 3, datagram[:28]), action: steal, want: rejected("icmp port-unreachable")},
		{name: "segment", key: replyKey(kindFlow, 6, 80, 4000, 0, 0), expect: pending(web), frame: mustQuoting(t, 3, 10, syn), action: steal, want: rejected("icmp host-prohibited")},
		{name: "a conversation's segment", key: tcpKey, expect: sent(web), frame: mustQuoting(t, 3, 1, spoken), action: steal, want: rejected("icmp host-unreachable")},
		{name: "a conversation's segment, eight bytes", key: tcpKey, expect: sent(web), frame: mustQuoting(t, 3, 1, spoken[:28]), action: steal, want: rejected("icmp host-unreachable")},
		{name: "an earlier conversation's segment", key: tcpKey, expect: sent(web), frame: mustQuoting(t, 3, 1, earlier), action: pass, want: missed},
		{name: "other protocol", key: replyKey(kindOther, 47, 0, 0, 7, 0), expect: pending(reply), frame: mustQuoting(t, 3, 2, gre), action: steal, want: rejected("icmp protocol-unreachable")},
		{name: "somebody else's", key: key, expect: pending(ping), frame: mustQuoting(t, 3, 1, syn), action: pass, want: missed},
		{name: "redirect", key: key, expect: pending(ping), frame: mustQuoting(t, 5, 1, echo), action: pass, want: missed},
		{name: "nothing quoted", key: key, expect: pending(ping), frame: mustQuoting(t, 3, 1, nil), action: pass, want: missed},
		{name: "half a header quoted", key: key, expect: pending(ping), frame: mustQuoting(t, 3, 1, echo[:10]), action: pass, want: missed},
	})
}
