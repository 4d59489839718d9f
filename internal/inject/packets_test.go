package inject_test

import (
	"encoding/binary"
	"net/netip"
	"os"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"pacgan-appliance/internal/packet"
)

func forward(tb testing.TB) {
	tb.Helper()
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
		tb.Fatal(err)
	}
}

func addr(s string) []byte { return netip.MustParseAddr(s).AsSlice() }

// mustPacket builds an IPv4 packet with gopacket, checksums zeroed as a model
// would give it.
func mustPacket(tb testing.TB, src, dst string, protocol layers.IPProtocol, above ...gopacket.SerializableLayer) []byte {
	tb.Helper()
	ip := &layers.IPv4{
		Version: 4, TTL: 63, Id: 0x1234, Flags: layers.IPv4DontFragment, Protocol: protocol,
		SrcIP: addr(src), DstIP: addr(dst),
	}
	buf := gopacket.NewSerializeBuffer()
	all := append([]gopacket.SerializableLayer{ip}, above...)
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true}, all...); err != nil {
		tb.Fatal(err)
	}
	packet.ZeroChecksums(buf.Bytes())
	return buf.Bytes()
}

func mustPing(tb testing.TB, src, dst string, id, seq uint16, data string) labelled {
	tb.Helper()
	return labelled{ping, mustPacket(tb, src, dst, layers.IPProtocolICMPv4,
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: id, Seq: seq}, gopacket.Payload(data))}
}

// pings are n echo requests from the client, no two alike.
func pings(tb testing.TB, n int, dst string) []labelled {
	tb.Helper()
	list := make([]labelled, n)
	for i := range list {
		data := make([]byte, 56)
		binary.BigEndian.PutUint32(data, uint32(i))
		list[i] = mustPing(tb, "10.77.1.11", dst, uint16(i>>8), uint16(i&0xff), string(data))
	}
	return list
}

// mustQuery is a DNS query for a name's address.
func mustQuery(tb testing.TB, id, port uint16, name string) labelled {
	tb.Helper()
	return labelled{dns, mustPacket(tb, "10.77.1.11", dnsServer, layers.IPProtocolUDP,
		&layers.UDP{SrcPort: layers.UDPPort(port), DstPort: 53}, mustQuestion(id, name))}
}

func mustQuestion(id uint16, name string) *layers.DNS {
	return &layers.DNS{
		ID: id, RD: true, QDCount: 1,
		Questions: []layers.DNSQuestion{{Name: []byte(name), Type: layers.DNSTypeA, Class: layers.DNSClassIN}},
	}
}

// mustRequest is the segment of a GET, as a host in the middle of a connection sends it.
func mustRequest(tb testing.TB, port uint16, request string) labelled {
	tb.Helper()
	return labelled{web, mustPacket(tb, "10.77.1.11", webServer, layers.IPProtocolTCP,
		&layers.TCP{SrcPort: layers.TCPPort(port), DstPort: 80, Seq: 0x11223344, Ack: 0x55667788, ACK: true, PSH: true,
			Window: 502, Options: timestampOptions(uint32(port) * 77)},
		gopacket.Payload(request))}
}

func timestampOptions(value uint32) []layers.TCPOption {
	data := binary.BigEndian.AppendUint32(nil, value)
	nop := layers.TCPOption{OptionType: layers.TCPOptionKindNop}
	return []layers.TCPOption{nop, nop, {OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10,
		OptionData: binary.BigEndian.AppendUint32(data, 0xdeadbeef)}}
}
