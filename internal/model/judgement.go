package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Training is how a model came about.
type Training struct {
	Step       int            `json:"step"`           // of the chosen checkpoint; 0: before adversarial training
	Steps      int            `json:"steps"`          // made
	Seconds    float64        `json:"seconds"`        // by the clock
	CPUSeconds float64        `json:"cpu_seconds"`    // of all threads
	Packets    map[string]int `json:"packets"`        // trained on, of each label
	Until      time.Time      `json:"until,omitzero"` // when the newest of them was captured; zero where files do not say
	// LeftOut are labels that were asked for and could not be learned, with the reason.
	LeftOut map[string]string `json:"left_out,omitempty"`
	Floor   float64           `json:"floor"` // Distance of real packets: what a perfect generator would reach
	Curve   []Checkpoint      `json:"curve"` // every checkpoint, step 0 first
	Losses  []Loss            `json:"losses,omitempty"`
}

// Loss is the mean losses of the steps up to Step, from the Loss before on.
type Loss struct {
	Step      int     `json:"step"`
	Critic    float64 `json:"critic"`
	Generator float64 `json:"generator"`
}

// Checkpoint is one judged state of a generator in training.
type Checkpoint struct {
	Step          int     `json:"step"`
	CriticLoss    float32 `json:"critic_loss"` // of the last step before it; 0 at step 0
	GeneratorLoss float32 `json:"generator_loss"`
	Distance      float64 `json:"distance"` // from validation packets, as train.Checkpoint defines it: 0 to 1
	// Labels are the distances of each label, whose mean Distance is.
	Labels  []float64 `json:"labels,omitempty"`
	Seconds float64   `json:"seconds"` // since training began
}

// State is what became of a model.
type State string

// The states; "" is a model that nobody has judged yet.
const (
	StatePromoted State = "promoted" // is or was the current one
	StateAside    State = "aside"    // kept aside: Judgement.Reason says why
)

// Judgement is what the gate between training and injection found, or a
// person decided.
type Judgement struct {
	State  State     `json:"state"`
	Reason string    `json:"reason"`           // one line for a person
	At     time.Time `json:"at"`               // of the decision
	Canary *Canary   `json:"canary,omitempty"` // nil: none was injected
}

// Rival is the model that was current when another one was trained.
type Rival struct {
	ID      string          `json:"id"`
	Quality json.RawMessage `json:"quality"` // as the new model's, against the same held-out packets
}

// Canary is what became of packets of a model that were injected to try it.
type Canary struct {
	Began   time.Time     `json:"began"`
	Seconds float64       `json:"seconds"`
	Labels  []CanaryLabel `json:"labels"` // in the model's order
}

// CanaryLabel is one label of a canary, beside what the current model's
// packets and captured ones met with in the same time.
type CanaryLabel struct {
	Label   string  `json:"label"`
	Model   Outcome `json:"model"`   // the new model
	Current Outcome `json:"current"` // the model in use
	Ceiling Outcome `json:"ceiling"` // captured packets: what the network answers at best
	// Variety of the new model's packets that were injected, and of as many
	// of the current one.
	Variety        Variety `json:"variety"`
	CurrentVariety Variety `json:"current_variety"`
}

// Outcome is a success rate: answered of decided packets, with its Wilson
// 95 % interval.
type Outcome struct {
	Generated uint64  `json:"generated"`
	Answered  uint64  `json:"answered"`
	Decided   uint64  `json:"decided"`
	Rate      float64 `json:"rate"`
	Low       float64 `json:"low"`
	High      float64 `json:"high"`
}

// Variety is how many different packets there are among some, checksums
// aside.
type Variety struct {
	Packets    int `json:"packets"`
	Duplicates int `json:"duplicates"` // equal to an earlier one
	Keys       int `json:"keys"`       // distinct things that they ask for: see quality.Report.Coverage
}

// Judge writes down what became of the model ID in modelsDir. The manifest is
// replaced by one rename, and stays as it is with an error.
func Judge(modelsDir, id string, j Judgement) error {
	j.At = j.At.UTC()
	return amend("judge", modelsDir, id, func(man *Manifest) { man.Judgement = &j })
}

// Remeasure writes down what was measured of the model ID in modelsDir against other packets than those that its manifest
// was made with; a rival of nil: it was compared with none. The manifest is replaced as by [Judge].
func Remeasure(modelsDir, id string, quality, privacy json.RawMessage, rival *Rival) error {
	return amend("measure", modelsDir, id, func(man *Manifest) { man.Quality, man.Privacy, man.Rival = quality, privacy, rival })
}

// amend changes what is known of a model.
func amend(what, modelsDir, id string, change func(*Manifest)) error {
	if err := checkID(id); err != nil {
		return fmt.Errorf("%s model: %w", what, err)
	}
	dir := filepath.Join(modelsDir, id)
	man, err := ReadManifest(dir)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	change(man)
	if err := man.replace(dir); err != nil {
		return fmt.Errorf("%s model %s: %w", what, dir, err)
	}
	return nil
}

// ErrNoPrevious says that there is no model to go back to.
var ErrNoPrevious = errors.New("no model was promoted before the current one")

// Previous returns the ID of the model that was promoted before the current
// one and not kept aside since, or ErrNoPrevious.
func Previous(modelsDir string) (id string, err error) {
	current, err := Current(modelsDir)
	if err != nil {
		return "", err
	}
	entries, err := List(modelsDir)
	if err != nil {
		return "", err
	}
	now := time.Now()
	for _, e := range entries {
		if e.ID == current && e.Manifest != nil && e.Manifest.Judgement != nil {
			now = e.Manifest.Judgement.At
		}
	}
	var at time.Time
	for _, e := range entries {
		if e.ID == current || e.Manifest == nil || e.Manifest.Judgement == nil {
			continue
		}
		if j := e.Manifest.Judgement; j.State == StatePromoted && j.At.Before(now) && j.At.After(at) {
			id, at = e.ID, j.At
		}
	}
	if id == "" {
		return "", fmt.Errorf("models in %s: %w", modelsDir, ErrNoPrevious)
	}
	return id, nil
}

// replace writes the manifest in the place of the one in dir.
func (man *Manifest) replace(dir string) error {
	aside := filepath.Join(dir, unfinished+manifestFile)
	if err := os.RemoveAll(aside); err != nil { // of a program that was killed
		return err
	}
	path := filepath.Join(dir, manifestFile)
	err := writeFile(aside, man.encode)
	if err == nil {
		err = likeOwner(aside, path)
	}
	if err == nil {
		err = os.Rename(aside, path)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(aside))
	}
	return syncDir(dir)
}

// likeOwner gives a file to the owner of another: root may judge a model, and
// the daemon has to read it.
func likeOwner(path, other string) error {
	info, err := os.Stat(other)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return os.Chown(path, int(owner.Uid), int(owner.Gid))
}
