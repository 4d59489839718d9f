package packet

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"pacgan-appliance/internal/bounded"
)

// mustSerialize builds bytes from layers with right lengths and checksums:
// gopacket is the oracle of everything in this package.
func mustSerialize(tb testing.TB, ls ...gopacket.SerializableLayer) []byte {
	tb.Helper()
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, ls...); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func ipv4Layer(protocol layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{
		Version: 4, TTL: 63, Id: 0xbeef, Flags: layers.IPv4DontFragment, Protocol: protocol,
		SrcIP: net.IPv4(10, 77, 1, 11), DstIP: net.IPv4(10, 77, 2, 53),
	}
}

func mustPing(tb testing.TB, data string) []byte {
	tb.Helper()
	return mustSerialize(tb, ipv4Layer(layers.IPProtocolICMPv4),
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 7, Seq: 3}, gopacket.Payload(data))
}

func mustUDP(tb testing.TB, data string) []byte {
	tb.Helper()
	ip := ipv4Layer(layers.IPProtocolUDP)
	udp := &layers.UDP{SrcPort: 40000, DstPort: 53}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		tb.Fatal(err)
	}
	return mustSerialize(tb, ip, udp, gopacket.Payload(data))
}

func mustTCP(tb testing.TB, data string) []byte {
	tb.Helper()
	ip := ipv4Layer(layers.IPProtocolTCP)
	ip.Options = []layers.IPv4Option{{OptionType: 1}, {OptionType: 1}, {OptionType: 1}, {OptionType: 0}}
	tcp := &layers.TCP{
		SrcPort: 40001, DstPort: 80, Seq: 0x01020304, Ack: 0x05060708, Window: 502, PSH: true, ACK: true,
		Options: []layers.TCPOption{{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: make([]byte, 8)}},
	}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		tb.Fatal(err)
	}
	return mustSerialize(tb, ip, tcp, gopacket.Payload(data))
}

func TestRepairChecksumsAgreesWithGopacket(t *testing.T) {
	gre := mustSerialize(t, ipv4Layer(layers.IPProtocolGRE), gopacket.Payload("no checksum of ours"))
	tests := []struct {
		name string
		want []byte
	}{
		{"ping", mustPing(t, "abcdefgh")},
		{"ping, odd length", mustPing(t, "abc")},
		{"ping, no data", mustPing(t, "")},
		{"udp", mustUDP(t, "query")},
		{"udp, empty", mustUDP(t, "")},
		{"tcp with IP and TCP options", mustTCP(t, "GET / HTTP/1.1\r\n\r\n")},
		{"other protocol", gre},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := bytes.Clone(tt.want)
			ZeroChecksums(got)
			if bytes.Equal(got, tt.want) {
				t.Fatal("ZeroChecksums changed nothing: the test would prove nothing")
			}
			if err := RepairChecksums(got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("repaired packet (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRepairChecksumsZeroUDP finds a datagram whose sum is zero, which the
// wire writes as 0xffff (RFC 768).
func TestRepairChecksumsZeroUDP(t *testing.T) {
	b := mustUDP(t, "xx")
	for v := range 1 << 16 {
		b[28], b[29] = byte(v>>8), byte(v)
		if err := RepairChecksums(b); err != nil {
			t.Fatal(err)
		}
		if b[26] == 0 && b[27] == 0 {
			t.Fatalf("payload %#04x: checksum 0 says that there is none", v)
		}
	}
}

func TestRepairChecksumsLeavesFragments(t *testing.T) {
	b := mustUDP(t, "first fragment")
	b[6] |= 0x20 // more fragments
	want := bytes.Clone(b[26:28])
	if err := RepairChecksums(b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b[26:28]); diff != "" {
		t.Errorf("a fragment's UDP checksum (-want +got):\n%s", diff)
	}
}

func TestChecksumsAllocateNothing(t *testing.T) {
	b := mustTCP(t, "GET / HTTP/1.1\r\n\r\n")
	if n := testing.AllocsPerRun(100, func() {
		ZeroChecksums(b)
		if err := RepairChecksums(b); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a packet, want 0", n)
	}
}

func TestParseIPMalformed(t *testing.T) {
	edit := func(b []byte, at int, v byte) []byte {
		b = bytes.Clone(b)
		b[at] = v
		return b
	}
	ping, udp, tcp := mustPing(t, "abcdefgh"), mustUDP(t, "query"), mustTCP(t, "x")
	tests := []struct {
		name string
		give []byte
		want string
	}{
		{"empty", nil, "malformed packet: 0 bytes are shorter than an IP header"},
		{"version", edit(ping, 0, 0x75), "malformed packet: IP version 7"},
		{"header too short", edit(ping, 0, 0x44), "malformed packet: header length 16 of 36 bytes"},
		{"header too long", edit(ping, 0, 0x4f), "malformed packet: header length 60 of 36 bytes"},
		{"total length", edit(ping, 3, 35), "malformed packet: total length 35 of 36 bytes"},
		{"udp length", edit(udp, 25, 12), "malformed packet: UDP length 12 of 13 bytes"},
		{"tcp header length", edit(tcp, 24+12, 0x40), "malformed packet: TCP header length 16 of 33 bytes"},
		{"tcp header beyond the end", edit(tcp, 24+12, 0xf0), "malformed packet: TCP header length 60 of 33 bytes"},
		{"icmp short", edit(append(bytes.Clone(ping[:20]), 8, 0, 0, 0), 3, 24), "malformed packet: 4 bytes are shorter than an ICMP header"},
		{"udp short", edit(append(bytes.Clone(udp[:20]), 8, 0, 0, 0), 3, 24), "malformed packet: 4 bytes are shorter than a UDP header"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseIP(tt.give)
			var framing *FramingError
			if !errors.As(err, &framing) {
				t.Fatalf("error %v is no *FramingError", err)
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIPOf(t *testing.T) {
	ip := mustPing(t, "abcdefgh")
	ethernet := func(etherType ...byte) []byte { return append(make([]byte, 12), etherType...) }
	tests := []struct {
		name  string
		frame []byte
		want  []byte
		err   error
	}{
		{"plain", append(ethernet(8, 0), ip...), ip, nil},
		{"padded", append(append(ethernet(8, 0), ip...), 0, 0, 0), ip, nil},
		{"vlan", append(ethernet(0x81, 0, 0, 5, 8, 0), ip...), ip, nil},
		{"two tags", append(ethernet(0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0), ip...), ip, nil},
		{"three tags", append(ethernet(0x81, 0, 0, 5, 0x81, 0, 0, 6, 0x81, 0, 0, 7, 8, 0), ip...), nil, ErrNotIP},
		{"arp", append(ethernet(8, 6), ip...), nil, ErrNotIP},
		{"ipv6 inside", append(ethernet(8, 0), bytes.Repeat([]byte{0x60}, 40)...), nil, ErrNotIP},
		{"cut", append(ethernet(8, 0), ip[:30]...), nil, ErrTruncated},
		{"cut in a tag", ethernet(0x81, 0, 0), nil, ErrTruncated},
		{"cut in the header", append(ethernet(8, 0), ip[:12]...), nil, ErrTruncated},
		{"empty", nil, nil, ErrTruncated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := IPOf(tt.frame)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("packet (-want +got):\n%s", diff)
			}
		})
	}
}

func TestViews(t *testing.T) {
	p, err := ParseIP(mustTCP(t, "GET"))
	if err != nil {
		t.Fatal(err)
	}
	type fields struct {
		Header, Total, Offset, TTL, Protocol, ID int
		DF, MF                                   bool
		Src, Dst                                 string
		SrcPort, DstPort                         uint16
		Seq, Ack                                 uint32
		Flags                                    uint8
		Window                                   uint16
		Options                                  int
		Data                                     string
	}
	s := TCP(p.Payload())
	got := fields{
		p.HeaderLen(), p.TotalLen(), p.FragmentOffset(), int(p.TTL()), int(p.Protocol()), int(p.ID()),
		p.DontFragment(), p.MoreFragments(), p.Src().String(), p.Dst().String(),
		s.SrcPort(), s.DstPort(), s.Seq(), s.Ack(), s.Flags(), s.Window(), len(s.Options()), string(p.L4Data()),
	}
	want := fields{
		24, 59, 0, 63, ProtoTCP, 0xbeef, true, false, "10.77.1.11", "10.77.2.53",
		40001, 80, 0x01020304, 0x05060708, FlagPSH | FlagACK, 502, 12, "GET",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

// TestCommunityID holds the vectors that the specification's reference
// implementation publishes.
func TestCommunityID(t *testing.T) {
	key := func(protocol uint8, src, dst string) FlowKey {
		return FlowKey{protocol, netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)}
	}
	tests := []struct {
		name string
		give FlowKey
		want string
	}{
		{"tcp", key(ProtoTCP, "128.232.110.120:34855", "66.35.250.204:80"), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{"tcp back", key(ProtoTCP, "66.35.250.204:80", "128.232.110.120:34855"), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{"udp", key(ProtoUDP, "192.168.1.52:54585", "8.8.8.8:53"), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
		{"icmp echo", key(ProtoICMP, "192.168.0.89:8", "192.168.0.1:0"), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
		{"icmp echo reply", key(ProtoICMP, "192.168.0.1:0", "192.168.0.89:8"), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
		{"icmp one way", key(ProtoICMP, "192.168.0.89:20", "192.168.0.1:0"), "1:3o2RFccXzUgjl7zDpqmY7yJi8rI="},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, CommunityID(0, tt.give)); diff != "" {
				t.Errorf("community id (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFlowOf(t *testing.T) {
	tests := []struct {
		name     string
		give     []byte
		src, dst string
	}{
		{"ping", mustPing(t, "a"), "10.77.1.11:8", "10.77.2.53:0"},
		{"udp", mustUDP(t, "a"), "10.77.1.11:40000", "10.77.2.53:53"},
		{"tcp", mustTCP(t, "a"), "10.77.1.11:40001", "10.77.2.53:80"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := ParseIP(tt.give)
			if err != nil {
				t.Fatal(err)
			}
			k := FlowOf(p)
			if diff := cmp.Diff([]string{tt.src, tt.dst}, []string{k.Src.String(), k.Dst.String()}); diff != "" {
				t.Errorf("flow (-want +got):\n%s", diff)
			}
			if k.Reverse().Reverse() != k {
				t.Error("reversing a flow twice changes it")
			}
		})
	}
}

// FuzzParse feeds every decoder of this package bytes from outside. Whatever
// ParseIP accepts must be readable in full and repairable.
func FuzzParse(f *testing.F) {
	f.Add(mustPing(f, "abcdefgh"))                            // a good ping
	f.Add(mustTCP(f, "GET"))                                  // options in both headers
	f.Add(append(mustUDP(f, "x"), 0))                         // a byte too many
	f.Add(mustExtended(f))                                    // IPv6 with extension headers
	f.Add(append(make([]byte, 12), 0x81, 0, 0, 1, 0x08, 0x0)) // a VLAN tag and nothing behind it
	f.Fuzz(func(t *testing.T, b []byte) {
		defer bounded.Input(t, len(b))()
		if ip, err := IPOf(b); err == nil && len(ip) < 20 {
			t.Fatalf("IPOf returned %d bytes", len(ip))
		}
		ZeroChecksums(b)
		p, err := ParseIP(b)
		if err != nil {
			return
		}
		CommunityID(1, FlowOf(p))
		if n := len(p.L4Data()); n > len(b) {
			t.Fatalf("%d data bytes in a packet of %d", n, len(b))
		}
		if err := RepairChecksums(b); err != nil {
			t.Fatal(err)
		}
		if p.Version() == 4 && fold(sum(b[:p.HeaderLen()], 0)) != 0 {
			t.Fatal("the repaired header does not sum to zero")
		}
	})
}

func BenchmarkRepairChecksums(b *testing.B) {
	pkt := mustUDP(b, "a query of about forty bytes, as they are")
	b.SetBytes(int64(len(pkt)))
	b.ReportAllocs()
	for b.Loop() {
		if err := RepairChecksums(pkt); err != nil {
			b.Fatal(err)
		}
	}
}
