package inject

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// mustIPv6 builds an IPv6 packet from fd77:1::11.
func mustIPv6(tb testing.TB, dst string, protocol layers.IPProtocol, above ...gopacket.SerializableLayer) []byte {
	tb.Helper()
	ip := &layers.IPv6{
		Version: 6, HopLimit: 63, NextHeader: protocol,
		SrcIP: netip.MustParseAddr("fd77:1::11").AsSlice(), DstIP: netip.MustParseAddr(dst).AsSlice(),
	}
	for _, l := range above {
		if c, ok := l.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			if err := c.SetNetworkLayerForChecksum(ip); err != nil {
				tb.Fatal(err)
			}
		}
	}
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, append([]gopacket.SerializableLayer{ip}, above...)...); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func mustEcho6(tb testing.TB, dst, data string) []byte {
	tb.Helper()
	return mustIPv6(tb, dst, layers.IPProtocolICMPv6, &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(128, 0)},
		&layers.ICMPv6Echo{Identifier: 77, SeqNumber: 3}, gopacket.Payload(data))
}

// behind puts an extension header (RFC 8200, 4) before what the packet has
// behind its fixed header.
func behind(ip []byte, number byte, header ...byte) []byte {
	const fixed = 40
	out := append(bytes.Clone(ip[:fixed]), header...)
	out[fixed], out[6] = ip[6], number
	out = append(out, ip[fixed:]...)
	binary.BigEndian.PutUint16(out[4:], uint16(len(out)-fixed))
	return out
}

func TestGuardIPv6(t *testing.T) {
	const inside, outside = "fd77:2::80", "fd77:3::80"
	echo := mustEcho6(t, inside, "0123456789")
	query := mustIPv6(t, inside, layers.IPProtocolUDP, &layers.UDP{SrcPort: 4000, DstPort: 53},
		&layers.DNS{ID: 9, QDCount: 1, Questions: []layers.DNSQuestion{{Name: []byte("a.test"), Type: 28, Class: 1}}})
	syn := mustIPv6(t, inside, layers.IPProtocolTCP, &layers.TCP{SrcPort: 4000, DstPort: 80, Seq: 5, SYN: true})
	options := behind(echo, 60, 0, 0, 1, 4, 0, 0, 0, 0)
	for range 8 {
		options = behind(options, 60, 0, 0, 1, 4, 0, 0, 0, 0)
	}
	long := behind(echo, 60, 0, 200, 1, 4, 0, 0, 0, 0) // longer than the packet
	asIPv4 := frameOf(echo, single, labelEcho)
	binary.BigEndian.PutUint16(asIPv4[12:], 0x0800)
	payload := bytes.Clone(echo)
	payload[5]--
	mappedSource := bytes.Clone(echo)
	mapped := netip.MustParseAddr("::ffff:10.77.1.11").As16()
	copy(mappedSource[8:], mapped[:])
	pass := guardPassage{Expected: 1, OnWire: 1}
	blocked := guardPassage{Blocked: 1}
	tests := []struct {
		name   string
		frame  []byte
		action uint32
		label  int
		want   guardPassage
	}{
		{"echo", frameOf(echo, single, labelEcho), redirect, labelEcho, pass},
		{"query", frameOf(query, single, labelDNS), redirect, labelDNS, pass},
		{"SYN", frameOf(syn, metaOpens|metaConversation, labelHTTP), redirect, labelHTTP, guardPassage{Expected: 1}},
		{"hop-by-hop options", frameOf(behind(echo, 0, 0, 0, 1, 4, 0, 0, 0, 0), single, labelEcho), redirect, labelEcho, pass},
		{"fragment", frameOf(behind(echo, 44, 0, 0, 0, 1, 0, 0, 0, 9), single, labelEcho), redirect, labelEcho, pass},
		{"authentication header", frameOf(behind(echo, 51, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2), single, labelEcho), redirect, labelEcho, pass},
		{"routing header", frameOf(behind(echo, 43, 0, 0, 4, 0, 0, 0, 0, 0), single, labelEcho), drop, labelEcho, blocked},
		{"nine extension headers", frameOf(options, single, labelEcho), drop, labelEcho, blocked},
		{"extension header beyond the end", frameOf(long, single, labelEcho), drop, labelEcho, blocked},
		{"destination outside", frameOf(mustEcho6(t, outside, "x"), single, labelEcho), drop, labelEcho, blocked},
		{"multicast", frameOf(mustEcho6(t, "ff02::1", "x"), single, labelEcho), drop, labelEcho, blocked},
		{"allowed IPv4 address, mapped", frameOf(mustEcho6(t, "::ffff:10.77.2.80", "x"), single, labelEcho), drop, labelEcho, blocked},
		{"mapped source", frameOf(mappedSource, single, labelEcho), drop, labelEcho, blocked},
		{"in a frame that says IPv4", asIPv4, drop, labelEcho, blocked},
		{"bytes behind the packet", append(frameOf(echo, single, labelEcho), 0), drop, labelEcho, blocked},
		{"payload length", frameOf(payload, single, labelEcho), drop, labelEcho, blocked},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := mustGuard(t, 1000, "10.77.2.0/24", "fd77:2::/64")
			action, out, err := in.guard.Guard.Test(tt.frame)
			if err != nil {
				t.Fatal(err)
			}
			if action != tt.action {
				t.Errorf("action %d, want %d", action, tt.action)
			}
			want := bytes.Clone(tt.frame)
			if tt.action == redirect {
				copy(want[6:12], wireMAC)
			}
			if diff := cmp.Diff(want, out); diff != "" {
				t.Errorf("frame (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, passageOf(t, in, tt.label), ignoreLayout); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
		})
	}
}

// TestGuardRefusesSourceRoutes: an IPv4 packet may name addresses to pass
// after the one that is allowed (RFC 791).
func TestGuardRefusesSourceRoutes(t *testing.T) {
	address := []byte{4, 198, 18, 0, 1}
	nop, end := layers.IPv4Option{OptionType: 1}, layers.IPv4Option{OptionType: 0}
	route := func(kind uint8) layers.IPv4Option {
		return layers.IPv4Option{OptionType: kind, OptionLength: 7, OptionData: address}
	}
	tests := []struct {
		name    string
		options []layers.IPv4Option
		want    uint32
	}{
		{"record route", []layers.IPv4Option{route(7), end}, redirect},
		{"loose", []layers.IPv4Option{route(131), end}, drop},
		{"strict", []layers.IPv4Option{route(137), end}, drop},
		{"strict, behind others", []layers.IPv4Option{nop, nop, route(7), nop, route(137), nop, nop}, drop},
		{"behind the end of the list", []layers.IPv4Option{end, route(131)}, redirect},
		{"an option of no length", []layers.IPv4Option{{OptionType: 7, OptionLength: 7, OptionData: make([]byte, 5)}, end}, redirect},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ip := &layers.IPv4{
				Version: 4, TTL: 9, Protocol: layers.IPProtocolICMPv4, SrcIP: net.IPv4(10, 77, 1, 11), DstIP: net.IPv4(10, 77, 2, 80),
				Options: tt.options,
			}
			b := mustIPOf(t, ip, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0)})
			if tt.name == "an option of no length" {
				b[21] = 0
			}
			in := mustGuard(t, 1000, "10.77.2.0/24")
			action, _, err := in.guard.Guard.Test(frameOf(b, single, labelEcho))
			if err != nil {
				t.Fatal(err)
			}
			if action != tt.want {
				t.Errorf("action %d, want %d", action, tt.want)
			}
			if got := passageOf(t, in, labelEcho).Blocked; got != uint64(map[bool]int{true: 1}[tt.want == drop]) {
				t.Errorf("%d blocked", got)
			}
		})
	}
}
