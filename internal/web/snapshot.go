package web

import (
	"time"

	"pacgan-appliance/internal/score"
	"pacgan-appliance/internal/verify"
)

// State is what the daemon is doing, in one word.
type State string

// The states, in the order in which a daemon goes through them.
const (
	Starting   State = "starting"
	Collecting State = "collecting" // no model yet: captures until there are enough packets
	Training   State = "training"   // fits the first model; a retraining beside the injection is Injecting
	Injecting  State = "injecting"
	Paused     State = "paused"
	Stopping   State = "stopping"
	Failing    State = "failing" // a task died and is being restarted
)

// States are all states, the values of the metric's label "state".
func States() []State {
	return []State{Starting, Collecting, Training, Injecting, Paused, Stopping, Failing}
}

// Snapshot is what the daemon knows about itself at one moment.
type Snapshot struct {
	Time    time.Time
	Started time.Time // of the process
	// CountsSince is from when the labels' counts grow: they outlive the process.
	CountsSince time.Time
	Version     string
	State       State
	Status      string // one line for a person, as in systemd's STATUS=

	// RateAsked is the configured rate in packets per second; 0 where the gaps
	// between packets are the learned ones.
	RateAsked float64
	Labels    []Label // in the config's order
	Frames    uint64  // frames that entered the LAN interface
	// Drops counts what was lost or passed over at any stage and belongs to no
	// label, by a short constant reason ("fragments").
	Drops map[string]uint64
	Model *Model // nil: no model yet
	// Training is the training under way; nil: none is.
	Training *TrainingRun
	Drift    *Drift            // nil: not watched
	Truth    *Truth            // nil: no record is kept
	IDS      []score.LiveScore // sensors that are scored
	Fleet    *Fleet            // nil: the gateway belongs to none
}

// Truth is what the record of injected packets has taken down.
type Truth struct {
	Written uint64 // records on the disk
	Lost    uint64 // records that the disk did not take
	Unknown uint64 // records without a verdict
}

// Uptime is the age of the process.
func (s *Snapshot) Uptime() time.Duration { return max(0, s.Time.Sub(s.Started)) }

// Label is what became of one label's packets.
type Label struct {
	Name   string
	Answer string // what counts as an answer, as in the config: "dns"
	Counts
	Success verify.Success
	RTT     RTT
	Capture LabelCapture
	Missing int      // packets to capture before the label can be trained; 0: enough
	Quality *Quality // of the model's packets with this label; nil: not measured
	// Ceiling is the success of captured packets that are injected as they are:
	// what the network answers at all. nil: none was injected.
	Ceiling *verify.Success
}

// Counts says how each generated packet ended. Generated is the sum of the
// others, OnWire aside.
type Counts struct {
	Generated uint64
	Malformed uint64            // could not be framed
	Blocked   uint64            // the guard refused the destination
	Failed    map[string]uint64 // the kernel did not take it, by reason
	Answered  uint64            // a valid response
	Rejected  map[string]uint64 // a response that is not valid, by reason
	Expired   uint64            // no response in time
	Inflight  uint64
	Unasked   uint64 // sent, no answer expected: left out of the success rate
	OnWire    uint64 // counted by the kernel as it left
}

// FailedTotal is the sum over all reasons.
func (c *Counts) FailedTotal() uint64 { return sum(c.Failed) }

// RejectedTotal is the sum over all reasons.
func (c *Counts) RejectedTotal() uint64 { return sum(c.Rejected) }

// RTT holds quantiles of the answered packets' round-trip times; all 0 where
// none was answered.
type RTT struct{ P50, P90, P99 time.Duration }

// LabelCapture is what capture did with one label's frames.
type LabelCapture struct {
	Labelled uint64 // matched the filter and kept
	Dropped  uint64 // matched the filter and lost, because the ring was full
}

// Model is the model in use.
type Model struct {
	ID      string // name of its directory
	Created time.Time
	Recipe  string // "gan", "paper" or "tree"
	Step    int    // adversarial step that validation chose; 0: before the first
	Curve   Curve
}

// Drift is what the watch over the model in use found.
type Drift struct {
	// Reason is why a retraining is needed, in one line; "" while the model is
	// as good as it was.
	Reason string
	// Distance is the mean Jensen-Shannon distance of the fields of fresh
	// captures from those that the model was trained on; < 0: not measured.
	Distance float64
}

// TrainingRun is a training under way.
type TrainingRun struct {
	Began       time.Time
	Recipe      string
	Step, Steps int // Steps is 0 while it is not known
	Curve       Curve
}

// Curve is how a training went. Its slices are only read.
type Curve struct {
	Losses      []Losses
	Checkpoints []Checkpoint
	// Floor is the distance of real packets from each other: what a perfect
	// generator would reach; 0: not known.
	Floor  float64
	Chosen int // step of the checkpoint that is the model, or the best so far
}

// Losses are those of one step.
type Losses struct {
	Step              int
	Critic, Generator float64
}

// Checkpoint is a judged state of the generator. Distance is the mean
// Jensen-Shannon distance from validation packets, 0 to 1.
type Checkpoint struct {
	Step     int
	Distance float64
}

// Quality is how one label's generated packets compare to held-out real ones.
// internal/quality says what each measure is.
type Quality struct {
	Generated, HeldOut int // packets: the denominators
	ByteError          float64
	Novelty            float64
	Coverage           float64
	FieldDistance      float64 // mean Jensen-Shannon distance of the fields
	FieldDistanceFloor float64 // the same between real packets
	AUC                float64
	AUCPerClass        int // packets of each class behind AUC; 0: not measured
}

func sum(counts map[string]uint64) uint64 {
	var n uint64
	for _, v := range counts {
		n += v
	}
	return n
}
