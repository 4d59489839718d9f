package train

import (
	"context"
	"testing"
)

func BenchmarkFitTrees(b *testing.B) {
	tr := newTraffic(1)
	long := newTraffic(1)
	long.cookies = true
	for _, set := range []struct {
		name    string
		packets [][]byte
	}{
		{"ping/3000", many(3000, tr.ping)},
		{"dns/3300", many(3300, tr.dns)},
		{"http/1700", many(1700, tr.get)},
		{"dns/20000", many(20000, tr.dns)},
		{"dns_cookies/20000", many(20000, long.dns)},
		{"http/20000", many(20000, tr.get)},
		{"random98/20000", many(20000, func() []byte {
			p := make([]byte, 98)
			for i := range p {
				p[i] = byte(tr.rng.Uint32())
			}
			return p
		})},
		{"random1514/20000", many(20000, func() []byte {
			p := make([]byte, 1514)
			for i := range p {
				p[i] = byte(tr.rng.Uint32())
			}
			return p
		})},
		{"lines/20000", many(20000, func() []byte { return logLine(tr.rng) })},
		{"random_lengths/20000", many(20000, func() []byte { return random(tr.rng, 40+tr.rng.IntN(1400)) })},
	} {
		b.Run(set.name, func(b *testing.B) {
			b.ReportAllocs()
			nodes := 0
			for b.Loop() {
				f, err := FitTrees(context.Background(), set.packets, 1)
				if err != nil {
					b.Fatal(err)
				}
				nodes = f.Nodes()
			}
			b.ReportMetric(float64(nodes), "nodes")
		})
	}
}
