package quality

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/packet"
)

func TestHistograms(t *testing.T) {
	ask := func(id uint16, name string) []byte {
		return ipv4(packet.ProtoUDP, addr(1, 1), addr(2, 2), id, udp(40000, 53, query(t, 7, name, nil)))
	}
	unread := ask(0, "a.")
	unread[40] = 0x80 // a reserved label type
	var real [][]byte
	for i := range uint16(8) {
		real = append(real, ask(10*i, []string{"a.", "a.", "b.", "c."}[i%4]))
	}
	generated := [][]byte{ask(0, "a."), ask(70, "b."), ask(71, "d."), unread}
	got := map[string][]Bar{}
	for _, h := range Histograms(generated, real, 3) {
		got[h.Field] = h.Bars
	}
	want := map[string][]Bar{
		"src":    {{"10.77.1.1", 1, 1}},
		"dst":    {{"10.77.2.2", 1, 1}},
		"id":     {{"0 - 23", 0.5, 0.375}, {"24 - 47", 0, 0.25}, {"48 - 71", 0.5, 0.375}},
		"ttl":    {{"64", 1, 1}},
		"length": {{"47", 1, 1}},
		"sport":  {{"40000", 1, 1}},
		"dport":  {{"53", 1, 1}},
		"dns_id": {{"unreadable", 0.25, 0}, {"7", 0.75, 1}},
		"qname":  {{"a.", 0.25, 0.5}, {"b.", 0.25, 0.25}, {"others", 0.5, 0.25}},
		"qtype":  {{"unreadable", 0.25, 0}, {"1", 0.75, 1}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestErrorsAt: the errors are where they were made, and as many as ByteError counts.
func TestErrorsAt(t *testing.T) {
	base := ipv4(packet.ProtoUDP, addr(1, 1), addr(2, 2), 1, udp(40000, 53, query(t, 7, "ab.cd.", nil)))
	other := ipv4(packet.ProtoUDP, addr(1, 1), addr(2, 3), 1, udp(40000, 53, query(t, 7, "xy.cd.", nil)))
	longer := ipv4(packet.ProtoUDP, addr(1, 1), addr(2, 2), 1, udp(40000, 53, query(t, 7, "abcd.cd.", nil)))
	with := func(p []byte, changes map[int]byte) []byte {
		p = append([]byte(nil), p...)
		for at, v := range changes {
			p[at] = v
		}
		return p
	}
	for _, tt := range []struct {
		name      string
		generated [][]byte
		want      map[int]float64 // the positions that are not 0
	}{
		{"none", [][]byte{base, other, longer}, nil},
		{"free bytes", [][]byte{with(base, map[int]byte{4: 0xee, 20: 0xee, 28: 0xee})}, nil},
		{"TTL of one in two", [][]byte{base, with(base, map[int]byte{8: 1})}, map[int]float64{8: 0.5}},
		{"letters", [][]byte{with(other, map[int]byte{41: 'z'}), with(other, map[int]byte{42: 'z'})}, map[int]float64{41: 0.5, 42: 0.5}},
		{"of the longest alone", [][]byte{base, with(longer, map[int]byte{len(longer) - 1: 9})}, map[int]float64{len(longer) - 1: 1}},
		{"longer than all", [][]byte{append(longer[:len(longer):len(longer)], 0, 0)}, map[int]float64{len(longer): 1, len(longer) + 1: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, sum := map[int]float64(nil), 0.0
			for at, share := range ErrorsAt(tt.generated, [][]byte{base, longer}, [][]byte{other}) {
				if share == 0 {
					continue
				}
				if got == nil {
					got = map[int]float64{}
				}
				got[at] = share
				for _, p := range tt.generated {
					if at < len(p) {
						sum += share
					}
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			r, err := Measure(context.Background(), Options{Seed: 1}, tt.generated, [][]byte{base, longer}, [][]byte{other})
			if err != nil {
				t.Fatal(err)
			}
			if counted := fmt.Sprintf("%.3f", sum); counted != fmt.Sprintf("%.3f", float64(r.N.ByteErrors)) {
				t.Errorf("%s errors, ByteError counts %d", counted, r.N.ByteErrors)
			}
		})
	}
}

func BenchmarkErrorsAt(b *testing.B) {
	real := make([][]byte, 2000)
	for i := range real {
		real[i] = ipv4(packet.ProtoUDP, addr(1, i%256), addr(2, i/256), uint16(i), udp(40000, 53, make([]byte, 1400)))
	}
	b.ReportAllocs()
	for b.Loop() {
		ErrorsAt(real[:500], real, nil)
	}
}
