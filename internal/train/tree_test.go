package train

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/encoding"
	"pacgan-appliance/internal/model"
)

// TestLikelihood pins ML by hand: L_{1/2}(4) = ln(0.5 * 1.5 * 2.5 * 3.5), L_1(8) = ln 8!.
func TestLikelihood(t *testing.T) {
	logs := newLogTable(8)
	for _, tt := range []struct {
		name   string
		counts []uint32
		k      int
		want   float64
	}{
		{"4 and 4 of 2 values", []uint32{4, 4}, 2, 2*math.Log(6.5625) - math.Log(40320)},
		{"4 and 0 of 2 values", []uint32{4, 0}, 2, math.Log(6.5625) - math.Log(24)},
		{"1 and 1 of 2 values", []uint32{1, 1}, 2, 2*math.Log(0.5) - math.Log(2)},
		{"2, 1, 1 of 4 values", []uint32{2, 1, 1}, 4, math.Log(0.25*1.25) + 2*math.Log(0.25) - math.Log(24)},
		{"one value", []uint32{8}, 1, 0},
		{"more values than a digit has", []uint32{2, 1}, 20, math.Log(0.05*1.05) + math.Log(0.05) - math.Log(6)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := 0
			for _, n := range tt.counts {
				m += int(n)
			}
			if got := logs.likelihood(tt.counts, tt.k, m); math.Abs(got-tt.want) > 1e-12 {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestSplitRuleByHand: one-byte packets, so that digit 1 can only split on digit 0.
func TestSplitRuleByHand(t *testing.T) {
	for _, tt := range []struct {
		name    string
		packets []string
		split   int32
	}{
		// ML(node) = 2 ln 6.5625 - ln 8! = -6.84 < 2 (ln 6.5625 - ln 4!) = -2.59
		{"the second digit follows", []string{"\x00", "\x00", "\x00", "\x00", "\x11", "\x11", "\x11", "\x11"}, 0},
		// 2 ln 0.5 - ln 2 = -2.08 < 2 ln 0.5 = -1.39
		{"one packet each", []string{"\x00", "\x11"}, 0},
		// 2 ln 0.75 - ln 24 = -3.75 > 2 (2 ln 0.5 - ln 2) = -4.16
		{"independent digits", []string{"\x00", "\x01", "\x10", "\x11"}, model.Leaf},
		{"constant target", []string{"\x00", "\x10", "\x20"}, model.Leaf},
		{"constant feature", []string{"\x00", "\x01", "\x02"}, model.Leaf},
		// k = 2: L(7) + L(1) - ln 8! = -4.34; the children (4, 0) and (3, 1):
		// (ln 6.5625 - ln 4!) + (ln 1.875 + ln 0.5 - ln 4!) = -4.54
		{"a rare exception", []string{"\x00", "\x00", "\x00", "\x00", "\x10", "\x10", "\x10", "\x11"}, model.Leaf},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := mustFit(t, toBytes(tt.packets))
			if got := f.Split[f.Root[1]]; got != tt.split {
				t.Errorf("digit 1 splits on %d, want %d", got, tt.split)
			}
		})
	}
}

// TestFirstOfEqualSplitsWins: digits 0 and 1 are the same up to their names, and both tell digit 2.
func TestFirstOfEqualSplitsWins(t *testing.T) {
	var packets [][]byte
	for i := range 300 {
		v := byte(i * 7 % 16)
		packets = append(packets, []byte{v<<4 | v ^ 5, v * v << 4})
	}
	f := mustFit(t, packets)
	if got := f.Split[f.Root[2]]; got != 0 {
		t.Errorf("digit 2 splits on %d, want 0", got)
	}
}

// TestForestByHand writes out a whole forest: two packets of one byte and two of two.
func TestForestByHand(t *testing.T) {
	got := mustFit(t, toBytes([]string{"\x10", "\x10", "\x25\xab", "\x25\xab"}))
	leaf := int32(model.Leaf)
	want := &model.Forest{
		MinLen: 1,
		Root:   []int32{0, 1, 4, 5, 6},
		Split:  []int32{leaf, 0, leaf, leaf, leaf, leaf, 0, leaf, leaf},
		Kids:   []int32{leaf, 0, leaf, leaf, leaf, leaf, 16, leaf, leaf},
		Child: []int32{
			leaf, 2, 3, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf,
			leaf, 7, 8, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf,
		},
		First: []int32{0, 2, 4, 5, 6, 7, 8, 10, 11, 12},
		Value: []uint16{1, 2 /* digit 1: */, 0, 5, 0, 5 /* 2, 3: */, 10, 11 /* length: */, 1, 2, 1, 2},
		Count: []uint32{2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("forest (-want +got):\n%s", diff)
	}
}

// TestMatchesTheDefinition compares with the rule written down plainly, on random dependent data of
// varying length.
func TestMatchesTheDefinition(t *testing.T) {
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 3))
		packets := many(1+rng.IntN(400), func() []byte { return dependentPacket(rng, int(seed)) })
		got := mustFit(t, packets)
		if diff := cmp.Diff(defineForest(packets), got); diff != "" {
			t.Errorf("seed %d: forest (-want +got):\n%s", seed, diff)
		}
	}
}

// dependentPacket has 2 to 5 bytes; later digits depend on earlier ones, with noise.
func dependentPacket(rng *rand.Rand, values int) []byte {
	d := make([]uint8, 2*(2+rng.IntN(4)))
	for i := range d {
		d[i] = uint8(rng.IntN(2 + values))
		if i > 2 && rng.IntN(8) > 0 {
			d[i] = (d[i-1-i%3] + uint8(i)) % encoding.Values
		}
	}
	p, _ := encoding.AppendBytes(nil, d) // digits below 16, an even number
	return p
}

func TestOrderAndThreadsDoNotMatter(t *testing.T) {
	packets := lan(1)["dns"]
	want := mustFit(t, packets)
	rand.New(rand.NewPCG(5, 5)).Shuffle(len(packets), func(i, j int) { packets[i], packets[j] = packets[j], packets[i] })
	for _, threads := range []int{0, 1, 3} {
		got, err := FitTrees(context.Background(), packets, threads)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%d threads (-want +got):\n%s", threads, diff)
		}
	}
}

func TestFitTreesErrors(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for _, tt := range []struct {
		name    string
		ctx     context.Context
		packets [][]byte
		want    string
	}{
		{"no packets", context.Background(), nil, "fit trees: no packets"},
		{"too long", context.Background(), [][]byte{make([]byte, 70000)}, "fit trees: packet of 70000 bytes: the longest IPv4 packet has 65535"},
		{"cancelled", cancelled, [][]byte{{1}}, "fit trees: context canceled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := FitTrees(tt.ctx, tt.packets, 1)
			if err == nil || err.Error() != tt.want {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// cancelAfter is a context that is cancelled once it was asked a number of times.
type cancelAfter struct {
	context.Context
	left int
}

func (c *cancelAfter) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestGrowingStopsWithinATree(t *testing.T) {
	table, err := newDigitTable(lan(1)["dns"])
	if err != nil {
		t.Fatal(err)
	}
	ctx := &cancelAfter{Context: context.Background(), left: 2}
	digit := 7 // the total length's last, which splits
	if _, err := newGrower(table).growTree(ctx, digit); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

func TestEmptyPackets(t *testing.T) {
	f := mustFit(t, [][]byte{{}, {0xab}, {}})
	if f.MinLen != 0 || f.Digits() != 2 || f.Nodes() != 3 {
		t.Errorf("min %d, %d digits, %d nodes", f.MinLen, f.Digits(), f.Nodes())
	}
	values, counts := f.Support(f.Walk(2, nil))
	if !slices.Equal(values, []uint16{0, 1}) || !slices.Equal(counts, []uint32{2, 1}) {
		t.Errorf("lengths %v, counts %v", values, counts)
	}
}

func mustFit(tb testing.TB, packets [][]byte) *model.Forest {
	tb.Helper()
	f, err := FitTrees(context.Background(), packets, 1)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

func toBytes(packets []string) (bytes [][]byte) {
	for _, p := range packets {
		bytes = append(bytes, []byte(p))
	}
	return bytes
}
