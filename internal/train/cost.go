package train

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
)

const (
	// costSample is the number of packets that ways of describing a field are compared on.
	costSample = 512
	// longestPiece is the longest word that a run of varying bytes is cut into, its whole aside.
	longestPiece = 8
)

// digitsCost is the length of describing rows digit by digit, in nats: that of each digit's column, -ML with k = 16
// (see FitTrees), and of the rows' lengths where they vary.
func digitsCost(rows [][]byte) float64 {
	cost := lengthsCost(rows)
	for x := 0; ; x++ {
		var high, low [digitValues]int
		n := 0
		for _, row := range rows {
			if x < len(row) {
				high[row[x]>>4]++
				low[row[x]&15]++
				n++
			}
		}
		if n == 0 {
			return cost
		}
		cost += columnCost(&high, n) + columnCost(&low, n)
	}
}

func columnCost(counts *[digitValues]int, n int) float64 {
	cost, _ := math.Lgamma(float64(n) + 1)
	bottom, _ := math.Lgamma(1. / digitValues)
	for _, c := range counts {
		if c > 0 {
			top, _ := math.Lgamma(1./digitValues + float64(c))
			cost -= top - bottom
		}
	}
	return cost
}

// lengthsCost is the length of describing the rows' lengths by how often each was there before.
func lengthsCost(rows [][]byte) float64 {
	lengths := make([]int, len(rows))
	for i, row := range rows {
		lengths[i] = len(row)
	}
	slices.Sort(lengths)
	if len(rows) == 0 || lengths[0] == lengths[len(lengths)-1] {
		return 0
	}
	return repeatCost(lengths, func(a, b int) bool { return a == b })
}

// wordCost is the length of describing rows as words, in nats: each distinct one digit by digit or as text, and for each
// row which one it is, by how often it was there before (a Chinese restaurant process of concentration 1).
func wordCost(rows [][]byte) float64 {
	words := slices.Clone(rows)
	slices.SortFunc(words, bytes.Compare)
	cost := repeatCost(words, bytes.Equal)
	words = slices.CompactFunc(words, bytes.Equal)
	return cost + min(digitsCost(words), textCost(words))
}

// pieceCost is wordCost of short rows of one length, the words digit by digit, faster.
func pieceCost(rows [][]byte) float64 {
	width := len(rows[0])
	keys := make([]uint64, len(rows))
	for i, row := range rows {
		var b [8]byte
		copy(b[:], row)
		keys[i] = binary.BigEndian.Uint64(b[:])
	}
	slices.Sort(keys)
	cost := repeatCost(keys, func(a, b uint64) bool { return a == b })
	keys = slices.Compact(keys)
	for x := range width {
		var high, low [digitValues]int
		for _, k := range keys {
			b := byte(k >> (56 - 8*x))
			high[b>>4]++
			low[b&15]++
		}
		cost += columnCost(&high, len(keys)) + columnCost(&low, len(keys))
	}
	return cost
}

// repeatCost is -ln of the probability ((n_1-1)! (n_2-1)! ...) / m! of sorted values' repetitions.
func repeatCost[T any](sorted []T, equal func(a, b T) bool) float64 {
	cost, _ := math.Lgamma(float64(len(sorted)) + 1)
	for i := 0; i < len(sorted); {
		end := i + 1
		for end < len(sorted) && equal(sorted[i], sorted[end]) {
			end++
		}
		again, _ := math.Lgamma(float64(end - i))
		cost -= again
		i = end
	}
	return cost
}
