package quality

import (
	"cmp"
	"context"
	"math"
	"slices"
)

// Greedy trees are blind to two columns that are each right and do not go
// together: no first split gains anything. Such pairs are found by counting,
// and the best become columns: the log odds that a row with these two values
// is generated.
const (
	maxPairs     = 24   // columns that pairs become
	maxPairCells = 4096 // joint values of a pair
	innerFolds   = 4    // a row's own label must not be in the odds it is given
	pairLevels   = 64   // of a pair's column
	pairLogOdds  = 4.0  // beyond, in either direction, odds are as good as sure
)

// pair is two candidate columns, by number.
type pair struct {
	a, b int
	gain float64 // log-likelihood in nats beyond what both tell alone
}

// cellCounts counts rows by inner fold, joint value and label.
type cellCounts struct {
	cells  int
	counts [innerFolds][]uint32 // [fold][2*cell+label]
}

func (c *cellCounts) count(a, b column, labels []bool, rows []int) {
	c.cells = a.levels * b.levels
	for fold := range innerFolds {
		if cap(c.counts[fold]) < 2*c.cells {
			c.counts[fold] = make([]uint32, 2*maxPairCells)
		}
		c.counts[fold] = c.counts[fold][:2*c.cells]
		clear(c.counts[fold])
	}
	for i, row := range rows {
		at := 2 * (int(a.codes[row])*b.levels + int(b.codes[row]))
		if labels[row] {
			at++
		}
		c.counts[i%innerFolds][at]++
	}
}

// outside gives the counts of a cell in all folds but one; fold < 0 leaves
// none out.
func (c *cellCounts) outside(cell, fold int) (real, generated uint32) {
	for f := range innerFolds {
		if f != fold {
			real += c.counts[f][2*cell]
			generated += c.counts[f][2*cell+1]
		}
	}
	return real, generated
}

// gain is the log-likelihood in nats of the labels of each inner fold under the
// other folds' shares (Laplace's rule), beyond that of a fair coin. logs[n] is
// ln n.
func (c *cellCounts) gain(logs []float64) float64 {
	sum := 0.0
	for cell := range c.cells {
		for fold := range innerFolds {
			real, generated := c.counts[fold][2*cell], c.counts[fold][2*cell+1]
			if real+generated == 0 {
				continue
			}
			outReal, outGenerated := c.outside(cell, fold)
			all := logs[outReal+outGenerated+2]
			sum += float64(real)*(logs[outReal+1]-all) + float64(generated)*(logs[outGenerated+1]-all)
			sum += float64(real+generated) * math.Ln2
		}
	}
	return sum
}

// bestPairs finds the pairs of candidates that tell most beyond what their
// columns tell alone, on the given rows.
func bestPairs(ctx context.Context, candidates []column, labels []bool, rows []int) ([]pair, error) {
	logs := make([]float64, len(rows)+3)
	for n := range logs {
		logs[n] = math.Log(float64(max(n, 1)))
	}
	var counts cellCounts
	alone := make([]float64, len(candidates))
	for i, c := range candidates {
		counts.count(c, column{make([]uint8, len(labels)), 1}, labels, rows)
		alone[i] = max(0, counts.gain(logs))
	}
	var pairs []pair
	for a := range candidates {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for b := range a {
			if candidates[a].levels*candidates[b].levels > maxPairCells {
				continue
			}
			counts.count(candidates[a], candidates[b], labels, rows)
			if gain := counts.gain(logs) - alone[a] - alone[b]; gain > 0 {
				pairs = append(pairs, pair{a, b, gain})
			}
		}
	}
	slices.SortStableFunc(pairs, func(x, y pair) int { return cmp.Compare(y.gain, x.gain) })
	return pairs[:min(len(pairs), maxPairs)], nil
}

// encode gives the pair's column: the log odds by the training rows, for one
// of those by the rows of the other inner folds.
func (p pair) encode(candidates []column, labels []bool, train, test []int) column {
	a, b := candidates[p.a], candidates[p.b]
	var counts cellCounts
	counts.count(a, b, labels, train)
	codes := make([]uint8, len(labels))
	put := func(row, fold int) {
		real, generated := counts.outside(int(a.codes[row])*b.levels+int(b.codes[row]), fold)
		odds := math.Log(float64(generated+1) / float64(real+1))
		odds = min(max(odds, -pairLogOdds), pairLogOdds)
		codes[row] = uint8(math.Round((odds + pairLogOdds) / (2 * pairLogOdds) * (pairLevels - 1)))
	}
	for i, row := range train {
		put(row, i%innerFolds)
	}
	for _, row := range test {
		put(row, -1)
	}
	return column{codes, pairLevels}
}
