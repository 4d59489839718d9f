// Package quality says how far generated packets are from real ones: byte
// error, novelty, coverage, field distances and a two-sample test, label by
// label. It judges bytes only: whether a packet is answered is
// internal/verify's to say, and it never changes, picks or drops a packet.
package quality

import (
	"context"
	"fmt"
)

// Options of Measure.
type Options struct {
	// Seed of the classifier: the same seed and packets give the same Report.
	Seed uint64
	// MaxPerClass bounds the packets of each class, generated and held-out,
	// that the classifier sees; 0 means 2,000.
	MaxPerClass int
}

const defaultMaxPerClass = 2000

// Measure compares the generated packets of one label with its real ones: the
// share that trained the generator and the share held out from it. A packet
// starts at its IPv4 header and may hold anything, malformed bytes too; none
// is changed. Checksums are ignored throughout.
//
// The measures are defined at Report's fields. It stops with ctx's error when
// ctx ends, and fails on a negative Options.MaxPerClass.
func Measure(ctx context.Context, o Options, generated, train, heldOut [][]byte) (Report, error) {
	if o.MaxPerClass < 0 {
		return Report{}, fmt.Errorf("quality: MaxPerClass %d: give 0 for the default or a positive number", o.MaxPerClass)
	}
	if o.MaxPerClass == 0 {
		o.MaxPerClass = defaultMaxPerClass
	}
	r, err := measure(ctx, o, generated, train, heldOut)
	if err != nil {
		return Report{}, fmt.Errorf("quality of %d generated packets: %w", len(generated), err)
	}
	return r, nil
}

func measure(ctx context.Context, o Options, generated, train, heldOut [][]byte) (Report, error) {
	var r Report
	r.N.Generated, r.N.Train, r.N.HeldOut = len(generated), len(train), len(heldOut)
	if err := r.nearest(ctx, generated, train, heldOut); err != nil {
		return Report{}, err
	}
	r.sets(generated, train)

	gen, tr, held := readAll(generated), readAll(train), readAll(heldOut)
	if err := ctx.Err(); err != nil {
		return Report{}, err
	}
	r.N.Unparsable = countUnparsable(gen)
	r.coverage(gen, tr)
	r.fieldDistances(gen, tr, held)

	auc, err := twoSampleAUC(ctx, o, sample{generated, gen}, sample{heldOut, held})
	if err != nil {
		return Report{}, err
	}
	r.AUC, r.N.AUCPerClass = auc.value, auc.perClass
	return r, nil
}

// share is count/of, and 0 of nothing.
func share(count, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(count) / float64(of)
}
