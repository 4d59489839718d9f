package quality

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
)

// The classifier's cross-validation.
const (
	folds       = 5
	minPerClass = 2 * folds // below, a fold would hold a single packet of a class
)

// sample is packets of one class, as bytes and as fields.
type sample struct {
	packets [][]byte
	fields  []values
}

// take gives n of the packets, drawn by rng, the checksums cleared.
func (s sample) take(n int, rng *rand.Rand) sample {
	var taken sample
	for _, i := range rng.Perm(len(s.packets))[:n] {
		taken.packets = append(taken.packets, []byte(identity(s.packets[i])))
		taken.fields = append(taken.fields, s.fields[i])
	}
	return taken
}

// aucResult is an area under the ROC curve and the packets of each class
// behind it, 0 where there were too few.
type aucResult struct {
	value    float64
	perClass int
}

// twoSampleAUC trains boosted trees to tell generated from held-out packets
// and scores packets that they were not trained on (a classifier two-sample
// test, Lopez-Paz and Oquab 2017). Both classes have the same size, so that
// the prior tells nothing. The AUC is the mean over five folds of the fold's
// own, because scores of different classifiers do not compare.
func twoSampleAUC(ctx context.Context, o Options, generated, heldOut sample) (aucResult, error) {
	n := min(len(generated.packets), len(heldOut.packets), o.MaxPerClass)
	if n < minPerClass {
		return aucResult{value: 0.5}, nil
	}
	rng := rand.New(rand.NewPCG(o.Seed, 0x7061_6367_616e)) // a stream of its own: "pacgan"
	gen, held := generated.take(n, rng), heldOut.take(n, rng)
	rows := sample{append(gen.packets, held.packets...), append(gen.fields, held.fields...)}
	generatedRow := func(row int) bool { return row < n } // rows are in random order within a class
	labels := make([]bool, 2*n)
	for row := range labels {
		labels[row] = generatedRow(row)
	}
	columns, candidates := columnsOf(rows)

	sum := 0.0
	for fold := range folds {
		var train, test []int
		for row := range labels {
			if row%n%folds == fold {
				test = append(test, row)
			} else {
				train = append(train, row)
			}
		}
		scores, err := classify(ctx, rng, columns, candidates, labels, train, test)
		if err != nil {
			return aucResult{}, err
		}
		sum += rocArea(scores, labels, test)
	}
	return aucResult{sum / folds, n}, nil
}

// classify trains on some rows and gives the scores of others: higher means
// generated.
func classify(ctx context.Context, rng *rand.Rand, columns, candidates []column, labels []bool, train, test []int) ([]float64, error) {
	pairs, err := bestPairs(ctx, candidates, labels, train)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(columns)
	for _, p := range pairs {
		all = append(all, p.encode(candidates, labels, train, test))
	}
	b := booster{columns: all, always: len(pairs), labels: labels, rng: rng}
	return b.run(ctx, train, test)
}

// rocArea is the chance that a generated row scores above a held-out one, ties
// counting half: the Mann-Whitney statistic by ranks. scores go with rows.
func rocArea(scores []float64, labels []bool, rows []int) float64 {
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(scores[a], scores[b]) })
	rankSum, positives := 0.0, 0
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && scores[order[to]] == scores[order[from]] {
			to++
		}
		rank := float64(from+to+1) / 2 // mean of the ranks from+1 .. to
		for _, i := range order[from:to] {
			if labels[rows[i]] {
				rankSum += rank
				positives++
			}
		}
		from = to
	}
	negatives := len(rows) - positives
	if positives == 0 || negatives == 0 {
		return 0.5
	}
	p := float64(positives)
	return (rankSum - p*(p+1)/2) / (p * float64(negatives))
}
