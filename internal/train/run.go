package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"gonum.org/v1/gonum/stat"

	"pacgan-appliance/internal/model"
)

// run is one call of Train or Resume: it makes steps, judges checkpoints and keeps the best.
type run struct {
	opts   Options
	data   Data
	split  *split
	judge  *judge
	floor  float64
	step0  *model.Model
	chosen *model.Model
	blind  *model.Model // chosen, before it was fitted anew
	record
	stopwatch
}

func newRun(data Data, s *split, opts Options) *run {
	r := &run{opts: opts, data: data, split: s, judge: newJudge(s.validate, opts.Seed), stopwatch: newStopwatch()}
	r.floor = r.judgeTraining()
	return r
}

// tree trains recipe tree.
func (r *run) tree(ctx context.Context) error {
	forests, err := fitForests(ctx, r.split, r.opts.Threads)
	if err != nil {
		return err
	}
	r.step0 = &model.Model{Recipe: model.RecipeTree, Labels: r.split.labels, Geometry: r.split.geometry, Forests: forests}
	if err := r.begin(r.step0, true); err != nil {
		return err
	}
	return r.refit(ctx)
}

// refit fits the trees of a chosen step 0 to all packets: once the choice is made, the validation packets have no
// other use, and where packets are few, a fifth of them knows names that the others lack.
func (r *run) refit(ctx context.Context) error {
	if r.Chosen != 0 || r.chosen.Forests == nil {
		return nil
	}
	forests, err := fitForests(ctx, r.split.whole(), r.opts.Threads)
	if err != nil {
		return fmt.Errorf("fit to all packets: %w", err)
	}
	m := *r.chosen
	m.Forests = forests
	if m.Gate != nil {
		m.Gate = model.NewGate(m.Gate.Prior, forests, m.Geometry.DigitsCapacity())
	}
	r.blind, r.chosen, r.step0 = r.chosen, &m, &m
	return nil
}

// adversarial trains a recipe that makes steps, from the first one or from where a saved training stopped.
func (r *run) adversarial(ctx context.Context, build builder, from *Saved) error {
	rec, err := build(ctx, r.split, r.opts)
	if err != nil {
		return err
	}
	if r.step0, err = rec.export(); err != nil {
		return err
	}
	if from != nil {
		err = r.restore(rec, from)
	} else if err = r.begin(r.step0, rec.best()); err == nil {
		err = r.save(rec)
	}
	if err != nil {
		return err
	}
	for step := r.Steps + 1; step <= r.opts.Steps; step++ {
		if ctx.Err() != nil {
			return errors.Join(fmt.Errorf("stopped at step %d: %w", step, ctx.Err()), r.save(rec))
		}
		if err := r.step(ctx, rec, step); err != nil {
			return err
		}
	}
	return r.refit(ctx)
}

// step makes one step; where it is time, it judges what came out and saves the training.
func (r *run) step(ctx context.Context, rec recipe, step int) error {
	critic, generator, err := rec.step(context.WithoutCancel(ctx), step) // half a step could not be resumed
	if err != nil {
		return fmt.Errorf("step %d: %w", step, err)
	}
	if !finite(critic) || !finite(generator) {
		return fmt.Errorf("step %d: %w: critic loss %v, generator loss %v; the best model so far, of step %d, is kept",
			step, ErrDiverged, critic, generator, r.Chosen)
	}
	r.lose(step, r.opts.Steps, critic, generator)
	due := time.Since(r.saved) >= r.opts.SaveEvery
	if step%r.opts.CheckpointEvery == 0 || step == r.opts.Steps {
		chosen, err := r.export(rec, Checkpoint{Step: step, CriticLoss: critic, GeneratorLoss: generator})
		if err != nil {
			return err
		}
		due = due || chosen // the model that was chosen before is still there, but not for long
	}
	r.report(step, critic, generator)
	if due {
		return r.save(rec)
	}
	return nil
}

// begin judges the model of step 0. It is drawn from several times, which shows how far apart two judgements of one
// model lie: a later checkpoint has to be better by more than twice that, or it would be chosen for its luck. Where
// step 0 is no further from the validation packets than training packets are, nothing can be better but by luck.
func (r *run) begin(m *model.Model, wantBest bool) error {
	if err := r.claim(); err != nil {
		return err
	}
	drawings := 1
	if wantBest {
		drawings = firstDrawings
	}
	at := Checkpoint{}
	spread, err := r.assess(m, &at, drawings)
	if err != nil {
		return fmt.Errorf("judge step 0: %w", err)
	}
	r.Spread = spread
	r.Curve = append(r.Curve, at)
	r.ToBeat = toBeat(at.Distance, r.Spread, r.floor)
	return r.keep(m, at)
}

// toBeat returns the distance that a checkpoint must stay below to be chosen, given step 0's, how far apart two of its
// drawings lie, and that of training packets.
func toBeat(step0, spread, floor float64) float64 {
	if step0 <= floor+2*spread {
		return 0
	}
	return step0 - 2*spread
}

// export judges the recipe's generator as it is now, and keeps it if it is the best so far or if the recipe wants the
// last. What seems the best is judged again, by as many drawings as step 0: of many checkpoints that are no better, some
// are lucky in one.
func (r *run) export(rec recipe, at Checkpoint) (chosen bool, err error) {
	m, err := rec.export()
	if err != nil {
		return false, err
	}
	if _, err = r.assess(m, &at, 1); err == nil && rec.best() && at.Distance < r.ToBeat {
		_, err = r.assess(m, &at, firstDrawings)
	}
	if err != nil {
		return false, fmt.Errorf("judge step %d: %w", at.Step, err)
	}
	r.Curve = append(r.Curve, at)
	if rec.best() && at.Distance >= r.ToBeat {
		return false, nil
	}
	r.ToBeat = at.Distance
	return true, r.keep(m, at)
}

// keep chooses a model, and writes it to the checkpoint directory.
func (r *run) keep(m *model.Model, at Checkpoint) error {
	r.chosen, r.Chosen, r.Best = m, at.Step, at
	if r.opts.CheckpointDir == "" {
		return nil
	}
	if err := model.SaveAs(chosenDir(r.opts.CheckpointDir, at.Step), m, model.Manifest{Seed: r.opts.Seed, Created: time.Now()}); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// assess fills in a checkpoint's distances, the means of some drawings, and returns their spread, 0 of one.
func (r *run) assess(m *model.Model, at *Checkpoint, drawings int) (spread float64, err error) {
	at.Labels = make([]float64, len(r.split.labels))
	var distances []float64
	for drawing := range drawings {
		sum := 0.0
		for label := range r.split.labels {
			packets, err := r.sample(m, label, r.opts.Seed+uint64(drawing))
			if err != nil {
				return 0, err
			}
			d := r.judge.distance(label, packets)
			at.Labels[label] += d / float64(drawings)
			sum += d
		}
		distances = append(distances, sum/float64(len(r.split.labels)))
	}
	at.Distance = stat.Mean(distances, nil)
	at.Seconds = r.wall()
	if drawings > 1 {
		spread = stat.StdDev(distances, nil)
	}
	return spread, nil
}

const (
	// As many packets of a label are judged as are held out, within these, but no more than are trained on.
	fewestJudged, mostJudged = 500, 1000
	// firstDrawings is how often step 0 is drawn from, and a checkpoint that seems better.
	firstDrawings = 5
)

// judged is how many packets of a label are judged: of a generator and of training the same number, since fewer lie
// further off by chance.
func (r *run) judged(label int) int {
	return min(max(len(r.split.validate[label]), fewestJudged), mostJudged, len(r.split.train[label]))
}

// sample draws packets of a label to judge; the same seed at every checkpoint, so that their noise is the same.
func (r *run) sample(m *model.Model, label int, seed uint64) ([][]byte, error) {
	s, err := m.NewSampler(r.split.labels[label], seed)
	if err != nil {
		return nil, err
	}
	packets := make([][]byte, r.judged(label))
	for i := range packets {
		if packets[i], err = s.Next(nil); err != nil {
			return nil, err
		}
	}
	return packets, nil
}

// judgeTraining judges training packets, as many as are sampled of a generator.
func (r *run) judgeTraining() float64 {
	sum := 0.0
	for label, packets := range r.split.train {
		sum += r.judge.distance(label, packets[:r.judged(label)])
	}
	return sum / float64(len(r.split.train))
}

func (r *run) report(step int, critic, generator float32) {
	if r.opts.Progress != nil {
		r.opts.Progress(Progress{
			Step: step, Steps: r.opts.Steps, CriticLoss: critic, GeneratorLoss: generator, Best: r.Best,
			Last: r.Curve[len(r.Curve)-1], Elapsed: time.Duration(r.wall() * float64(time.Second)),
		})
	}
}

// clock notes the time used so far.
func (r *run) clock() { r.WallSeconds, r.CPUSeconds = r.wall(), r.cpu() }

// finish returns the result, nil where there is none.
func (r *run) finish() *Result {
	if r.chosen == nil {
		return nil
	}
	r.clock()
	result := &Result{
		Model: r.chosen, Blind: cmp.Or(r.blind, r.chosen), Step0: r.step0, Chosen: r.Chosen, Steps: r.Steps, Curve: r.Curve, Losses: r.Losses, Floor: r.floor,
		WallSeconds: r.WallSeconds, CPUSeconds: r.CPUSeconds, Packets: map[string]int{},
		Fitted: r.split.train, Validation: r.split.validate,
	}
	for i, label := range r.split.labels {
		result.Packets[label] = len(r.split.train[i]) + len(r.split.validate[i])
	}
	return result
}
