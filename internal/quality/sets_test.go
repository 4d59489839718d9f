package quality

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/packet"
)

func TestNoveltyAndDuplicates(t *testing.T) {
	a := ipv4(packet.ProtoUDP, addr(1, 1), addr(2, 2), 1, udp(40000, 53, query(t, 7, "a.", nil)))
	checksums := altered([][]byte{a}, func(_ int, p []byte) { p[10], p[26] = 1, 2 })[0]
	b := altered([][]byte{a}, func(_ int, p []byte) { p[4] = 9 })[0]
	garbage := []byte{1, 2, 3}
	tests := []struct {
		name              string
		generated, train  [][]byte
		novel, duplicates int
		novelty, repeated float64
	}{
		{"nothing", nil, nil, 0, 0, 0, 0},
		{"nothing generated", nil, [][]byte{a}, 0, 0, 0, 0},
		{"nothing to compare with", [][]byte{a}, nil, 1, 0, 1, 0},
		{"copied", [][]byte{a}, [][]byte{a}, 0, 0, 0, 0},
		{"copied but for checksums", [][]byte{checksums}, [][]byte{a}, 0, 0, 0, 0},
		{"another id is another packet", [][]byte{a, b}, [][]byte{a}, 1, 0, 0.5, 0},
		{"equal but for checksums", [][]byte{a, checksums, b, a}, nil, 4, 2, 1, 0.5},
		{"malformed ones too", [][]byte{garbage, garbage, nil, nil}, [][]byte{garbage}, 2, 2, 0.5, 0.5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r Report
			r.N.Generated = len(tt.generated)
			r.sets(tt.generated, tt.train)
			want := Report{Novelty: tt.novelty, Duplicates: tt.repeated}
			want.N = Counts{Generated: len(tt.generated), Novel: tt.novel, Duplicates: tt.duplicates}
			if diff := cmp.Diff(want, r); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCoverage(t *testing.T) {
	dns := func(server int, name string) []byte {
		return ipv4(packet.ProtoUDP, addr(1, 1), addr(2, server), 1, udp(40000, 53, query(t, 7, name, nil)))
	}
	http := func(server int, host, path string) []byte {
		return ipv4(packet.ProtoTCP, addr(1, 1), addr(2, server), 1, tcp(40000, 80, 1, 2, get(host, path)))
	}
	tests := []struct {
		name             string
		generated, train [][]byte
		covered, keys    int
	}{
		{"nothing", nil, nil, 0, 0},
		{"nothing to cover", [][]byte{dns(1, "a.")}, [][]byte{{1}}, 0, 0},
		{"case of a name is the same name", [][]byte{dns(1, "A.b.")}, [][]byte{dns(1, "a.B.")}, 1, 1},
		{"another resolver", [][]byte{dns(2, "a.")}, [][]byte{dns(1, "a.")}, 0, 1},
		{"another name", [][]byte{dns(1, "b.")}, [][]byte{dns(1, "a."), dns(1, "b."), dns(1, "a.")}, 1, 2},
		{"host and path", [][]byte{http(1, "h", "/a"), http(1, "g", "/b")}, [][]byte{http(1, "h", "/a"), http(1, "h", "/b")}, 1, 2},
		{"malformed", [][]byte{dns(1, "a.")[1:]}, [][]byte{dns(1, "a.")}, 0, 1},
		{"unreadable name is not the name", [][]byte{dns(1, "a.")[:40]}, [][]byte{dns(1, "a.")}, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r Report
			r.coverage(readAll(tt.generated), readAll(tt.train))
			if r.N.Covered != tt.covered || r.N.TrainKeys != tt.keys || r.Coverage != share(tt.covered, tt.keys) {
				t.Errorf("covered %d of %d (%v), want %d of %d", r.N.Covered, r.N.TrainKeys, r.Coverage, tt.covered, tt.keys)
			}
		})
	}
}
