package quality

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/packet"
)

func TestJSDivergence(t *testing.T) {
	counts := func(n ...int) map[value]int {
		m := make(map[value]int)
		for i, c := range n {
			if c > 0 {
				m[number(uint64(i))] = c
			}
		}
		return m
	}
	tests := []struct {
		name string
		a, b map[value]int
		want float64
	}{
		{"equal", counts(1, 2, 3), counts(2, 4, 6), 0},
		{"disjoint", counts(5), counts(0, 7), 1},
		// p = (1/2, 1/2), q = (1, 0), m = (3/4, 1/4):
		// (1/2 log2 2/3 + 1/2 log2 2 + log2 4/3) / 2
		{"half of it", counts(1, 1), counts(4), 0.31127812445913283},
		// p = (3/4, 1/4), q = (1/4, 3/4), m = (1/2, 1/2): 1 - H(1/4)
		{"mirrored", counts(3, 1), counts(1, 3), 0.18872187554086717},
		{"two empty ones", nil, nil, 0},
		{"an empty one", counts(1), nil, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, got := range []float64{jsDivergence(tt.a, tt.b), jsDivergence(tt.b, tt.a)} {
				if math.Abs(got-tt.want) > 1e-12 {
					t.Errorf("jsDivergence = %v, want %v", got, tt.want)
				}
			}
		})
	}
}

// withIDs gives packets that differ in their IPv4 id, so many of each.
func withIDs(ids ...uint16) []values {
	var packets [][]byte
	for _, id := range ids {
		packets = append(packets, ipv4(99, addr(1, 1), addr(2, 2), id, nil))
	}
	return readAll(packets)
}

func TestEdgesOf(t *testing.T) {
	var narrow, wide, skewed []uint16
	for i := range uint16(64) {
		narrow = append(narrow, i%32)
		wide = append(wide, 1000*i)
		skewed = append(skewed, max(i, 30)) // 0..30 are all 30: 34 distinct
	}
	tests := []struct {
		name string
		ids  []uint16
		want []uint64
	}{
		{"none", nil, nil},
		{"32 distinct are compared one by one", narrow, nil},
		{"64 in 16 bins of 4", wide, []uint64{
			4000, 8000, 12000, 16000, 20000, 24000, 28000, 32000, 36000, 40000, 44000, 48000, 52000, 56000, 60000,
		}},
		{"equal values stay together", skewed, []uint64{30, 32, 36, 40, 44, 48, 52, 56, 60}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			half := len(tt.ids) / 2
			if diff := cmp.Diff(tt.want, edgesOf(fieldID, withIDs(tt.ids[:half]...), withIDs(tt.ids[half:]...))); diff != "" {
				t.Errorf("edges (-want +got):\n%s", diff)
			}
		})
	}
	if edges := edgesOf(fieldDst, withIDs(wide...), nil); edges != nil {
		t.Errorf("addresses have edges %v, want none", edges)
	}
}

func TestHistogram(t *testing.T) {
	packets := append(withIDs(5, 10, 11, 99), values{}) // the last cannot be parsed
	got := histogram(fieldID, []uint64{10, 20}, packets)
	want := map[value]int{number(0): 2, number(1): 1, number(2): 1, {kind: unparsable}: 1}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(value{})); diff != "" {
		t.Errorf("histogram (-want +got):\n%s", diff)
	}
}

func TestFieldDistances(t *testing.T) {
	host := func(n ...int) []values {
		var packets [][]byte
		for _, d := range n {
			packets = append(packets, ipv4(packet.ProtoUDP, addr(1, 1), addr(2, d), 1, udp(40000, 9, nil)))
		}
		return readAll(packets)
	}
	var r Report
	r.fieldDistances(append(host(1), values{}), host(1, 2), host(1, 1))
	// Every field but dst: half of the generated cannot be parsed, as in "half
	// of it" above. dst: the same, and the floor too.
	const half = 0.31127812445913283
	names := []string{"src", "dst", "id", "ttl", "length", "sport", "dport"}
	want := Report{}
	want.FieldDivergence = FieldDistances{half, map[string]float64{}}
	want.FieldJSD = FieldDistances{math.Sqrt(half), map[string]float64{}}
	want.FieldDivergenceFloor = FieldDistances{half / 7, map[string]float64{}}
	want.FieldJSDFloor = FieldDistances{math.Sqrt(half) / 7, map[string]float64{}}
	for _, n := range names {
		want.FieldDivergence.Fields[n], want.FieldJSD.Fields[n] = half, math.Sqrt(half)
		want.FieldDivergenceFloor.Fields[n], want.FieldJSDFloor.Fields[n] = 0, 0
	}
	want.FieldDivergenceFloor.Fields["dst"], want.FieldJSDFloor.Fields["dst"] = half, math.Sqrt(half)
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-12 })
	if diff := cmp.Diff(want, r, near); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}
