package train

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/wholefile"
)

// The state of a training lies in its checkpoint directory in one safetensors file, which is replaced as a whole:
//
//	record               JSON: the options, what was judged and decided so far, counters, random numbers
//	packets.I, lengths.I  the packets of label I, one after the other, and the length of each
//	memory.NAME          what the recipe remembers: weights, Adam's moments, averages
//
// Beside it lies the chosen model so far, step-NNNNNN, which the record names.
const (
	stateFile    = "training.safetensors"
	stateFormat  = "pacgan-appliance training"
	stateVersion = "1"
	recordTensor = "record"
	memoryPrefix = "memory."
)

// savedRecord is the JSON of a state.
type savedRecord struct {
	Options  Options  `json:"options"`
	Labels   []string `json:"labels"`
	Record   record   `json:"record"`
	Counters []int    `json:"counters"`
	Source   []byte   `json:"source"` // random numbers: rand.PCG
}

// Saved is a training that was stopped or killed, as its checkpoint directory holds it.
type Saved struct {
	// Options are what it was begun with. Threads, SaveEvery and Progress are of the process, not of the training: they
	// may be set before Resume and do not change what comes out.
	Options Options
	Data    Data // what it trains on

	record record
	memory recalled
	chosen *model.Model
}

// Steps returns how many steps are made.
func (s *Saved) Steps() int { return s.record.Steps }

// Seconds returns how long it has trained, by the clock.
func (s *Saved) Seconds() float64 { return s.record.WallSeconds }

// Last returns the last checkpoint that was judged.
func (s *Saved) Last() Checkpoint { return s.record.Curve[len(s.record.Curve)-1] }

// Unfinished reports whether a checkpoint directory holds a training.
func Unfinished(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, stateFile))
	return err == nil
}

// Open reads the training in a checkpoint directory. The error wraps fs.ErrNotExist where there is none; a file that is
// damaged, incomplete or made to harm gives an error too.
func Open(dir string) (*Saved, error) {
	path := filepath.Join(dir, stateFile)
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("saved training: %w", err)
	}
	defer file.Close() // read only
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("saved training: %w", err)
	}
	s, err := decodeSaved(file, info.Size())
	if err == nil {
		s.Options.CheckpointDir = dir
		err = s.openChosen(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("saved training %s: %w: remove %s and train anew", path, err, dir)
	}
	return s, nil
}

// openChosen reads the best model so far.
func (s *Saved) openChosen(dir string) error {
	m, _, err := model.Load(chosenDir(dir, s.record.Chosen))
	if err != nil {
		return err
	}
	if m.Recipe != s.Options.Recipe || len(m.Labels) != len(s.Data) {
		return fmt.Errorf("the model of step %d is of recipe %s and labels %q", s.record.Chosen, m.Recipe, m.Labels)
	}
	s.chosen = m
	return nil
}

// Resume goes on with the training as if it had never stopped: the model is the same, byte for byte. It returns what
// [Train] returns.
func (s *Saved) Resume(ctx context.Context) (*Result, error) {
	opts, err := s.Options.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("resume: %w", err)
	}
	return train(ctx, s.Data, opts, s)
}

// restore takes a saved training's state into the run and its recipe.
func (r *run) restore(rec recipe, s *Saved) error {
	if err := rec.memory().restore(s.memory); err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	r.record, r.chosen = s.record, s.chosen
	r.earlierWall, r.earlierCPU = s.record.WallSeconds, s.record.CPUSeconds
	return sweep(r.opts.CheckpointDir, chosenDir(r.opts.CheckpointDir, r.Chosen))
}

// save writes the training's state, and then removes the models that it does not name.
func (r *run) save(rec recipe) error {
	if r.opts.CheckpointDir == "" {
		return nil
	}
	r.clock()
	m := rec.memory()
	source, err := m.source.MarshalBinary()
	if err != nil {
		return err
	}
	saved := savedRecord{Options: r.opts, Labels: r.split.labels, Record: r.record, Source: source}
	for _, n := range m.counters {
		saved.Counters = append(saved.Counters, *n)
	}
	encoded, err := json.Marshal(saved)
	if err != nil {
		return fmt.Errorf("save training: %w", err)
	}
	tensors := []model.Tensor{{Name: recordTensor, Shape: []int{len(encoded)}, Data: encoded}}
	tensors = append(tensors, packetTensors(r.data)...)
	for _, t := range m.tensors {
		t.Name = memoryPrefix + t.Name
		tensors = append(tensors, t)
	}
	if err := writeState(r.opts.CheckpointDir, tensors); err != nil {
		return fmt.Errorf("save training: %w", err)
	}
	r.saved = time.Now()
	return sweep(r.opts.CheckpointDir, chosenDir(r.opts.CheckpointDir, r.Chosen))
}

// writeState replaces the state file, so that at any moment the old one or the new one is there.
func writeState(dir string, tensors []model.Tensor) error {
	return wholefile.Write(filepath.Join(dir, stateFile), 0o600, func(w io.Writer) error {
		return model.WriteTensors(w, map[string]string{"format": stateFormat, "version": stateVersion}, tensors)
	})
}

// claim prepares the checkpoint directory for a training that begins: one that another has left unfinished is not
// overwritten.
func (r *run) claim() error {
	dir := r.opts.CheckpointDir
	if dir == "" {
		return nil
	}
	if Unfinished(dir) {
		return fmt.Errorf("%s holds an unfinished training: %w: resume or remove it", dir, fs.ErrExist)
	}
	return sweep(dir, "")
}

// sweep removes what a checkpoint directory holds beside the state and the model that it names: models that were the
// best once, and what a killed training was just writing.
func sweep(dir, named string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		ours := strings.HasPrefix(name, "step-") || strings.HasPrefix(name, ".unfinished-")
		if ours && name != filepath.Base(named) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, name)))
		}
	}
	return err
}

// chosenDir is where the model of a step is kept.
func chosenDir(dir string, step int) string {
	return filepath.Join(dir, fmt.Sprintf("step-%06d", step))
}

// packetTensors are the tensors of the training's data.
func packetTensors(d Data) []model.Tensor {
	var tensors []model.Tensor
	for i, set := range d {
		packets, lengths := bytes.Join(set.Packets, nil), make([]uint16, len(set.Packets))
		for j, p := range set.Packets {
			lengths[j] = uint16(len(p)) // geometryOf has refused longer ones
		}
		tensors = append(tensors,
			model.Tensor{Name: fmt.Sprintf("packets.%d", i), Shape: []int{len(packets)}, Data: packets},
			model.Tensor{Name: fmt.Sprintf("lengths.%d", i), Shape: []int{len(lengths)}, Data: lengths})
	}
	return tensors
}
