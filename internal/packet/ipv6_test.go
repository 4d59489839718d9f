package packet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

func ipv6Layer(next layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{
		Version: 6, TrafficClass: 0x28, FlowLabel: 0xabcde, HopLimit: 63, NextHeader: next,
		SrcIP: netip.MustParseAddr("fd77:1::11").AsSlice(), DstIP: netip.MustParseAddr("fd77:2::53").AsSlice(),
	}
}

func mustPing6(tb testing.TB, data string) []byte {
	tb.Helper()
	ip := ipv6Layer(layers.IPProtocolICMPv6)
	icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(128, 0)}
	if err := icmp.SetNetworkLayerForChecksum(ip); err != nil {
		tb.Fatal(err)
	}
	return mustSerialize(tb, ip, icmp, &layers.ICMPv6Echo{Identifier: 7, SeqNumber: 3}, gopacket.Payload(data))
}

func mustUDP6(tb testing.TB, data string) []byte {
	tb.Helper()
	ip, udp := ipv6Layer(layers.IPProtocolUDP), &layers.UDP{SrcPort: 40000, DstPort: 53}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		tb.Fatal(err)
	}
	return mustSerialize(tb, ip, udp, gopacket.Payload(data))
}

func mustTCP6(tb testing.TB, data string) []byte {
	tb.Helper()
	ip, tcp := ipv6Layer(layers.IPProtocolTCP), &layers.TCP{SrcPort: 40001, DstPort: 80, Seq: 1, Ack: 2, Window: 502, PSH: true, ACK: true}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		tb.Fatal(err)
	}
	return mustSerialize(tb, ip, tcp, gopacket.Payload(data))
}

// extend puts extension headers between the fixed header and what follows.
// Each begins with a zero byte for the number of what follows it.
func extend(b []byte, numbers []byte, headers ...[]byte) []byte {
	out := bytes.Clone(b[:ipv6HeaderLen])
	last := out[6]
	for i, h := range headers {
		h = bytes.Clone(h)
		h[0] = last
		if i+1 < len(headers) {
			h[0] = numbers[i+1]
		}
		out = append(out, h...)
	}
	if len(numbers) > 0 {
		out[6] = numbers[0]
	}
	out = append(out, b[ipv6HeaderLen:]...)
	binary.BigEndian.PutUint16(out[4:], uint16(len(out)-ipv6HeaderLen))
	return out
}

// Extension headers of eight and sixteen bytes: padding options only.
func hopByHop() []byte    { return []byte{0, 0, 1, 4, 0, 0, 0, 0} }
func destination() []byte { return []byte{0, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} }
func authenticate() []byte {
	return []byte{0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2} // three words: (1 + 2) * 4 bytes
}
func fragment(offset uint16, more bool) []byte {
	h := []byte{0, 0, byte(offset >> 8), byte(offset), 0, 0, 0, 9}
	if more {
		h[3] |= 1
	}
	return h
}

func mustExtended(tb testing.TB) []byte {
	tb.Helper()
	return extend(mustUDP6(tb, "query"), []byte{0, 60, 51}, hopByHop(), destination(), authenticate())
}

func TestRepairIPv6ChecksumsAgreesWithGopacket(t *testing.T) {
	tests := []struct {
		name string
		want []byte
	}{
		{"ping", mustPing6(t, "abcdefgh")},
		{"ping, odd length", mustPing6(t, "abc")},
		{"udp", mustUDP6(t, "query")},
		{"tcp", mustTCP6(t, "GET / HTTP/1.1\r\n\r\n")},
		{"extension headers", mustExtended(t)}, // no part of the sum
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := bytes.Clone(tt.want)
			ZeroChecksums(got)
			if bytes.Equal(got, tt.want) || Checksums(got) == Checksums(tt.want) {
				t.Fatal("ZeroChecksums changed nothing: the test would prove nothing")
			}
			if err := RepairChecksums(got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("repaired packet (-want +got):\n%s", diff)
			}
			if n := testing.AllocsPerRun(100, func() { _ = RepairChecksums(got) }); n != 0 {
				t.Errorf("%v allocations a packet, want 0", n)
			}
		})
	}
}

func TestParseIPv6Malformed(t *testing.T) {
	udp := mustUDP6(t, "query")
	many := make([][]byte, 9)
	numbers := make([]byte, 9)
	for i := range many {
		many[i], numbers[i] = destination(), 60
	}
	cut := extend(udp, []byte{60}, destination())
	cut[41] = 250 // longer than the packet
	tests := []struct {
		name string
		give []byte
		want string
	}{
		{"cut in the header", udp[:39], "malformed packet: 39 bytes are shorter than an IPv6 header"},
		{"payload length", udp[:len(udp)-1], "malformed packet: payload length 13 of 12 bytes"},
		{"nine extension headers", extend(udp, numbers, many...), "malformed packet: IPv6 extension headers are cut, or more than 8"},
		{"extension header beyond the end", cut, "malformed packet: IPv6 extension headers are cut, or more than 8"},
		{"udp length", func() []byte { b := bytes.Clone(udp); b[45] = 9; return b }(), "malformed packet: UDP length 9 of 13 bytes"},
		{"udp short", func() []byte { b := bytes.Clone(udp[:44]); b[5] = 4; return b }(), "malformed packet: 4 bytes are shorter than a UDP header"},
		{"icmp short", func() []byte { b := bytes.Clone(mustPing6(t, "")[:44]); b[5] = 4; return b }(), "malformed packet: 4 bytes are shorter than an ICMP header"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseIP(tt.give)
			if _, ok := errors.AsType[*FramingError](err); !ok {
				t.Fatalf("error %v is no *FramingError", err)
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIPv6Views(t *testing.T) {
	type fields struct {
		Version, Header, Total, Offset, TTL, Protocol, TOS int
		MF                                                 bool
		Src, Dst, Data                                     string
	}
	udp := mustUDP6(t, "query")
	tests := []struct {
		name string
		give []byte
		want fields
	}{
		{"plain", udp, fields{6, 40, 53, 0, 63, ProtoUDP, 0x28, false, "fd77:1::11", "fd77:2::53", "query"}},
		{"extension headers", mustExtended(t), fields{6, 76, 89, 0, 63, ProtoUDP, 0x28, false, "fd77:1::11", "fd77:2::53", "query"}},
		{"first fragment", extend(udp, []byte{44}, fragment(0, true)),
			fields{6, 48, 61, 0, 63, ProtoUDP, 0x28, true, "fd77:1::11", "fd77:2::53", "query"}},
		{"later fragment", extend(udp, []byte{44}, fragment(1448, false)),
			fields{6, 48, 61, 1448, 63, ProtoUDP, 0x28, false, "fd77:1::11", "fd77:2::53", string(udp[40:])}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := ParseIP(tt.give)
			if err != nil {
				t.Fatal(err)
			}
			got := fields{
				p.Version(), p.HeaderLen(), p.TotalLen(), p.FragmentOffset(), int(p.TTL()), int(p.Protocol()), int(p.TOS()),
				p.MoreFragments(), p.Src().String(), p.Dst().String(), string(p.L4Data()),
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCommunityIDOfIPv6 holds vectors of the specification's reference
// implementation.
func TestCommunityIDOfIPv6(t *testing.T) {
	key := func(protocol uint8, src, dst string) FlowKey {
		return FlowKey{protocol, netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)}
	}
	tests := []struct {
		name string
		give FlowKey
		want string
	}{
		{"neighbour solicitation", key(ProtoICMPv6, "[fe80::200:86ff:fe05:80da]:135", "[fe80::260:97ff:fe07:69ea]:0"), "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="},
		{"its advertisement", key(ProtoICMPv6, "[fe80::260:97ff:fe07:69ea]:136", "[fe80::200:86ff:fe05:80da]:0"), "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if c, ok := icmpCounterpart(ProtoICMPv6, uint8(tt.give.Src.Port())); ok { // as FlowOf gives it
				tt.give.Dst = netip.AddrPortFrom(tt.give.Dst.Addr(), uint16(c))
			}
			if diff := cmp.Diff(tt.want, CommunityID(0, tt.give)); diff != "" {
				t.Errorf("community id (-want +got):\n%s", diff)
			}
		})
	}
}
