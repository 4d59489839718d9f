// Package train fits generators to captured packets: the digit trees, the tree-gated adversarial generator, and the
// paper's own. It is the only user of gorgonia: networks are graphs of our own operations, differentiated by
// gorgonia. What it returns is plain data (package model); it draws no packets for the
// wire, and judges them only as far as choosing among its own checkpoints needs.
package train

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pacgan-appliance/internal/encoding"
	"pacgan-appliance/internal/model"
)

// Set is the training packets of one label.
type Set struct {
	Label string
	// Packets are IP packets whose checksums are zeroed. They are read only.
	Packets [][]byte
}

// Data is what a generator is fitted to, in the order of the configuration.
type Data []Set

// Options say how to train. The same options and data give the same model, byte for byte.
type Options struct {
	Recipe model.Recipe // "" is RecipeGAN
	Seed   uint64       // of everything random
	// Steps is the number of steps of adversarial training: 0 is the recipe's default.
	Steps   int
	Batch   int         // packets a step: 0 is the recipe's default
	Threads int         `json:"-"` // goroutines that compute; less than one means one; they do not change what comes out
	Prior   model.Prior // what recipe gan starts from: "" is PriorFrequency
	Paper   PaperOptions
	// RenewSecrets gives each source new cookies and tokens before anything is learned, so that none that was captured is
	// generated: fields that are the same of one source, different of each, and random (see renewSecrets).
	RenewSecrets bool
	// CheckpointEvery is the number of steps between checkpoints: 0 is a 10th of Steps.
	CheckpointEvery int
	// CheckpointDir, if not empty, is a directory that exists, in which the training's state is kept on disk, and as
	// step-NNNNNN the chosen model so far: a training that was killed at any moment can be resumed (see Open). One that
	// holds an unfinished training already is refused.
	CheckpointDir string `json:"-"`
	// SaveEvery is the time between two states kept: 0 is a minute. A model that is chosen is kept at once.
	SaveEvery time.Duration `json:"-"`
	// Progress, if not nil, is called after each step, from the goroutine that trains.
	Progress func(Progress) `json:"-"`
}

// Progress tells how far training is.
type Progress struct {
	Step, Steps               int
	CriticLoss, GeneratorLoss float32
	Best                      Checkpoint // the best so far
	Last                      Checkpoint // the last that was judged
	Elapsed                   time.Duration
}

// Checkpoint is one judged state of the generator.
type Checkpoint struct {
	Step                      int
	CriticLoss, GeneratorLoss float32 // of the last step before it; 0 at step 0
	// Distance is what checkpoints are chosen by: how far packets drawn from this state are from the validation packets,
	// 0 to 1. For each label it is the mean Jensen-Shannon distance (base 2) of the packets' lengths, of every hex digit
	// that varies, and of pairs of such digits; then the mean over the labels. Few packets alone make it larger than 0:
	// compare it with Result.Floor.
	Distance float64
	Labels   []float64 // Distance of each label
	Seconds  float64   // since training began
}

// Result is a trained generator and how it came about.
type Result struct {
	// Model is the chosen checkpoint. Where that is step 0 of recipe tree or gan, its trees are then fitted to all
	// packets, those that it was chosen by among them.
	Model *model.Model
	// Blind is Model as it was chosen: what packets of Validation can judge.
	Blind *model.Model
	// Step0 is the model before adversarial training, for comparison: the trees alone for recipes tree and gan, the
	// untrained network for paper. It is Model where that was chosen.
	Step0 *model.Model
	// Chosen is the step of Model: the first whose Distance is lowest, below Step0's by more than chance; 0 where
	// Step0's is Floor, give or take chance.
	Chosen int
	Steps  int          // steps made
	Curve  []Checkpoint // every checkpoint, step 0 first
	Losses []model.Loss // of all steps
	// Floor is the Distance of training packets to validation packets: what a perfect generator would reach.
	Floor                   float64
	WallSeconds, CPUSeconds float64
	Packets                 map[string]int // of each label, training and validation together
	// Fitted are the packets of each label that Blind was fitted to, Validation those that it was not: its checkpoints
	// were chosen by them.
	Fitted, Validation [][][]byte
}

// ErrDiverged is what training wraps when a loss is no finite number.
var ErrDiverged = errors.New("training diverged")

// recipe is one way to train.
type recipe interface {
	// step makes training step number step (from 1) and returns the losses.
	step(ctx context.Context, step int) (critic, generator float32, err error)
	// export returns the generator as it is now, as data that further steps do not change.
	export() (*model.Model, error)
	// best reports whether the best checkpoint is wanted, else the last.
	best() bool
	// memory leads to all that a step changes.
	memory() *memory
}

// builder prepares a recipe: it fits the trees and builds the graphs.
type builder func(context.Context, *split, Options) (recipe, error)

// Train fits a generator. A cancelled context ends it within one step, and a loss that is not finite ends it at once;
// both return the result so far, with the best model found until then, beside an error that wraps ctx.Err() or
// ErrDiverged. Only errors before the first checkpoint return no result.
func Train(ctx context.Context, data Data, opts Options) (*Result, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	return train(ctx, data, opts, nil)
}

// train is Train with all options given, from the beginning or from a saved training.
func train(ctx context.Context, data Data, opts Options, from *Saved) (*Result, error) {
	learned := data
	if opts.RenewSecrets {
		learned = renewAll(data, opts.Seed)
	}
	split, err := newSplit(learned, opts.Seed)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	r := newRun(data, split, opts)
	switch opts.Recipe {
	case model.RecipeTree:
		err = r.tree(ctx)
	case model.RecipeGAN:
		err = r.adversarial(ctx, newGAN, from)
	case model.RecipePaper:
		err = r.adversarial(ctx, newPaper, from)
	}
	if err != nil {
		err = fmt.Errorf("train %s: %w", opts.Recipe, err)
	}
	return r.finish(), err
}

// The recipes' defaults.
const (
	ganSteps, ganBatch     = 450, 64
	paperSteps, paperBatch = 400, 32
	mostBatch              = 4096
	checkpoints            = 10
)

// withDefaults fills in what is 0 and reports what cannot be.
func (o Options) withDefaults() (Options, error) {
	steps, batch := ganSteps, ganBatch
	switch o.Recipe {
	case "":
		o.Recipe = model.RecipeGAN
	case model.RecipeGAN:
	case model.RecipePaper:
		steps, batch = paperSteps, paperBatch
	case model.RecipeTree:
		steps = 0
	default:
		return o, fmt.Errorf("recipe %q: must be %s, %s or %s", o.Recipe, model.RecipeGAN, model.RecipePaper, model.RecipeTree)
	}
	switch o.Prior {
	case "":
		o.Prior = model.PriorFrequency
	case model.PriorFrequency, model.PriorUniform:
	default:
		return o, fmt.Errorf("prior %q: must be %s or %s", o.Prior, model.PriorFrequency, model.PriorUniform)
	}
	if o.Batch > mostBatch {
		return o, fmt.Errorf("batch %d: at most %d", o.Batch, mostBatch)
	}
	if o.Steps < 0 || o.Batch < 0 || o.CheckpointEvery < 0 {
		return o, fmt.Errorf("steps %d, batch %d, checkpoint every %d: none may be negative", o.Steps, o.Batch, o.CheckpointEvery)
	}
	var err error
	if o.Paper, err = o.Paper.withDefaults(); err != nil {
		return o, fmt.Errorf("recipe paper: %w", err)
	}
	if o.Steps == 0 {
		o.Steps = steps
	}
	if o.Batch == 0 {
		o.Batch = batch
	}
	if o.CheckpointEvery == 0 {
		o.CheckpointEvery = max(1, o.Steps/checkpoints)
	}
	if o.SaveEvery == 0 {
		o.SaveEvery = time.Minute
	}
	o.Threads = max(o.Threads, 1)
	return o, nil
}

// geometryOf returns the matrix that the longest packet of all labels needs.
func geometryOf(data Data) (encoding.Geometry, error) {
	longest := 0
	for _, set := range data {
		for _, p := range set.Packets {
			longest = max(longest, len(p))
		}
	}
	return encoding.Fit(longest)
}
