package packet_test

import (
	"encoding/binary"
	"hash/crc32"
	"testing"

	"pacgan-appliance/internal/packet"
)

func TestFingerprintOf(t *testing.T) {
	ip := func(protocol uint8, l4 ...byte) packet.IP {
		b := []byte{0x45, 0, 0, 0, 0, 1, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
		b = append(b, l4...)
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		p, err := packet.ParseIP(b)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	udp := func(src, dst uint16, payload string) packet.IP {
		l4 := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, src), dst)
		l4 = append(binary.BigEndian.AppendUint16(l4, uint16(8+len(payload))), 0, 0)
		return ip(packet.ProtoUDP, append(l4, payload...)...)
	}
	const query = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x04test\x00\x00\x01\x00\x01"
	const answer = "\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x04test\x00\x00\x01\x00\x01\xc0\x0c"
	const question = "\x01a\x04test\x00\x00\x01\x00\x01"
	fragment := udp(1, 2, "abc")
	fragment[6] |= 0x20
	for _, tt := range []struct {
		name     string
		p        packet.IP
		of       string // "": there is none
		mirrored bool
	}{
		{"echo request", ip(packet.ProtoICMP, append([]byte{8, 0, 1, 2}, "idsqdata"...)...), "idsqdata", true},
		{"its reply", ip(packet.ProtoICMP, append([]byte{0, 0, 3, 4}, "idsqdata"...)...), "idsqdata", true},
		{"timestamp request", ip(packet.ProtoICMP, append([]byte{13, 0, 1, 2}, "idsqdata"...)...), "idsqdata", false},
		{"query", udp(40000, 53, query), query[:2] + question, true},
		{"its answer", udp(53, 40000, answer), query[:2] + question, true},
		{"its name is cut off", udp(40000, 53, query[:16]), query[:16], false},
		{"its name is a pointer", udp(40000, 53, query[:12]+"\xc0\x0c\x00\x01\x00\x01"), query[:12] + "\xc0\x0c\x00\x01\x00\x01", false},
		{"no question", udp(53, 40000, query[:5]+"\x00"+query[6:]), query[:5] + "\x00" + query[6:], false},
		{"not a name server's", udp(40000, 5353, query), query, false},
		{"fragment", fragment, "", false},
		{"TCP", ip(packet.ProtoTCP, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0, 0, 0, 0, 0, 0, 0), "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, mirrored := packet.FingerprintOf(tt.p)
			if want := crc32.ChecksumIEEE([]byte(tt.of)); got != want || mirrored != tt.mirrored {
				t.Errorf("%d, mirrored %v; want %d, %v", got, mirrored, want, tt.mirrored)
			}
		})
	}
}
