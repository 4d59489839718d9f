package train

import (
	"bytes"
	"cmp"
	"math"
	"math/rand/v2"
	"testing"
)

// TestCosts pins the lengths of descriptions, in nats, by hand.
func TestCosts(t *testing.T) {
	const s, b = 1. / 16, 1. / 256
	digit := math.Log(2) - math.Log(1+s) - math.Log(s) // two equal digits: 2! / (s (s+1))
	for _, tt := range []struct {
		name      string
		got, want float64
	}{
		{"one digit of 16", digitsCost(rows("\x00")), -2 * math.Log(s)},
		{"two equal bytes, digit by digit", digitsCost(rows("\x12", "\x12")), 2 * digit},
		{"two bytes of one low digit", digitsCost(rows("\x12", "\x32")), digit + math.Log(2) - 2*math.Log(s)},
		{"lengths that vary", digitsCost(rows("", "\x12")), math.Log(2) - 2*math.Log(s)},
		{"nothing", digitsCost(rows("", "")), 0},
		{"text is of four bytes at least", textCost(rows("aaa", "aaa")), math.Inf(1)},
		{"text of one letter", textCost(rows("aaaa")), math.Log(24) - math.Log(b) - math.Log(1+b) - math.Log(2+b) - math.Log(3+b)},
		{"text of two letters", textCost(rows("abab")), math.Log(24) - 2*math.Log(b) - 2*math.Log(1+b)},
		{"one word twice", wordCost(rows("a", "a")), math.Log(2) + digitsCost(rows("a"))},
		{"two words", wordCost(rows("a", "b")), math.Log(2) + digitsCost(rows("a", "b"))},
		{"a a b", repeatCost([]int{1, 1, 2}, func(a, b int) bool { return a == b }), math.Log(6)},
		{"a a a", repeatCost([]int{1, 1, 1}, func(a, b int) bool { return a == b }), math.Log(3)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.got != tt.want && math.Abs(tt.got-tt.want) > 1e-9 {
				t.Errorf("got %v, want %v", tt.got, tt.want)
			}
		})
	}
}

// TestPieceCostIsWordCost: the fast way gives what the plain one does for words described digit by digit.
func TestPieceCostIsWordCost(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for width := 1; width <= longestPiece; width++ {
		packets := many(200, func() []byte {
			p := make([]byte, width)
			for i := range p {
				p[i] = byte(rng.IntN(3)) << (2 * rng.IntN(4))
			}
			return p
		})
		want := wordCost(packets)
		if words := distinct(packets); textCost(words) < digitsCost(words) {
			want += digitsCost(words) - textCost(words)
		}
		if got := pieceCost(packets); math.Abs(got-want) > 1e-9*want {
			t.Errorf("%d bytes: %v, want %v", width, got, want)
		}
	}
}

// TestCheapestDescription: which way of describing a field is the shortest, for fields of a known kind.
func TestCheapestDescription(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	names := many(12, func() []byte { return random(rng, 6) })
	for _, tt := range []struct {
		want string
		one  func() []byte
	}{
		{"words", func() []byte { return names[rng.IntN(len(names))] }},
		{"digits", func() []byte { return random(rng, 6) }},
		{"text", func() []byte {
			return bytes.Map(func(r rune) rune { return rune("aeiourst"[r%8]) }, random(rng, 6))[:6]
		}},
	} {
		packets := many(costSample, tt.one)
		costs := map[string]float64{"words": wordCost(packets), "digits": digitsCost(packets), "text": textCost(packets)}
		best := ""
		for name, cost := range costs {
			if best == "" || cmp.Less(cost, costs[best]) {
				best = name
			}
		}
		if best != tt.want {
			t.Errorf("%s are described by %s: %v", tt.want, best, costs)
		}
	}
}

func rows(s ...string) (rows [][]byte) {
	for _, row := range s {
		rows = append(rows, []byte(row))
	}
	return rows
}
