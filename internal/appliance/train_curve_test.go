package appliance

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/model"
)

// TestTrainCurveIsBounded keeps points that are evenly apart, the first
// included, of a training of any length.
func TestTrainCurveIsBounded(t *testing.T) {
	for _, steps := range []int{3, mostPoints, mostPoints + 1, 28_000} {
		var c trainCurve
		for step := 1; step <= steps; step++ {
			e := trainEvent{Step: step, Steps: steps, CriticLoss: float32(step)}
			if step%100 == 0 || step == 1 {
				e.Checkpoint = &model.Checkpoint{Step: step / 100 * 100}
			}
			c.add(e)
		}
		c.add(trainEvent{Step: steps, Steps: steps, Model: "models/x"}) // the last line has no losses
		losses, checkpoints := c.points()
		if len(losses) > mostPoints || len(losses) < min(steps, mostPoints/2) || losses[0].step != 1 {
			t.Fatalf("%d steps: %d points, the first of step %d", steps, len(losses), losses[0].step)
		}
		apart := losses[1].step - losses[0].step
		for i, p := range losses {
			if want := 1 + i*apart; p.step != want || p.critic != float32(want) {
				t.Fatalf("%d steps: point %d is %+v, want step %d", steps, i, p, want)
			}
		}
		if last := losses[len(losses)-1].step; last <= steps-2*apart {
			t.Errorf("%d steps: the last point is of step %d", steps, last)
		}
		if got, want := len(checkpoints), 1+steps/100; got != want {
			t.Errorf("%d steps: %d checkpoints, want %d", steps, got, want)
		}
		if c.latest().Model == "" {
			t.Errorf("%d steps: the last event is %+v", steps, c.latest())
		}
	}
	var c trainCurve
	c.add(trainEvent{Step: 1})
	losses, _ := c.points()
	losses[0].step = 7
	if again, _ := c.points(); again[0] != (lossPoint{step: 1}) {
		t.Errorf("a reader changed the curve: %s", cmp.Diff(1, again[0].step))
	}
}
