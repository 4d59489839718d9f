package appliance

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"pacgan-appliance/internal/bounded"
	"pacgan-appliance/internal/packet"
)

// tcp is a captured segment from a client's port.
type tcp struct {
	label    string
	port     uint16
	seq, ack uint32
	push     bool
	data     string
}

func (s tcp) frame(t *testing.T) packet.Packet {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: []byte{10, 77, 1, 11}, DstIP: []byte{10, 77, 2, 80}}
	l4 := &layers.TCP{SrcPort: layers.TCPPort(s.port), DstPort: 80, Seq: s.seq, Ack: s.ack, ACK: true, PSH: s.push, Window: 502}
	must(t, l4.SetNetworkLayerForChecksum(ip))
	buf := gopacket.NewSerializeBuffer()
	must(t, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4},
		ip, l4, gopacket.Payload(s.data)))
	return packet.Packet{Label: s.label, Time: time.Unix(int64(s.seq), 0), Frame: buf.Bytes()}
}

func TestJoiner(t *testing.T) {
	tests := []struct {
		name     string
		segments []tcp
		want     []string // the http label's requests
		leftOut  int
	}{
		{"one segment", []tcp{{"http", 1, 10, 5, true, "GET /"}}, []string{"GET /"}, 0},
		{"a body of no label", []tcp{{"http", 1, 10, 5, true, "POST "}, {"", 1, 15, 5, true, "body"}}, []string{"POST body"}, 0},
		{"a response between", []tcp{{"http", 1, 10, 5, true, "GET /"}, {"", 1, 15, 6, true, "more"}}, []string{"GET /"}, 1},
		{"sent again", []tcp{{"http", 1, 10, 5, false, "GET "}, {"", 1, 10, 5, false, "GET "}, {"", 1, 14, 5, true, "/"}}, []string{"GET /"}, 1},
		{"one lost", []tcp{{"http", 1, 10, 5, false, "GET "}, {"", 1, 20, 5, true, "x"}}, []string{"GET "}, 1},
		{"two flows", []tcp{{"http", 1, 10, 5, false, "GET "}, {"http", 2, 14, 5, true, "B"}, {"", 1, 14, 5, true, "/a"}}, []string{"GET /a", "B"}, 0},
		{"a filter takes all of a write", []tcp{{"http", 1, 10, 5, false, "GET "}, {"http", 1, 14, 5, true, "/"}}, []string{"GET /"}, 0},
		{"a filter takes two writes", []tcp{{"http", 1, 10, 5, true, "GET 1"}, {"http", 1, 15, 5, true, "GET 2"}}, []string{"GET 1", "GET 2"}, 0},
		{"another label", []tcp{{"http", 1, 10, 5, false, "GET "}, {"other", 1, 14, 5, true, "/"}}, []string{"GET "}, 0},
		{"no data", []tcp{{"http", 1, 10, 5, false, ""}, {"", 1, 10, 5, false, ""}}, []string{""}, 1},
		{"beyond an IP packet", []tcp{{"http", 1, 0, 5, false, string(make([]byte, 60000))}, {"", 1, 60000, 5, true, string(make([]byte, 6000))}}, []string{string(make([]byte, 60000))}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j, leftOut := newJoiner(), 0
			for _, s := range tt.segments {
				if !j.add(s.frame(t)) {
					leftOut++
				}
			}
			var got []string
			for _, r := range j.requests["http"] {
				p, err := packet.ParseIP(r.ip) // lengths agree
				must(t, err)
				got = append(got, string(p.L4Data()))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || leftOut != tt.leftOut {
				t.Errorf("%d left out, want %d; requests (-want +got):\n%s", leftOut, tt.leftOut, diff)
			}
		})
	}
}

// FuzzJoiner feeds two frames of any bytes: what comes out is framed as well
// as what went in.
func FuzzJoiner(f *testing.F) {
	eth := append(make([]byte, 12), 8, 0)
	ip := []byte{0x45, 0, 0, 44, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
	segment := append([]byte{0, 1, 0, 80, 0, 0, 0, 10, 0, 0, 0, 5, 0x50, 0x10, 0, 0, 0, 0, 0, 0}, "GET "...)
	first := append(append(append([]byte{}, eth...), ip...), segment...)
	second := append([]byte{}, first...)
	binary.BigEndian.PutUint32(second[38:], 14)
	f.Add(first, second)
	f.Add(first[:40], second) // cut
	f.Fuzz(func(t *testing.T, a, b []byte) {
		defer bounded.Input(t, len(a)+len(b))()
		j := newJoiner()
		j.add(packet.Packet{Label: "http", Frame: a})
		j.add(packet.Packet{Frame: b})
		for _, r := range j.requests["http"] {
			if n := packet.IP(r.ip).TotalLen(); n != len(r.ip) {
				t.Errorf("a request of %d bytes says that it has %d", len(r.ip), n)
			}
		}
	})
}
