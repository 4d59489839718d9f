package train

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pacgan-appliance/internal/encoding"
	"pacgan-appliance/internal/model"
)

// TestLikelihood pins ML by hand: L_{1/2}(4) = ln(0.5 * 1.5 * 2.5 * 3.5), L_1(8) = ln 8!.
func TestLikelihood(t *testing.T) {
	s := newScorer()
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
			s.reset(tt.k, m)
			if got := s.likelihood(tt.counts, m); math.Abs(got-tt.want) > 1e-12 {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestEven: counts that chance alone makes different are taken as equal, others stay.
func TestEven(t *testing.T) {
	for _, tt := range []struct {
		name         string
		counts, want []uint32
	}{
		{"a coin", []uint32{13, 11}, []uint32{1, 1}},
		{"a habit", []uint32{23, 1}, []uint32{23, 1}},
		{"one value", []uint32{7}, []uint32{1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := 0
			for _, n := range tt.counts {
				m += int(n)
			}
			text := slices.Clone(tt.counts)
			evenText(text)
			if diff := cmp.Diff(tt.want, text); diff != "" {
				t.Errorf("counts of a text (-want +got):\n%s", diff)
			}
			s := newScorer()
			s.reset(len(tt.counts), m)
			s.even(tt.counts, m)
			if diff := cmp.Diff(tt.want, tt.counts); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSplitRuleByHand grows the tree of a variable of which one other, or several alike, are known.
func TestSplitRuleByHand(t *testing.T) {
	for _, tt := range []struct {
		name     string
		target   []uint16
		features [][]uint16
		split    int32
	}{
		// k = 2: own, even: -8 ln 2 = -5.55 < 2 (ln 6.5625 - ln 4!) = -2.59
		{"the target follows", []uint16{0, 0, 0, 0, 1, 1, 1, 1}, [][]uint16{{0, 0, 0, 0, 1, 1, 1, 1}}, 0},
		// even: -2 ln 2 = 2 ln 0.5, which a split would not exceed
		{"one packet each", []uint16{0, 1}, [][]uint16{{0, 1}}, model.Leaf},
		{"independent", []uint16{0, 1, 0, 1}, [][]uint16{{0, 0, 1, 1}}, model.Leaf},
		{"a constant target", []uint16{0, 0, 0}, [][]uint16{{0, 1, 2}}, model.Leaf},
		{"a constant feature", []uint16{0, 1, 2}, [][]uint16{{0, 0, 0}}, model.Leaf},
		{"the first of equals", []uint16{0, 0, 0, 0, 1, 1, 1, 1}, [][]uint16{{0, 0, 0, 0, 1, 1, 1, 1}, {2, 2, 2, 2, 0, 0, 0, 0}}, 0},
		// -2.59 - ln 25 < -5.55: the one that tells most of so many has to tell more
		{"the choice of many", []uint16{0, 0, 0, 0, 1, 1, 1, 1}, slices.Repeat([][]uint16{{0, 0, 0, 0, 1, 1, 1, 1}}, 25), model.Leaf},
		{"a feature that parts all", []uint16{0, 1, 0, 1, 0, 1}, [][]uint16{{0, 1, 2, 3, 4, 5}}, model.Leaf},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := mustGrow(t, tt.target, tt.features)
			if got.split[0] != tt.split {
				t.Errorf("splits on %d, want %d", got.split[0], tt.split)
			}
		})
	}
}

// mustGrow grows the tree of target over the features, all of 16 values.
func mustGrow(t *testing.T, target []uint16, features [][]uint16) tree {
	t.Helper()
	var vars []variable
	var all []int32
	for j, codes := range features {
		vars, all = append(vars, variable{codes: codes, arity: digitValues}), append(all, int32(j))
	}
	vars = append(vars, variable{codes: target, arity: digitValues})
	got, err := newGrower(vars, len(target)).growTree(t.Context(), len(features), all)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestMatchesTheDefinition compares with the rule written down plainly, on random dependent values.
func TestMatchesTheDefinition(t *testing.T) {
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 3))
		columns := make([][]uint16, 6)
		for range 1 + rng.IntN(400) {
			var row [6]uint16
			for i := range row {
				row[i] = uint16(rng.IntN(2 + int(seed)))
				if i > 1 && rng.IntN(8) > 0 {
					row[i] = (row[i-1-i%2] + uint16(i)) % digitValues
				}
				columns[i] = append(columns[i], row[i])
			}
		}
		target, features := columns[5], columns[:5]
		var want tree
		var all []int
		for r := range target {
			all = append(all, r)
		}
		defineTree(&want, target, features, all)
		opts := cmp.AllowUnexported(tree{}, kid{})
		if diff := cmp.Diff(want, mustGrow(t, target, features), opts, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("seed %d: tree (-want +got):\n%s", seed, diff)
		}
	}
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
	target := slices.Repeat([]uint16{0, 1}, 100)
	vars := []variable{{codes: target, arity: 2}, {codes: target, arity: 2}}
	ctx := &cancelAfter{Context: context.Background(), left: 1} // the root is grown, its children are not
	if _, err := newGrower(vars, len(target)).growTree(ctx, 1, []int32{0}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

func TestEmptyPackets(t *testing.T) {
	f := mustFit(t, [][]byte{{}, {0xab}, {}})
	m := &model.Model{Recipe: model.RecipeTree, Labels: []string{"x"}, Geometry: encoding.Paper(), Forests: []model.Forest{*f}}
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, p := range mustSample(t, m, "x", 20) {
		if len(p) > 0 && !bytes.Equal(p, []byte{0xab}) {
			t.Errorf("packet %x", p)
		}
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
