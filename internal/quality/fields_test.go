package quality

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/packet"
)

// named gives a packet's fields by name: those absent left out, those that
// cannot be read as "unparsable".
func named(v values) map[string]any {
	m := make(map[string]any)
	for f := range numFields {
		switch {
		case v[f].kind == unparsable:
			m[f.String()] = "unparsable"
		case v[f].kind == present && v[f].text != "":
			m[f.String()] = v[f].text
		case v[f].kind == present:
			m[f.String()] = v[f].number
		}
	}
	return m
}

func TestRead(t *testing.T) {
	ip := func(id, length uint64) map[string]any {
		return map[string]any{"src": uint64(0x0a090002), "dst": uint64(0x0a090002), "id": id, "ttl": uint64(64), "length": length}
	}
	with := func(m map[string]any, more map[string]any) map[string]any {
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	badDNS := mustHex(t, digHex)
	badDNS[40] = 0x80 // a reserved label type
	badHTTP := mustHex(t, curlHex)
	badHTTP[65] = ' ' // GET /a/b?c=1 H...: one word too many
	later := mustHex(t, digHex)
	later[7] = 1
	everything := make(map[string]any)
	for f := range numFields {
		everything[f.String()] = "unparsable"
	}

	tests := []struct {
		name   string
		packet []byte
		want   map[string]any
	}{
		{"ping", mustHex(t, pingShortHex), with(ip(0x9582, 36), map[string]any{"icmp_id": uint64(0x3713), "icmp_seq": uint64(1)})},
		{"dig", mustHex(t, digHex), with(ip(0x2ea9, 83), map[string]any{
			"sport": uint64(56393), "dport": uint64(53), "dns_id": uint64(0xbb70), "qname": "host3.lab.test.", "qtype": uint64(1),
		})},
		{"curl", mustHex(t, curlHex), with(ip(0x1a50, 136), map[string]any{
			"sport": uint64(60904), "dport": uint64(8080), "tcp_window": uint64(64), "http_host": "10.9.0.2:8080", "http_path": "/a/b?c=1",
		})},
		{"DNS that cannot be read", badDNS, with(ip(0x2ea9, 83), map[string]any{
			"sport": uint64(56393), "dport": uint64(53), "dns_id": "unparsable", "qname": "unparsable", "qtype": "unparsable",
		})},
		{"HTTP that cannot be read", badHTTP, with(ip(0x1a50, 136), map[string]any{
			"sport": uint64(60904), "dport": uint64(8080), "tcp_window": uint64(64), "http_host": "unparsable", "http_path": "unparsable",
		})},
		{"later fragment", later, ip(0x2ea9, 83)},
		{"length that is wrong", mustHex(t, digHex)[:82], everything},
		{"nothing", nil, everything},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, named(read(tt.packet))); diff != "" {
				t.Errorf("read (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadOther(t *testing.T) {
	unreachable := ipv4(packet.ProtoICMP, addr(1, 1), addr(2, 2), 1, []byte{3, 1, 0, 0, 0, 0, 0, 0})
	tls := ipv4(packet.ProtoTCP, addr(1, 1), addr(2, 2), 1, tcp(40000, 443, 1, 2, []byte{22, 3, 1, 0, 5}))
	ntp := ipv4(packet.ProtoUDP, addr(1, 1), addr(2, 2), 1, udp(40000, 123, make([]byte, 48)))
	tests := []struct {
		name   string
		packet []byte
		absent []field
	}{
		{"ICMP unreachable", unreachable, []field{fieldICMPID, fieldICMPSeq, fieldSPort, fieldHost}},
		{"TLS", tls, []field{fieldHost, fieldPath, fieldQName, fieldICMPID}},
		{"NTP", ntp, []field{fieldDNSID, fieldQName, fieldQType, fieldWindow}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := read(tt.packet)
			for _, f := range tt.absent {
				if v[f].kind != absent {
					t.Errorf("%v is %+v, want absent", f, v[f])
				}
			}
		})
	}
}
