package appliance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/train"
)

// training is one that begins, or one that goes on where it was stopped.
type training struct {
	options train.Options
	data    corpus
	saved   *train.Saved // nil: it begins
	dir     string       // where its state is kept until its model is written; "" for trees, which take seconds
	lock    *os.File     // on dir
}

// trainingDir is where the training keeps its state.
func (o trainOptions) trainingDir() string {
	if o.out != "" {
		return filepath.Clean(o.out) + ".training"
	}
	return filepath.Join(o.state, "training")
}

// openTraining prepares the training that the flags name.
func (p *Program) openTraining(o trainOptions, flags *pflag.FlagSet) (_ *training, err error) {
	if err := checkVacant(o.out); err != nil {
		return nil, err
	}
	paper, err := train.ParsePaperOptions(o.paper)
	if err != nil {
		return nil, usagef("--paper %w", err)
	}
	t := &training{options: train.Options{Recipe: model.Recipe(o.recipe), Seed: o.seed, Steps: o.steps, Paper: paper, RenewSecrets: o.renew}}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close())
		}
	}()
	keeps := model.Recipe(o.recipe) != model.RecipeTree || o.resume
	if keeps {
		t.dir = o.trainingDir()
		if err := t.find(o, flags); err != nil {
			return nil, err
		}
	}
	if err := p.readData(t, o); err != nil {
		return nil, err
	}
	if keeps {
		if err := t.take(); err != nil {
			return nil, err
		}
	}
	t.options.Threads, t.options.SaveEvery, t.options.CheckpointDir = o.threads, o.saveEvery, t.dir
	if t.options.Threads == 0 {
		t.options.Threads = runtime.NumCPU()
	}
	return t, nil
}

// checkVacant refuses a directory that holds something before a model takes hours to make.
func checkVacant(out string) error {
	entries, err := os.ReadDir(out)
	switch {
	case out == "" || errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0:
		return nil
	case err != nil:
		return fmt.Errorf("--out: %w", err)
	}
	return fmt.Errorf("--out %s: is not empty: name a new directory", out)
}

// take makes the state's directory and keeps other processes from it until close.
func (t *training) take() error {
	if t.lock != nil {
		return nil
	}
	if err := os.MkdirAll(t.dir, 0o750); err != nil {
		return fmt.Errorf("training: %w", err)
	}
	f, err := os.Open(t.dir)
	if err != nil {
		return fmt.Errorf("training: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = errors.New("another process is training there: wait for it or stop it")
	}
	if err != nil {
		return errors.Join(fmt.Errorf("training %s: %w", t.dir, err), f.Close())
	}
	t.lock = f
	return nil
}

// find looks for an unfinished training, which is what is resumed, and which another must not overwrite.
func (t *training) find(o trainOptions, flags *pflag.FlagSet) error {
	if _, err := os.Stat(t.dir); err == nil {
		if err := t.take(); err != nil {
			return err
		}
	}
	saved, err := train.Open(t.dir)
	if errors.Is(err, fs.ErrNotExist) {
		if len(o.labels) == 0 && o.state == "" {
			return fmt.Errorf("train: nothing to resume in %s: name packets to learn: --label NAME=FILE.pcap", t.dir)
		}
		return nil
	}
	if err != nil {
		return err
	}
	if !o.resume {
		return fmt.Errorf("train: %s holds an unfinished training, %s of %s steps: go on with --resume, or remove it",
			t.dir, thousands(saved.Steps()), thousands(saved.Options.Steps))
	}
	if err := sameOptions(flags, saved.Options); err != nil {
		return err
	}
	t.saved, t.options = saved, saved.Options
	return nil
}

// readData reads what the flags name. What is resumed has its own packets to train on; a packet that is held out is so
// for ever, so that those in the store now judge its model too.
func (p *Program) readData(t *training, o trainOptions) error {
	if t.saved != nil && o.state == "" {
		t.data.train = t.saved.Data
		return nil
	}
	var err error
	if t.data, err = p.trainData(o); err != nil || t.saved == nil {
		return err
	}
	heldOut := map[string][][]byte{}
	for i, set := range t.data.train {
		heldOut[set.Label] = t.data.heldOut[i]
	}
	t.data = corpus{train: t.saved.Data, leftOut: t.data.leftOut}
	for _, set := range t.saved.Data {
		t.data.heldOut = append(t.data.heldOut, heldOut[set.Label])
	}
	return nil
}

// sameOptions refuses flags that say otherwise than the training that is resumed.
func sameOptions(flags *pflag.FlagSet, was train.Options) error {
	for name, value := range map[string]string{
		"recipe": string(was.Recipe), "steps": strconv.Itoa(was.Steps), "seed": strconv.FormatUint(was.Seed, 10),
		"renew-secrets": strconv.FormatBool(was.RenewSecrets),
	} {
		f := flags.Lookup(name)
		left := !f.Changed || name == "steps" && f.Value.String() == "0"
		if !left && f.Value.String() != value {
			return fmt.Errorf("--resume: the unfinished training has --%s %s, not %s: leave that out, or remove it and train anew", name, value, f.Value)
		}
	}
	if flags.Changed("paper") {
		return errors.New("--resume: the unfinished training has its own --paper: leave that out, or remove it and train anew")
	}
	return nil
}

// run trains. progress is called after each step.
func (t *training) run(ctx context.Context, progress func(train.Progress)) (*train.Result, error) {
	t.options.Progress = progress
	if t.saved == nil {
		return train.Train(ctx, t.data.train, t.options)
	}
	t.saved.Options = t.options
	return t.saved.Resume(ctx)
}

// done removes the state: the model is written.
func (t *training) done() error {
	if t.dir == "" {
		return nil
	}
	return os.RemoveAll(t.dir)
}

// close lets others train there. What begins no training leaves no directory.
func (t *training) close() error {
	if t.lock == nil {
		return nil
	}
	err := os.Remove(t.dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTEMPTY) {
		err = nil
	}
	return errors.Join(err, t.lock.Close())
}

// resumeCommand is what goes on with a training.
func (o trainOptions) resumeCommand() string {
	command := "pacgan-appliance train --resume"
	if o.state != "" {
		command += " --state " + o.state
	}
	if o.out != "" {
		command += " --out " + o.out
	}
	return command
}
