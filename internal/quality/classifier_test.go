package quality

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestColumnSet(t *testing.T) {
	many := make([]int, 512)
	thinned := make([]uint8, 512)
	for i := range many {
		many[i] = i
		thinned[i] = uint8(i / 2)
	}
	type add struct {
		numbers []int
		names   bool
	}
	tests := []struct {
		name string
		adds []add
		want []column
	}{
		{"ranks keep the order", []add{{[]int{900, -5, 900, 3}, false}}, []column{{[]uint8{2, 0, 2, 1}, 3}}},
		{"names do not", []add{{[]int{900, -5, 900, 3}, true}}, []column{{[]uint8{0, 1, 0, 2}, 3}}},
		{"a constant tells nothing", []add{{[]int{4, 4}, false}, {[]int{4, 4}, true}}, nil},
		{"the same order twice", []add{{[]int{1, 2}, false}, {[]int{10, 30}, false}}, []column{{[]uint8{0, 1}, 2}}},
		{"the same parts twice", []add{{[]int{1, 2}, true}, {[]int{30, 10}, true}}, []column{{[]uint8{0, 1}, 2}}},
		{"thinned", []add{{many, false}}, []column{{thinned, 256}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newColumnSet()
			for _, a := range tt.adds {
				if a.names {
					s.addNames(a.numbers)
				} else {
					s.add(a.numbers, maxLevels)
				}
			}
			if diff := cmp.Diff(tt.want, s.columns, cmp.AllowUnexported(column{})); diff != "" {
				t.Errorf("columns (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLengthFeatures(t *testing.T) {
	dig := mustHex(t, digHex)
	tests := []struct {
		name                      string
		packet                    []byte
		length, excess, transport int
	}{
		{"dig", dig, 83, 0, 0},
		{"cut by three", dig[:80], 80, 3, 3},
		{"UDP length of 65535", altered([][]byte{dig}, func(_ int, p []byte) { p[24], p[25] = 0xff, 0xff })[0], 83, 0, 65535 - 63},
		{"cut in the UDP header", dig[:24], 24, 59, 0},
		{"header length past the end", altered([][]byte{dig[:24]}, func(_ int, p []byte) { p[0] = 0x4f })[0], 24, 59, 0},
		{"ping has no length of its own", mustHex(t, pingHex), 84, 0, 0},
		{"three bytes", dig[:3], 3, 0, 0},
		{"nothing", nil, 0, 0, 0},
	}
	for _, tt := range tests {
		got := []int{length(tt.packet), ipExcess(tt.packet), transportExcess(tt.packet)}
		if diff := cmp.Diff([]int{tt.length, tt.excess, tt.transport}, got); diff != "" {
			t.Errorf("%s: features (-want +got):\n%s", tt.name, diff)
		}
	}
}

// xor gives two columns that tell nothing alone and everything together, and
// one that tells nothing at all.
func xor(n int) (columns []column, labels []bool) {
	rng := rand.New(rand.NewPCG(1, 1))
	columns = []column{{make([]uint8, n), 4}, {make([]uint8, n), 4}, {make([]uint8, n), 4}}
	labels = make([]bool, n)
	for row := range n {
		labels[row] = row%2 == 0
		a := uint8(rng.IntN(4))
		columns[0].codes[row], columns[1].codes[row] = a, a^1
		if labels[row] {
			columns[1].codes[row] = a
		}
		columns[2].codes[row] = uint8(rng.IntN(4))
	}
	return columns, labels
}

func upTo(n int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	return rows
}

func TestPairGain(t *testing.T) {
	// Eight rows of one value, four of each label: each inner fold has one of
	// each, the others three of each, so that the odds are even and say nothing.
	even := column{make([]uint8, 8), 1}
	labels := []bool{true, true, true, true, false, false, false, false}
	logs := []float64{0, 0, math.Log(2), math.Log(3), math.Log(4), math.Log(5), math.Log(6), math.Log(7), math.Log(8), math.Log(9), math.Log(10)}
	var c cellCounts
	c.count(even, even, labels, upTo(8))
	if got := c.gain(logs); math.Abs(got) > 1e-12 {
		t.Errorf("gain of even odds = %v, want 0", got)
	}
	// Two values, each of one label: a row's fold sees three of its own, so
	// that it is given (3+1)/(3+2) = 4/5: eight rows gain ln(2 * 4/5).
	sure := column{[]uint8{1, 1, 1, 1, 0, 0, 0, 0}, 2}
	c.count(sure, even, labels, upTo(8))
	if got, want := c.gain(logs), 8*math.Log(1.6); math.Abs(got-want) > 1e-12 {
		t.Errorf("gain of sure odds = %v, want %v", got, want)
	}
}

func TestBestPairsFindsWhatColumnsAloneHide(t *testing.T) {
	const n = 400
	columns, labels := xor(n)
	train, test := upTo(n)[:300], upTo(n)[300:]
	pairs, err := bestPairs(context.Background(), columns, labels, train)
	if err != nil {
		t.Fatal(err)
	}
	if len(pairs) == 0 || pairs[0].a != 1 || pairs[0].b != 0 {
		t.Fatalf("pairs = %+v, want (1, 0) first", pairs)
	}
	odds := pairs[0].encode(columns, labels, train, test)
	for _, row := range append(train, test...) {
		if generated := odds.codes[row] > pairLevels/2; generated != labels[row] {
			t.Errorf("row %d: odds %d of %d for label %t", row, odds.codes[row], pairLevels, labels[row])
		}
	}
}

func TestBoosterSplit(t *testing.T) {
	// Gradients -1/2 (generated) and 1/2 at even odds, curvature 1/4: sixteen
	// rows of two values, the label going by the value in column 1 alone.
	const n = 32
	b := booster{
		columns:   []column{{make([]uint8, n), 2}, {make([]uint8, n), 3}},
		gradient:  make([]float64, n),
		curvature: make([]float64, n),
	}
	for row := range n {
		b.columns[0].codes[row] = uint8(row % 2)
		b.gradient[row], b.curvature[row] = -0.5, 0.25
		if row >= n/2 {
			b.columns[1].codes[row] = 2
			b.gradient[row] = 0.5
		}
	}
	tree := b.grow(nil, upTo(n), []int{0, 1}, 1)
	// A leaf is -G/(H+1) = 16/2 / (16/4 + 1) = 1.6.
	want := []node{
		{column: 1, cut: 0, left: 1, right: 2},
		{value: 1.6},
		{value: -1.6},
	}
	if diff := cmp.Diff(want, tree, cmp.AllowUnexported(node{})); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	if got := b.leaf(tree, n-1); got != -1.6 {
		t.Errorf("leaf of the last row = %v, want -1.6", got)
	}
}

func TestBoosterNeedsEnoughRows(t *testing.T) {
	// Four rows have a curvature of 1: no leaf may be that small.
	b := booster{
		columns:   []column{{[]uint8{0, 0, 1, 1}, 2}},
		gradient:  []float64{-0.5, -0.5, 0.5, 0.5},
		curvature: []float64{0.25, 0.25, 0.25, 0.25},
	}
	if diff := cmp.Diff([]node{{}}, b.grow(nil, upTo(4), []int{0}, depth), cmp.AllowUnexported(node{})); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

func TestBoosterRun(t *testing.T) {
	const n = 400
	columns, labels := xor(n)
	train, test := upTo(n)[:300], upTo(n)[300:]
	b := booster{columns: columns, labels: labels, rng: rand.New(rand.NewPCG(1, 1))}
	scores, err := b.run(context.Background(), train, test)
	if err != nil {
		t.Fatal(err)
	}
	if got := rocArea(scores, labels, test); got < 0.99 {
		t.Errorf("AUC = %v, want 1 within 0.01", got)
	}
}
