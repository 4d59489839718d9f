package appliance

import (
	"slices"
	"sync"

	"pacgan-appliance/internal/model"
)

// mostPoints bounds a curve in memory, however long a training takes.
const mostPoints = 512

// lossPoint is the losses of one step.
type lossPoint struct {
	step              int
	critic, generator float32
}

// trainCurve is how a training has gone so far. Its methods may be called from
// several goroutines.
type trainCurve struct {
	mu          sync.Mutex
	last        trainEvent
	losses      thinned[lossPoint]
	checkpoints thinned[model.Checkpoint]
}

// add takes up what a training says of one step.
func (c *trainCurve) add(e trainEvent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = e
	if e.Step > 0 && e.Model == "" {
		c.losses.add(lossPoint{e.Step, e.CriticLoss, e.GeneratorLoss})
	}
	if e.Checkpoint != nil {
		c.checkpoints.add(*e.Checkpoint)
	}
}

// latest is what was said last.
func (c *trainCurve) latest() trainEvent {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// points are copies of the curve so far: losses of steps evenly apart, and
// checkpoints.
func (c *trainCurve) points() ([]lossPoint, []model.Checkpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.losses.kept), slices.Clone(c.checkpoints.kept)
}

// thinned keeps at most mostPoints of the points that it is given: all, then
// every second, every fourth ...
type thinned[T any] struct {
	kept  []T
	every int // one in so many is kept; 0 before the first
	seen  int
}

func (t *thinned[T]) add(p T) {
	if t.every == 0 {
		t.every = 1
	}
	t.seen++
	if (t.seen-1)%t.every != 0 {
		return
	}
	if len(t.kept) == mostPoints {
		half := t.kept[:0]
		for i := 0; i < mostPoints; i += 2 {
			half = append(half, t.kept[i])
		}
		t.kept = half
		t.every *= 2
		if (t.seen-1)%t.every != 0 {
			return
		}
	}
	t.kept = append(t.kept, p)
}
