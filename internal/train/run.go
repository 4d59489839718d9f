package train

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"gonum.org/v1/gonum/stat"

	"pacgan-appliance/internal/model"
)

// run is one call of Train: it makes steps, judges checkpoints and keeps the best.
type run struct {
	opts   Options
	split  *split
	judge  *judge
	result *Result
	best   Checkpoint
	toBeat float64 // distance that a checkpoint must stay below to be chosen
	spread float64 // standard deviation of step 0's distance over drawings
	kept   string  // directory of the last model kept

	began    time.Time
	beganCPU float64
}

func newRun(s *split, opts Options) *run {
	r := &run{
		opts: opts, split: s, judge: newJudge(s.validate, opts.Seed),
		result: &Result{Packets: map[string]int{}}, began: time.Now(), beganCPU: cpuSeconds(),
	}
	for i, label := range s.labels {
		r.result.Packets[label] = len(s.train[i]) + len(s.validate[i])
	}
	r.result.Floor = r.floor()
	return r
}

// tree trains recipe tree.
func (r *run) tree(ctx context.Context) error {
	forests, err := fitForests(ctx, r.split, r.opts.Threads)
	if err != nil {
		return err
	}
	m := &model.Model{Recipe: model.RecipeTree, Labels: r.split.labels, Geometry: r.split.geometry, Forests: forests}
	return r.checkpoint(m, Checkpoint{}, true)
}

// adversarial trains a recipe that makes steps.
func (r *run) adversarial(ctx context.Context, build builder) error {
	rec, err := build(ctx, r.split, r.opts)
	if err != nil {
		return err
	}
	if err := r.export(rec, Checkpoint{}); err != nil {
		return err
	}
	for step := 1; step <= r.opts.Steps; step++ {
		critic, generator, err := rec.step(ctx, step)
		if ctx.Err() != nil {
			return fmt.Errorf("stopped at step %d: %w", step, ctx.Err()) // gorgonia's own errors do not unwrap
		}
		if err != nil {
			return fmt.Errorf("step %d: %w", step, err)
		}
		if !finite(critic) || !finite(generator) {
			return fmt.Errorf("step %d: %w: critic loss %v, generator loss %v; the best model so far, of step %d, is kept",
				step, ErrDiverged, critic, generator, r.result.Chosen)
		}
		r.result.Steps = step
		if step%r.opts.CheckpointEvery == 0 || step == r.opts.Steps {
			if err := r.export(rec, Checkpoint{Step: step, CriticLoss: critic, GeneratorLoss: generator}); err != nil {
				return err
			}
		}
		r.report(step, critic, generator)
	}
	return nil
}

// export judges the recipe's generator as it is now.
func (r *run) export(rec recipe, at Checkpoint) error {
	m, err := rec.export()
	if err != nil {
		return err
	}
	return r.checkpoint(m, at, rec.best())
}

// checkpoint judges a model, adds it to the curve, and keeps it if it is the first, the best so far, or if the recipe
// wants the last. Step 0 is drawn from several times, which shows how far apart two judgements of one model lie: a later
// checkpoint has to be better than step 0 by more than twice that, or it would be chosen for its luck.
func (r *run) checkpoint(m *model.Model, at Checkpoint, wantBest bool) error {
	first := r.result.Step0 == nil
	drawings := 1
	if first && wantBest {
		drawings = firstDrawings
	}
	if err := r.assess(m, &at, drawings); err != nil {
		return fmt.Errorf("judge step %d: %w", at.Step, err)
	}
	r.result.Curve = append(r.result.Curve, at)
	if first {
		r.result.Step0 = m
		r.toBeat = at.Distance - 2*r.spread
	}
	if !first && wantBest && at.Distance >= r.toBeat {
		return nil
	}
	if !first {
		r.toBeat = at.Distance
	}
	r.result.Model, r.result.Chosen, r.best = m, at.Step, at
	return r.keep(m)
}

// assess fills in a checkpoint's distances, the means of some drawings, and their spread where there are several.
func (r *run) assess(m *model.Model, at *Checkpoint, drawings int) error {
	at.Labels = make([]float64, len(r.split.labels))
	var distances []float64
	for drawing := range drawings {
		sum := 0.0
		for label := range r.split.labels {
			packets, err := r.sample(m, label, r.opts.Seed+uint64(drawing))
			if err != nil {
				return err
			}
			d := r.judge.distance(label, packets)
			at.Labels[label] += d / float64(drawings)
			sum += d
		}
		distances = append(distances, sum/float64(len(r.split.labels)))
	}
	at.Distance = stat.Mean(distances, nil)
	if drawings > 1 {
		r.spread = stat.StdDev(distances, nil)
	}
	at.Seconds = time.Since(r.began).Seconds()
	return nil
}

// keep writes the chosen model to the checkpoint directory; the one before goes once the new one is whole.
func (r *run) keep(m *model.Model) error {
	if r.opts.CheckpointDir == "" {
		return nil
	}
	dir := filepath.Join(r.opts.CheckpointDir, fmt.Sprintf("step-%06d", r.result.Chosen))
	if err := model.SaveAs(dir, m, model.Manifest{Seed: r.opts.Seed, Created: time.Now()}); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if r.kept != "" {
		if err := os.RemoveAll(r.kept); err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
	}
	r.kept = dir
	return nil
}

const (
	// As many packets of a label are judged as are held out, within these.
	fewestJudged, mostJudged = 500, 1000
	// firstDrawings is how often step 0 is drawn from.
	firstDrawings = 5
)

// sample draws packets of a label to judge; the same seed at every checkpoint, so that their noise is the same.
func (r *run) sample(m *model.Model, label int, seed uint64) ([][]byte, error) {
	n := min(max(len(r.split.validate[label]), fewestJudged), mostJudged)
	s, err := m.NewSampler(r.split.labels[label], seed)
	if err != nil {
		return nil, err
	}
	packets := make([][]byte, n)
	for i := range packets {
		if packets[i], err = s.Next(nil); err != nil {
			return nil, err
		}
	}
	return packets, nil
}

// floor judges training packets, as many as are sampled of a generator.
func (r *run) floor() float64 {
	sum := 0.0
	for label, packets := range r.split.train {
		n := min(max(len(r.split.validate[label]), fewestJudged), mostJudged, len(packets))
		sum += r.judge.distance(label, packets[:n])
	}
	return sum / float64(len(r.split.train))
}

func (r *run) report(step int, critic, generator float32) {
	if r.opts.Progress != nil {
		r.opts.Progress(Progress{
			Step: step, Steps: r.opts.Steps, CriticLoss: critic, GeneratorLoss: generator, Best: r.best,
			Last: r.result.Curve[len(r.result.Curve)-1], Elapsed: time.Since(r.began),
		})
	}
}

// finish returns the result, nil where there is none.
func (r *run) finish() *Result {
	if r.result.Model == nil {
		return nil
	}
	r.result.WallSeconds = time.Since(r.began).Seconds()
	r.result.CPUSeconds = cpuSeconds() - r.beganCPU
	return r.result
}

// cpuSeconds is the CPU time that this process has used, user and system.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}
