package quality

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"pacgan-appliance/internal/packet"
)

func TestDifferingBytes(t *testing.T) {
	tests := []struct {
		x    uint64
		want int
	}{
		{0, 0},
		{1, 1},
		{0x80, 1},
		{0x0100, 1},
		{0x80ff, 2},
		{0x0001_0000_8000_0100, 3},
		{math.MaxUint64, 8},
		{0x0101010101010101, 8},
		{0x8080808080808080, 8},
	}
	for _, tt := range tests {
		if got := differingBytes(tt.x); got != tt.want {
			t.Errorf("differingBytes(%#x) = %d, want %d", tt.x, got, tt.want)
		}
	}
}

func TestByteErrorAndTemplates(t *testing.T) {
	base := ipv4(packet.ProtoUDP, addr(1, 1), addr(2, 2), 1, udp(40000, 53, query(t, 7, "ab.cd.", nil)))
	other := ipv4(packet.ProtoUDP, addr(1, 1), addr(2, 3), 1, udp(40000, 53, query(t, 7, "xy.cd.", nil)))
	with := func(f func(p []byte) []byte) []byte { return f(append([]byte(nil), base...)) }
	set := func(at int, v byte) func([]byte) []byte {
		return func(p []byte) []byte { p[at] = v; return p }
	}
	tests := []struct {
		name      string
		generated []byte
		errors    int
		novel     int
	}{
		{"a training packet", base, 0, 0},
		{"a held-out packet", other, 0, 1},
		{"another IP id", with(set(4, 0xee)), 0, 0},
		{"other checksums", with(set(10, 0xee)), 0, 0},
		{"another client port", with(set(20, 0xee)), 0, 0},
		{"another service port", with(set(23, 54)), 1, 1},
		{"another DNS id", with(set(28, 0xee)), 0, 0},
		{"TTL and one letter of the name", with(func(p []byte) []byte { p[8], p[41] = 1, 'z'; return p }), 2, 1},
		{"not IPv4 any more", with(set(0, 0)), 1, 1},
		{"two bytes short", with(func(p []byte) []byte { return p[:len(p)-2] }), 2, 1},
		{"three bytes long", with(func(p []byte) []byte { return append(p, 0, 0, 0) }), 3, 1},
		{"no bytes", nil, len(base), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r Report
			r.N.Generated, r.N.HeldOut = 1, 1
			err := r.nearest(context.Background(), [][]byte{tt.generated}, [][]byte{base, base}, [][]byte{other})
			if err != nil {
				t.Fatal(err)
			}
			if r.N.ByteErrors != tt.errors || r.ByteError != float64(tt.errors) {
				t.Errorf("byte error %d (mean %v), want %d", r.N.ByteErrors, r.ByteError, tt.errors)
			}
			if r.N.NovelTemplates != tt.novel || r.TemplateNovelty != float64(tt.novel) {
				t.Errorf("%d new templates (share %v), want %d", r.N.NovelTemplates, r.TemplateNovelty, tt.novel)
			}
			if r.N.NovelTemplatesReal != 1 || r.TemplateNoveltyReal != 1 {
				t.Errorf("held-out: %d new templates (share %v), want 1", r.N.NovelTemplatesReal, r.TemplateNoveltyReal)
			}
		})
	}
}

// slowDistance is ByteError's definition, byte by byte.
func slowDistance(p []byte, real [][]byte) int {
	best := math.MaxInt
	for _, r := range real {
		mask := maskOf(r)
		d := 0
		for i := range max(len(p), len(r)) {
			if i >= len(p) || i >= len(r) || mask[i] != 0 && p[i] != r[i] {
				d++
			}
		}
		best = min(best, d)
	}
	return best
}

func TestNearestAgreesWithTheDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, label := range []string{"ping", "dns", "http"} {
		real := traffic(t, label, 60, 1)
		train, heldOut := real[:40], real[40:]
		f := finder{index: newIndex(train, heldOut)}
		for _, p := range traffic(t, label, 60, 2) {
			for range rng.IntN(8) {
				p[rng.IntN(len(p))] ^= byte(1 << rng.IntN(8))
			}
			p = p[:len(p)-rng.IntN(20)]
			got, _ := f.find(p)
			if want := slowDistance(p, real); got != want {
				t.Errorf("%s: distance of %x = %d, want %d", label, p, got, want)
			}
		}
	}
}
