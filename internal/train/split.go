package train

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"pacgan-appliance/internal/encoding"
)

// split is the data as training sees it: for each label what the generator is fitted to, and what its checkpoints
// are judged by.
type split struct {
	labels   []string
	train    [][][]byte // [label][packet]
	validate [][][]byte
	geometry encoding.Geometry
}

// One packet in validateShare is held out, and no more than validateMost of a label: more would make judging slow, not
// better.
const (
	validateShare = 5
	validateMost  = 1000
	fewestPackets = 10
)

// newSplit splits each label's packets at random.
func newSplit(data Data, seed uint64) (*split, error) {
	if len(data) == 0 {
		return nil, errors.New("no labels")
	}
	geometry, err := geometryOf(data)
	if err != nil {
		return nil, err
	}
	s := &split{geometry: geometry}
	seen := map[string]bool{}
	for i, set := range data {
		if seen[set.Label] {
			return nil, fmt.Errorf("label %q is given twice", set.Label)
		}
		seen[set.Label] = true
		if len(set.Packets) < fewestPackets {
			return nil, fmt.Errorf("label %q has %d packets: at least %d are needed", set.Label, len(set.Packets), fewestPackets)
		}
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		shuffled := make([][]byte, len(set.Packets))
		for at, from := range rng.Perm(len(set.Packets)) {
			shuffled[at] = set.Packets[from]
		}
		held := min(len(shuffled)/validateShare, validateMost)
		s.labels = append(s.labels, set.Label)
		s.validate = append(s.validate, shuffled[:held])
		s.train = append(s.train, shuffled[held:])
	}
	return s, nil
}

// whole returns the split with its validation packets among those to train on.
func (s *split) whole() *split {
	w := *s
	w.train = nil
	for i, packets := range s.train {
		w.train = append(w.train, slices.Concat(packets, s.validate[i]))
	}
	return &w
}
