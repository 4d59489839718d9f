// Package score says what intrusion detection systems made of the flows whose
// truth is known: it joins their alerts with truth records and counts. It reads
// logs by package idslog, injects nothing and judges no packet.
package score

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pacgan-appliance/internal/idslog"
)

// Options say what is scored.
type Options struct {
	Truth   string // a file of truth records, or a directory of them
	Sources []Source
	Window  time.Duration // from a flow's start to its last alert; 0: DefaultWindow
}

// DefaultWindow is longer than any conversation that the appliance has with
// its default timeout.
const DefaultWindow = 10 * time.Second

// Source is one sensor.
type Source struct {
	Name  string // such as "suricata"; unique
	Kind  idslog.Kind
	Paths []string // of its logs: Zeek has several, rotation makes several
}

// Score is what sensors made of truth.
type Score struct {
	Truth   Truth    `json:"truth"`
	Window  Seconds  `json:"window_s"`
	Sensors []Sensor `json:"sensors"`
}

// Seconds is a time as JSON has it.
type Seconds float64

// Truth says what was scored.
type Truth struct {
	Files   []string  `json:"files"`
	Records uint64    `json:"records"`
	Torn    int       `json:"torn_files"` // whose last line was cut off
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
}

// Sensor is what one sensor made of it.
type Sensor struct {
	Name       string      `json:"name"`
	Kind       idslog.Kind `json:"kind"`
	Files      []string    `json:"files"`
	Events     uint64      `json:"events"` // lines that say something, alerts included
	Alerts     uint64      `json:"alerts"`
	Foreign    uint64      `json:"foreign_alerts"`   // that belong to no flow of the truth
	Ambiguous  uint64      `json:"ambiguous_alerts"` // that fit a flow, by their time, and it cannot be said whether they belong to it
	Torn       int         `json:"torn_files"`
	Offset     Offset      `json:"clock_offset"`
	Labels     []Label     `json:"labels"` // by name
	All        Measures    `json:"all"`
	Signatures []Signature `json:"signatures"` // that fired most first
}

// Label is what a sensor made of one label's flows.
type Label struct {
	Name      string `json:"label"`
	Malicious bool   `json:"malicious"`
	// Apart are the flows that were not answered, by truth's verdict: no miss and
	// no success of the sensor.
	Apart map[string]Apart `json:"apart,omitempty"`
	// Time to detect: from the flow's start to its first alert; 0 without alerts.
	DetectP50 Seconds `json:"detect_p50_s"`
	DetectP99 Seconds `json:"detect_p99_s"`
	// Detect are the times to detect at 0, 5, ... 100 % of the alerted flows.
	Detect   []Seconds `json:"detect_s,omitempty"`
	Detected Share     `json:"detected"` // flows with an alert, of all that count
	Timeline []Moment  `json:"timeline,omitempty"`
	Measures
}

// Moment is a stretch of time.
type Moment struct {
	Start   time.Time `json:"start"`
	Seconds Seconds   `json:"seconds"`
	Flows   uint64    `json:"flows"` // that count
	Alerted uint64    `json:"alerted"`
}

// Apart counts flows that were not answered.
type Apart struct {
	Flows   uint64 `json:"flows"`
	Alerted uint64 `json:"alerted"`
}

// Signature is a rule that fired.
type Signature struct {
	ID      string         `json:"id"`
	Text    string         `json:"text"`
	Fired   []FiredOnLabel `json:"fired"` // most flows first
	Foreign uint64         `json:"foreign_alerts"`
	// Ambiguous are alerts that fit a flow, and it cannot be said which.
	Ambiguous uint64    `json:"ambiguous_alerts"`
	First     time.Time `json:"first"` // by the sensor's clock
	Last      time.Time `json:"last"`
}

// FiredOnLabel counts how often a signature fired on a label.
type FiredOnLabel struct {
	Label  string `json:"label"`
	Flows  uint64 `json:"flows"`
	Alerts uint64 `json:"alerts"`
}

// Run scores. It reads the truth, of which the beginning twice, and holds the alerts but not the truth
// in memory.
func Run(ctx context.Context, o Options) (*Score, error) {
	if len(o.Sources) == 0 {
		return nil, errors.New("score: no log of an IDS is given")
	}
	if o.Window == 0 {
		o.Window = DefaultWindow
	}
	truth := &records{path: o.Truth, classes: newClasses()}
	began, err := truth.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("score: %w", err)
	}
	samples := make([]*sample, len(o.Sources))
	for i, s := range o.Sources {
		a, err := readAlerts(ctx, s, began)
		if err != nil {
			return nil, fmt.Errorf("score: %w", err)
		}
		samples[i] = newSample(a)
	}
	if err := collect(ctx, truth, samples); err != nil {
		return nil, fmt.Errorf("score: %w", err)
	}
	offsets := make([]Offset, len(samples))
	joins := make([]*join, len(samples))
	for i, s := range samples {
		offsets[i] = estimate(s.differences())
		joins[i] = newJoin(s.alerts, offsets[i], int64(o.Window), &tally{})
	}
	err = truth.read(ctx, func(flows []flow) error {
		for _, j := range joins {
			for i := range flows {
				j.add(&flows[i])
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("score: %w", err)
	}
	score := &Score{
		Truth: Truth{
			Files: truth.files, Records: truth.count, Torn: truth.torn,
			From: time.Unix(0, truth.first).UTC(), To: time.Unix(0, truth.last).UTC(),
		},
		Window: Seconds(o.Window.Seconds()),
	}
	for i, j := range joins {
		j.end()
		score.Sensors = append(score.Sensors, newSensor(j, offsets[i], truth.classes.list))
	}
	return score, nil
}

// collect reads as much of the truth as tells the offsets of the clocks.
func collect(ctx context.Context, truth *records, samples []*sample) error {
	open := slices.Clone(samples)
	err := truth.read(ctx, func(flows []flow) error {
		for _, s := range open {
			for i := range flows {
				s.add(&flows[i])
			}
		}
		open = slices.DeleteFunc(open, (*sample).settled)
		if len(open) == 0 {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}
