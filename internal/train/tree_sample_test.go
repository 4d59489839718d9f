package train

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"pacgan-appliance/internal/encoding"
	"pacgan-appliance/internal/model"
)

// TestTreesReproduceADependency: digit 2 follows digit 0 nine times of ten, digit 3 goes its own way;
// the sampled pairs are as frequent as the training packets'.
func TestTreesReproduceADependency(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	packets := many(20000, func() []byte {
		follow := byte(rng.IntN(4))
		second := (follow * 3) % 16
		if rng.IntN(10) == 0 {
			second = byte(rng.IntN(16))
		}
		return []byte{follow<<4 | byte(rng.IntN(2)), second<<4 | byte(rng.IntN(16))}
	})
	got := mustSample(t, mustTreeModel(t, map[string][][]byte{"x": packets}), "x", 40000)
	for _, pair := range [][2]int{{0, 2}, {1, 2}, {2, 3}, {0, 1}} {
		if d := distance(packets, got, pair[0], pair[1]); d > 0.06 {
			t.Errorf("digits %v: total variation distance %.3f", pair, d)
		}
	}
}

// TestTreesSampleOrdinaryTraffic: each sampled packet is framed, and pairs of values that training
// never had do not appear where they must not.
func TestTreesSampleOrdinaryTraffic(t *testing.T) {
	sets := lan(1)
	m := mustTreeModel(t, sets)
	for label, floor := range map[string]float64{"ping": 1, "dns": 0.999, "http": 0.999} {
		known := map[string]bool{}
		for _, p := range sets[label] {
			known[essence(p)] = true
		}
		right, seen := 0, map[string]bool{}
		sampled := mustSample(t, m, label, 5000)
		for _, p := range sampled {
			if e := essence(p); known[e] {
				right++
				seen[e] = true
			}
		}
		share, coverage := float64(right)/float64(len(sampled)), float64(len(seen))/float64(len(known))
		t.Logf("%s: %.4f right, coverage %.3f of %d", label, share, coverage, len(known))
		if share < floor || coverage < 0.98 {
			t.Errorf("%s: %.4f right, want %.4f; coverage %.3f", label, share, floor, coverage)
		}
	}
}

// essence is what makes a server answer a packet: its framing, the server, and the question or
// request; "" if it is not framed.
func essence(p []byte) string {
	parsed := gopacket.NewPacket(p, layers.LayerTypeIPv4, gopacket.Default)
	ip, ok := parsed.NetworkLayer().(*layers.IPv4)
	if !ok || parsed.ErrorLayer() != nil || int(ip.Length) != len(p) {
		return ""
	}
	switch top := parsed.Layers()[1].(type) {
	case *layers.ICMPv4:
		return fmt.Sprint(ip.DstIP, top.TypeCode, len(top.Payload))
	case *layers.UDP:
		dns, ok := parsed.ApplicationLayer().(*layers.DNS)
		if !ok || int(top.Length) != len(p)-20 || len(dns.Questions) != 1 {
			return ""
		}
		return fmt.Sprint(ip.DstIP, string(dns.Questions[0].Name), dns.Questions[0].Type)
	case *layers.TCP:
		return fmt.Sprint(ip.DstIP, top.DstPort, string(top.Payload))
	}
	return ""
}

// distance is the total variation distance of the joint distributions of digits i and j.
func distance(a, b [][]byte, i, j int) float64 {
	var difference [256]float64
	add := func(packets [][]byte, share float64) {
		for _, p := range packets {
			d := encoding.AppendDigits(nil, p)
			difference[d[i]<<4|d[j]] += share / float64(len(packets))
		}
	}
	add(a, 1)
	add(b, -1)
	sum := 0.0
	for _, d := range difference {
		sum += math.Abs(d)
	}
	return sum / 2
}

func BenchmarkSampleTrees(b *testing.B) {
	m := mustTreeModel(b, lan(1))
	for _, label := range m.Labels {
		b.Run(label, func(b *testing.B) { benchmarkSampler(b, m, label) })
	}
}

// BenchmarkSampleGAN samples from the trees of ordinary traffic under an untrained generator.
func BenchmarkSampleGAN(b *testing.B) {
	m := mustUntrained(b, mustTreeModel(b, lan(1)))
	for _, label := range m.Labels {
		b.Run(label, func(b *testing.B) { benchmarkSampler(b, m, label) })
	}
}

// mustUntrained returns a model of the trees under a generator of random weights.
func mustUntrained(tb testing.TB, trees *model.Model) *model.Model {
	tb.Helper()
	m := &model.Model{Recipe: model.RecipeGAN, Labels: trees.Labels, Geometry: trees.Geometry, Forests: trees.Forests}
	m.Gate = model.NewGate(model.PriorUniform, m.Forests, m.Geometry.DigitsCapacity())
	net, err := model.NewNet(model.GateArch(m.Geometry, len(m.Labels)))
	if err != nil {
		tb.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for _, w := range net.Weights {
		for i := range w {
			w[i] = float32(rng.NormFloat64()) / 32
		}
	}
	m.Net = net
	if err := m.Validate(); err != nil {
		tb.Fatal(err)
	}
	return m
}

func benchmarkSampler(b *testing.B, m *model.Model, label string) {
	s, err := m.NewSampler(label, 1)
	if err != nil {
		b.Fatal(err)
	}
	var packet []byte
	b.ReportAllocs()
	for b.Loop() {
		if packet, err = s.Next(packet[:0]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "packets/s")
}

// mustTreeModel fits the trees of each label.
func mustTreeModel(tb testing.TB, sets map[string][][]byte) *model.Model {
	tb.Helper()
	m := &model.Model{Recipe: model.RecipeTree}
	longest := 0
	for label, packets := range sets {
		for _, p := range packets {
			longest = max(longest, len(p))
		}
		f, err := FitTrees(context.Background(), packets, 2)
		if err != nil {
			tb.Fatal(err)
		}
		m.Labels, m.Forests = append(m.Labels, label), append(m.Forests, *f)
	}
	var err error
	if m.Geometry, err = encoding.Fit(longest); err != nil {
		tb.Fatal(err)
	}
	if err := m.Validate(); err != nil {
		tb.Fatal(err)
	}
	return m
}

func mustSample(tb testing.TB, m *model.Model, label string, count int) [][]byte {
	tb.Helper()
	s, err := m.NewSampler(label, 1)
	if err != nil {
		tb.Fatal(err)
	}
	return many(count, func() []byte {
		p, err := s.Next(nil)
		if err != nil {
			tb.Fatal(err)
		}
		return bytes.Clone(p)
	})
}
