package quality

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/bounded"
	"pacgan-appliance/internal/packet"
)

func TestFreeSpans(t *testing.T) {
	ip := []span{{4, 6}, {10, 12}} // every packet's id and header checksum
	const l4 = 20
	src, dst := addr(1, 1), addr(2, 2)
	sack := append(tcp(40000, 80, 1, 2, nil), 1, 1, tcpOptionSACK, 10, 1, 2, 3, 4, 5, 6, 7, 8)
	sack[12] = 8 << 4
	brokenOption := append(tcp(40000, 80, 1, 2, nil), tcpOptionTimestamp, 10, 0, 0)
	brokenOption[12] = 6 << 4
	timestampRequest := append([]byte{13, 0, 0, 0}, make([]byte, 16)...)

	tests := []struct {
		name   string
		packet []byte
		want   []span
	}{
		{"nothing", nil, nil},
		{"shorter than a header", make([]byte, 19), nil},
		{"malformed", make([]byte, 40), ip},
		{"unknown protocol", ipv4(99, src, dst, 1, []byte("data")), ip},
		{"ping", mustHex(t, pingHex), append(ip, span{l4 + 2, l4 + 4}, span{l4 + 4, l4 + 8}, span{l4 + 8, l4 + 24})},
		{"ping of 8 bytes without a time", mustHex(t, pingShortHex), append(ip, span{l4 + 2, l4 + 4}, span{l4 + 4, l4 + 8})},
		{"ping with its own filling", mustHex(t, pingPatternHex), append(ip, span{l4 + 2, l4 + 4}, span{l4 + 4, l4 + 8}, span{l4 + 8, l4 + 24})},
		{"ICMP timestamp request", ipv4(packet.ProtoICMP, src, dst, 1, timestampRequest), append(ip, span{l4 + 2, l4 + 4})},
		{
			"dig: client port, id, cookie", mustHex(t, digHex),
			append(ip, span{l4 + 6, l4 + 8}, span{l4, l4 + 2}, span{l4 + 8, l4 + 10}, span{75, 83}),
		},
		{
			"DNS reply: the client's port is the destination's", ipv4(packet.ProtoUDP, src, dst, 1, udp(53, 40000, query(t, 1, "a.", nil))),
			append(ip, span{l4 + 6, l4 + 8}, span{l4 + 2, l4 + 4}, span{l4 + 8, l4 + 10}),
		},
		{"DNS of one byte", ipv4(packet.ProtoUDP, src, dst, 1, udp(40000, 53, []byte{1})), append(ip, span{l4 + 6, l4 + 8}, span{l4, l4 + 2})},
		{"system ports on both sides", ipv4(packet.ProtoUDP, src, dst, 1, udp(123, 123, nil)), append(ip, span{l4 + 6, l4 + 8})},
		{
			"curl: sequence numbers, client port, timestamps", mustHex(t, curlHex),
			append(ip, span{l4 + 4, l4 + 12}, span{l4 + 16, l4 + 18}, span{l4, l4 + 2}, span{l4 + 24, l4 + 32}),
		},
		{
			"TCP with SACK", ipv4(packet.ProtoTCP, src, dst, 1, sack),
			append(ip, span{l4 + 4, l4 + 12}, span{l4 + 16, l4 + 18}, span{l4, l4 + 2}, span{l4 + 24, l4 + 32}),
		},
		{
			"TCP option past the header", ipv4(packet.ProtoTCP, src, dst, 1, brokenOption),
			append(ip, span{l4 + 4, l4 + 12}, span{l4 + 16, l4 + 18}, span{l4, l4 + 2}),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, freeSpans(tt.packet), cmp.AllowUnexported(span{})); diff != "" {
				t.Errorf("freeSpans (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFreeSpansOfLaterFragment(t *testing.T) {
	p := mustHex(t, digHex)
	p[7] = 1 // offset 8: no UDP header here
	want := []span{{4, 6}, {10, 12}}
	if diff := cmp.Diff(want, freeSpans(p), cmp.AllowUnexported(span{})); diff != "" {
		t.Errorf("freeSpans (-want +got):\n%s", diff)
	}
}

func TestPingTimeLen(t *testing.T) {
	tests := []struct {
		name string
		data string
		want int
	}{
		{"64-bit little endian", "0173046b00000000d143040000000000", 16},
		{"64-bit big endian", "000000006b0473010000000000 0443d1", 16},
		{"32-bit little endian", "0173046bd1430400", 8},
		{"32-bit big endian", "6b047301000443d1", 8},
		{"a million microseconds", "0173046b40420f00", 0},
		{"in 1970", "0100000000000000d143040000000000", 0},
		{"Windows' letters", "6162636465666768696a6b6c6d6e6f70", 0},
		{"zeros", "00000000000000000000000000000000", 0},
		{"wrong clock, iputils' filling", "00000000000000000000000000000000" + "1011121314151617", 16},
		{"nothing", "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := pingTimeLen(mustHex(t, tt.data)); got != tt.want {
				t.Errorf("pingTimeLen = %d, want %d", got, tt.want)
			}
		})
	}
}

// FuzzFreeSpans: any bytes give spans inside the packet.
func FuzzFreeSpans(f *testing.F) {
	f.Add(mustHex(f, pingHex)) // an echo with a time
	f.Add(mustHex(f, digHex))  // EDNS with a cookie
	f.Add(mustHex(f, curlHex)) // TCP options
	f.Add([]byte{0x45})        // shorter than a header
	f.Fuzz(func(t *testing.T, b []byte) {
		defer bounded.Input(t, len(b))()
		for _, s := range freeSpans(b) {
			if s.from < 0 || s.from > s.to || s.to > len(b) {
				t.Errorf("span %v of %d bytes", s, len(b))
			}
		}
	})
}
