package quality

import (
	"context"
	"testing"
)

// BenchmarkMeasure is the lab's size: 3,000 generated, 5,000 real.
func BenchmarkMeasure(b *testing.B) {
	for _, label := range []string{"ping", "dns", "http"} {
		b.Run(label, func(b *testing.B) {
			real := traffic(b, label, 8000, 1)
			b.ReportAllocs()
			for b.Loop() {
				mustMeasure(b, real[:3000], real[3000:6750], real[6750:])
			}
		})
	}
}

// BenchmarkNearest is the worst case: no generated packet has a real one's
// template, and no two real ones share theirs.
func BenchmarkNearest(b *testing.B) {
	spread := func(i int, p []byte) {
		for j := range 20 {
			p[len(p)-1-j] = byte(i >> (j % 13))
		}
	}
	real := altered(traffic(b, "http", 8000, 1), spread)
	bytes := 0
	for _, p := range real[:3000] {
		bytes += len(p)
	}
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	for b.Loop() {
		var r Report
		if err := r.nearest(context.Background(), real[:3000], real[3000:6750], real[6750:]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAUC has 1,250 packets of each class.
func BenchmarkAUC(b *testing.B) {
	for _, label := range []string{"ping", "dns", "http"} {
		b.Run(label, func(b *testing.B) {
			real := traffic(b, label, 2500, 1)
			gen, held := real[:1250], real[1250:]
			for b.Loop() {
				o := Options{Seed: 1, MaxPerClass: defaultMaxPerClass}
				if _, err := twoSampleAUC(context.Background(), o, sample{gen, readAll(gen)}, sample{held, readAll(held)}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkMeasureLong has GETs of 1,400 bytes with a cookie of their own each,
// so that every real packet is a template and most bytes are noise.
func BenchmarkMeasureLong(b *testing.B) {
	real := longGETs(8000, 1)
	b.ReportAllocs()
	for b.Loop() {
		mustMeasure(b, real[:3000], real[3000:6750], real[6750:])
	}
}
