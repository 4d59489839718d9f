package web

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"pacgan-appliance/internal/bounded"
	"pacgan-appliance/internal/encoding"
)

// serialize builds a packet whose lengths are right and whose checksums are zero.
func serialize(all ...gopacket.SerializableLayer) []byte {
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, all...); err != nil {
		panic(err) // the tests' own packets
	}
	return slices.Clone(b.Bytes())
}

func header(protocol layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{
		Version: 4, TTL: 64, Id: 77, Protocol: protocol, Flags: layers.IPv4DontFragment,
		SrcIP: net.IPv4(10, 77, 1, 10), DstIP: net.IPv4(10, 77, 2, 1),
	}
}

func ping(id, sequence uint16) []byte {
	echo := &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoRequest, 0), Id: id, Seq: sequence}
	return serialize(header(layers.IPProtocolICMPv4), echo, gopacket.Payload("abcdefghijklmnop"))
}

func query(id uint16, name string) []byte {
	dns := &layers.DNS{ID: id, RD: true, Questions: []layers.DNSQuestion{{Name: []byte(name), Type: layers.DNSTypeA, Class: layers.DNSClassIN}}}
	return serialize(header(layers.IPProtocolUDP), &layers.UDP{SrcPort: 40000, DstPort: 53}, dns)
}

func request(text string) []byte {
	return serialize(header(layers.IPProtocolTCP), &layers.TCP{SrcPort: 50000, DstPort: 80, Seq: 9, Ack: 8, Window: 502, PSH: true, ACK: true}, gopacket.Payload(text))
}

func TestDecode(t *testing.T) {
	ip := []field{
		{"source", "10.77.1.10"}, {"destination", "10.77.2.1"}, {"length", "44"}, {"TTL", "64"}, {"id", "77"},
		{"fragment flags", "DF offset 0"}, {"protocol", "ICMPv4"},
	}
	tests := []struct {
		name   string
		packet []byte
		skip   int // fields of the IP header
		want   []field
	}{
		{"ping", ping(7, 3), 0, append(ip, field{"ICMP type", "EchoRequest"}, field{"ICMP id", "7"}, field{"ICMP sequence", "3"}, field{"payload", "16 bytes"})},
		{"dns", query(0x1234, "example.com"), 7, []field{
			{"source port", "40000"}, {"destination port", "53"}, {"UDP length", "37"}, {"DNS id", "4660"},
			{"DNS flags", "response false, recursion desired true, opcode Query"}, {"DNS name", "example.com"}, {"DNS type", "A"},
		}},
		{"http", request("GET /a?b=<c> HTTP/1.1\r\nHost: web.test\r\nHost: two\r\nUser-Agent: curl/8\x01\r\n\r\nbody"), 7, []field{
			{"source port", "50000"}, {"destination port", "80"}, {"TCP sequence", "9"}, {"TCP acknowledgement", "8"}, {"TCP window", "502"},
			{"HTTP request", "GET /a?b=<c> HTTP/1.1"}, {"HTTP Host", "web.test"}, {"HTTP User-Agent", `curl/8\x01`},
		}},
		{"not http", request("hello"), 12, []field{{"payload", "5 bytes"}}},
		{"cut", ping(7, 3)[:15], 0, []field{{"cannot be decoded", "Invalid ip4 header. Length 15 less than 20"}}},
		{"nothing", nil, 0, []field{{"cannot be decoded", "Invalid ip4 header. Length 0 less than 20"}}},
		{"long value", request("GET /" + strings.Repeat("a", 300) + " HTTP/1.1\r\n\r\n"), 12, []field{{"HTTP request", "GET /" + strings.Repeat("a", 115) + "…"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, decode(tt.packet)[tt.skip:]); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPairFields(t *testing.T) {
	got := pairFields(ping(7, 2), query(1, "a.test"))
	want := []fieldPair{
		{"length", "44", "52", true}, {"TTL", "64", "64", false}, {"ICMP id", "7", "", true}, {"DNS name", "", "a.test", true},
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("lacks %+v in %+v", w, got)
		}
	}
}

func TestCompare(t *testing.T) {
	c, err := compare(samplePackets()[0])
	if err != nil {
		t.Fatal(err)
	}
	// Sequence 3 and 2 differ in one digit of the two packets that have id 7.
	one := c.Pairs[0]
	if one.Differ != 1 || one.Digits != 88 || c.Of != 2 {
		t.Errorf("%d of %d digits differ, nearest of %d; want 1, 88 and 2", one.Differ, one.Digits, c.Of)
	}
	// Digit 55 is the low one of byte 27, the sequence's last: row 3, column 13 of 14.
	if diff := cmp.Diff("M13 3h1v1h-1z", one.Real.Marks); diff != "" {
		t.Errorf("marks (-want +got):\n%s", diff)
	}
	if !strings.Contains(one.Generated.Greys[3], "M13 3h1v1h-1z") || !strings.Contains(one.Real.Greys[2], "M13 3h1v1h-1z") {
		t.Errorf("the digits are not 3 and 2: %q, %q", one.Generated.Greys[3], one.Real.Greys[2])
	}
}

func TestDiffering(t *testing.T) {
	tests := []struct {
		name string
		a, b []byte
		want []bool
	}{
		{"equal", []byte{0x12}, []byte{0x12}, []bool{false, false}},
		{"high digit", []byte{0x22}, []byte{0x12}, []bool{true, false}},
		{"low digit", []byte{0x13}, []byte{0x12}, []bool{false, true}},
		{"longer", []byte{0x12}, []byte{0x12, 0}, []bool{false, false, true, true}},
		{"none", nil, nil, []bool{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := differing(tt.a, tt.b)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			n := 0
			for _, d := range got {
				if d {
					n++
				}
			}
			if d := distance(tt.a, tt.b); d != n {
				t.Errorf("distance %d, %d digits differ", d, n)
			}
		})
	}
}

// The matrix covers each digit of the packet once, as the encoding lays them out.
func TestMatrixCoversThePacket(t *testing.T) {
	packet := query(0xabcd, "www.example.com")
	m, err := newMatrix(encoding.Paper(), packet, nil)
	if err != nil {
		t.Fatal(err)
	}
	digits := make([]int, m.Side*m.Side)
	for i := range digits {
		digits[i] = -1
	}
	for value, path := range m.Greys {
		for _, step := range strings.Split(strings.TrimSuffix(path, "z"), "z") {
			var col, row, length, back int
			if step == "" {
				continue
			}
			if n, err := fmt.Sscanf(step, "M%d %dh%dv1h-%d", &col, &row, &length, &back); n != 4 || length != back {
				t.Fatalf("step %q: %v", step, err)
			}
			for i := range length {
				digits[row*m.Side+col+i] = value
			}
		}
	}
	for i := range digits {
		want := -1
		if i < 2*len(packet) {
			want = int(packet[i/2]>>(4*(1-i%2))) & 15
		}
		if digits[i] != want {
			t.Errorf("digit %d is %d, want %d", i, digits[i], want)
		}
	}
}

func TestMatrixTooLong(t *testing.T) {
	_, err := compare(Packets{"dns", encoding.Paper(), [][]byte{make([]byte, 99)}, [][]byte{ping(1, 1)}})
	if err == nil || !strings.HasPrefix(err.Error(), "web: generated packet of dns: encode packet of 99 bytes: ") {
		t.Errorf("error %v", err)
	}
}

// FuzzDecode: what is generated may be anything.
func FuzzDecode(f *testing.F) {
	f.Add(ping(1, 2))                                            // sound
	f.Add(query(3, "a.test"))                                    // names have pointers
	f.Add(request("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))          // text
	f.Add(append(query(3, "a.test")[:40], 0xc0, 0x28, 0xc0, 28)) // a name that points at itself
	f.Fuzz(func(t *testing.T, packet []byte) {
		defer bounded.Input(t, len(packet))()
		for _, f := range decode(packet) {
			if len([]rune(f.Value)) > longestValue+1 {
				t.Errorf("%s has %d characters", f.Name, len(f.Value))
			}
		}
	})
}
