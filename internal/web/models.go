package web

import (
	"time"

	"pacgan-appliance/internal/verify"
)

// ModelReport is what is known of one model that is kept.
type ModelReport struct {
	Model
	Steps    int           // that its training made; 0: not known
	Took     time.Duration // its training; 0: not known
	Software string        // version of the program that trained it
	Seed     uint64        // of its training
	Current  bool          // packets are drawn from it
	Promoted bool          // is or was the current one
	Aside    bool          // was judged and kept aside
	// Reason is why it was promoted or kept aside, in one line; "" where nobody
	// judged it, and Judged is zero then.
	Reason string
	Judged time.Time
	Canary []CanaryReport // what became of packets that were injected to try it
	Labels []LabelReport
	// Fault is why the model cannot be read; "" where it can.
	Fault string
}

// LabelReport is what is known of one of a model's labels.
type LabelReport struct {
	Name    string
	Quality *Quality // nil: not measured
	Trained int      // packets that it was trained on; 0: not known
}

// CanaryReport is the success of a label's trial packets, beside what packets
// of the current model and captured ones met with in the same time.
type CanaryReport struct {
	Label                   string
	Model, Current, Ceiling verify.Success
}

// Fate is in a few words what became of the model.
func (m ModelReport) Fate() string {
	switch {
	case m.Fault != "":
		return "unreadable"
	case m.Current:
		return "in use"
	case m.Promoted:
		return "was in use"
	case m.Aside:
		return "kept aside"
	}
	return "not judged"
}
