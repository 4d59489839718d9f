package capture

import (
	"bytes"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// testFrame is a frame and what it is.
type testFrame struct {
	name  string
	bytes []byte
}

func mustSerialize(tb testing.TB, stack ...gopacket.SerializableLayer) []byte {
	tb.Helper()
	buffer := gopacket.NewSerializeBuffer()
	options := gopacket.SerializeOptions{FixLengths: true}
	if err := gopacket.SerializeLayers(buffer, options, stack...); err != nil {
		tb.Fatal(err)
	}
	return bytes.Clone(buffer.Bytes())
}

func ethernet(etherType layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2},
		EthernetType: etherType}
}

func tag(id uint16, inner layers.EthernetType) *layers.Dot1Q {
	return &layers.Dot1Q{VLANIdentifier: id, Type: inner}
}

func ipv4(protocol layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 64, Protocol: protocol,
		SrcIP: net.IP{10, 77, 1, 2}, DstIP: net.IP{10, 77, 2, 3}}
}

func ip6layer(protocol layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: protocol,
		SrcIP: net.ParseIP("2001:db8::1"), DstIP: net.ParseIP("2001:db8::2")}
}

func udp(src, dst layers.UDPPort) *layers.UDP { return &layers.UDP{SrcPort: src, DstPort: dst} }

func echo(kind uint8) *layers.ICMPv4 {
	return &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(kind, 0), Id: 7, Seq: 1}
}

func payload(n int) gopacket.Payload { return bytes.Repeat([]byte{'x'}, n) }

// goodFrames are what a network carries.
func goodFrames(tb testing.TB) []testFrame {
	ip4, ip6, vlan := layers.EthernetTypeIPv4, layers.EthernetTypeIPv6, layers.EthernetTypeDot1Q
	syn := &layers.TCP{SrcPort: 40000, DstPort: 80, SYN: true, Window: 64240, Seq: 1 << 31}
	get := &layers.TCP{SrcPort: 40000, DstPort: 80, ACK: true, PSH: true, Seq: 1<<31 + 1, Ack: 9,
		Options: []layers.TCPOption{{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: make([]byte, 8)}}}
	request := gopacket.Payload("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	fragment := ipv4(layers.IPProtocolUDP)
	fragment.FragOffset = 185
	withOptions := ipv4(layers.IPProtocolUDP)
	withOptions.Options = []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}}}
	arp := &layers.ARP{AddrType: 1, Protocol: ip4, HwAddressSize: 6, ProtAddressSize: 4, Operation: 1,
		SourceHwAddress: make([]byte, 6), SourceProtAddress: make([]byte, 4),
		DstHwAddress: make([]byte, 6), DstProtAddress: make([]byte, 4)}
	multicast := ipv4(layers.IPProtocolUDP)
	multicast.DstIP = net.IP{224, 0, 0, 251}
	return []testFrame{
		{"echo request", mustSerialize(tb, ethernet(ip4), ipv4(layers.IPProtocolICMPv4), echo(8), payload(56))},
		{"echo reply", mustSerialize(tb, ethernet(ip4), ipv4(layers.IPProtocolICMPv4), echo(0), payload(56))},
		{"dns query", mustSerialize(tb, ethernet(ip4), ipv4(layers.IPProtocolUDP), udp(50000, 53), payload(35))},
		{"dns reply", mustSerialize(tb, ethernet(ip4), ipv4(layers.IPProtocolUDP), udp(53, 50000), payload(60))},
		{"mdns", mustSerialize(tb, ethernet(ip4), multicast, udp(5353, 5353), payload(60))},
		{"syn", mustSerialize(tb, ethernet(ip4), ipv4(layers.IPProtocolTCP), syn)},
		{"get", mustSerialize(tb, ethernet(ip4), ipv4(layers.IPProtocolTCP), get, request)},
		{"get, padded", append(mustSerialize(tb, ethernet(ip4), ipv4(layers.IPProtocolTCP), get, request), 0, 0)},
		{"full segment", mustSerialize(tb, ethernet(ip4), ipv4(layers.IPProtocolTCP), get, payload(1448))},
		{"fragment", mustSerialize(tb, ethernet(ip4), fragment, payload(40))},
		{"ip options", mustSerialize(tb, ethernet(ip4), withOptions, udp(50000, 53), payload(20))},
		{"arp", mustSerialize(tb, ethernet(layers.EthernetTypeARP), arp)},
		{"vlan get", mustSerialize(tb, ethernet(vlan), tag(100, ip4), ipv4(layers.IPProtocolTCP), get, request)},
		{"q in q ping", mustSerialize(tb, ethernet(vlan), tag(100, vlan), tag(200, ip4), ipv4(layers.IPProtocolICMPv4), echo(8))},
		{"ipv6 dns", mustSerialize(tb, ethernet(ip6), ip6layer(layers.IPProtocolUDP), udp(50000, 53), payload(30))},
		{"ipv6 echo", mustSerialize(tb, ethernet(ip6), ip6layer(layers.IPProtocolICMPv6),
			gopacket.Payload{128, 0, 0, 0, 0, 1, 0, 1})},
	}
}

// hostileFrames are what nobody should send: cut anywhere, lengths that lie, noise.
func hostileFrames(tb testing.TB) []testFrame {
	random := rand.New(rand.NewPCG(1, 2))
	var out []testFrame
	for _, good := range goodFrames(tb) {
		for _, n := range []int{14, 15, 18, 33, 34, 41, 53} {
			if n < len(good.bytes) {
				out = append(out, testFrame{good.name + ", cut", good.bytes[:n]})
			}
		}
		for range 20 {
			lying := bytes.Clone(good.bytes)
			for range 1 + random.IntN(4) { // any header byte may lie
				lying[12+random.IntN(min(50, len(lying)-12))] = byte(random.Uint32())
			}
			out = append(out, testFrame{good.name + ", lying", lying})
		}
		noOptions := bytes.Clone(good.bytes)
		noOptions[14] = 0x4f // IHL of 60 bytes, whatever is there
		out = append(out, testFrame{good.name + ", IHL 15", noOptions})
	}
	for _, n := range []int{14, 60, 1514} {
		noise := make([]byte, n)
		for i := range noise {
			noise[i] = byte(random.Uint32())
		}
		out = append(out, testFrame{"noise", noise}, testFrame{"zeros", make([]byte, n)},
			testFrame{"ones", bytes.Repeat([]byte{0xff}, n)})
	}
	return out
}
