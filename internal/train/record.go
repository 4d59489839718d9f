package train

import (
	"syscall"
	"time"

	"pacgan-appliance/internal/model"
)

// record is what a training has seen and decided so far.
type record struct {
	Steps  int        `json:"steps"`  // made
	Chosen int        `json:"chosen"` // step of the model that is kept
	Best   Checkpoint `json:"best"`   // that model's
	// ToBeat is the distance that a checkpoint must stay below to be chosen, Spread the standard deviation of step 0's
	// over drawings.
	ToBeat      float64      `json:"to_beat"`
	Spread      float64      `json:"spread"`
	Curve       []Checkpoint `json:"curve"`
	Losses      []model.Loss `json:"losses"`
	Pending     model.Loss   `json:"pending"` // sums of the steps since the last of Losses
	WallSeconds float64      `json:"wall_seconds"`
	CPUSeconds  float64      `json:"cpu_seconds"`
}

// mostLosses bounds the points of a loss curve.
const mostLosses = 500

// lose notes a step's losses.
func (r *record) lose(step, steps int, critic, generator float32) {
	r.Steps = step
	r.Pending.Critic += float64(critic)
	r.Pending.Generator += float64(generator)
	each := (steps + mostLosses - 1) / mostLosses
	if step%each != 0 {
		return
	}
	r.Losses = append(r.Losses, model.Loss{Step: step, Critic: r.Pending.Critic / float64(each), Generator: r.Pending.Generator / float64(each)})
	r.Pending = model.Loss{}
}

// stopwatch measures a training that may be made by several processes.
type stopwatch struct {
	began, saved            time.Time // saved: when its state was
	beganCPU                float64
	earlierWall, earlierCPU float64 // of the processes before
}

func newStopwatch() stopwatch {
	return stopwatch{began: time.Now(), saved: time.Now(), beganCPU: cpuSeconds()}
}

func (s *stopwatch) wall() float64 { return s.earlierWall + time.Since(s.began).Seconds() }
func (s *stopwatch) cpu() float64  { return s.earlierCPU + cpuSeconds() - s.beganCPU }

// cpuSeconds is the CPU time that this process has used, user and system.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}
