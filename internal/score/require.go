package score

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Requirement is a bound of one figure, such as "recall(sqli) >= 0.95". It
// holds for each sensor, unless it names one: "recall(sqli, suricata) >= 0.95".
// Without a label, as in "precision() >= 0.99", it is about all labels.
type Requirement struct {
	text          string
	figure        string
	label, sensor string // "": all
	operator      string
	bound         float64
}

// ErrNotMet says that a score does not meet a requirement.
var ErrNotMet = errors.New("not met")

// figures are what a requirement can be about. A figure without a value, as
// where there was no flow, is nil.
var figures = map[string]func(*Label) *float64{
	"recall":       func(l *Label) *float64 { return l.Recall.Rate },
	"precision":    func(l *Label) *float64 { return l.Precision.Rate },
	"f1":           func(l *Label) *float64 { return l.F1 },
	"mcc":          func(l *Label) *float64 { return l.MCC },
	"false_alerts": func(l *Label) *float64 { return l.FalseAlerts.Rate },
	"detected":     func(l *Label) *float64 { return l.Detected.Rate },
	"flows":        func(l *Label) *float64 { n := float64(l.Detected.Of); return &n },
	"detect_p50":   func(l *Label) *float64 { return l.detected(l.DetectP50) },
	"detect_p99":   func(l *Label) *float64 { return l.detected(l.DetectP99) },
}

func (l *Label) detected(s Seconds) *float64 {
	if l.Detected.Hits == 0 {
		return nil
	}
	return (*float64)(&s)
}

// Figures are the names of what a requirement can be about.
func Figures() []string { return slices.Sorted(maps.Keys(figures)) }

// allLabels are the figures of all labels together; the others are one label's.
var allLabels = []string{"f1", "false_alerts", "mcc", "precision", "recall"}

var requirement = regexp.MustCompile(`^([a-z0-9_]+)\(([^(),[:cntrl:]]*)(?:,([^(),[:cntrl:]]*))?\) *(<=|>=|<|>) *(\S+)$`)

// ParseRequirement reads a requirement.
func ParseRequirement(text string) (Requirement, error) {
	m := requirement.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return Requirement{}, fmt.Errorf(`requirement %q: must look like "recall(LABEL) >= 0.95"`, text)
	}
	r := Requirement{text: strings.TrimSpace(text), figure: m[1], label: strings.TrimSpace(m[2]), sensor: strings.TrimSpace(m[3]), operator: m[4]}
	if figures[r.figure] == nil {
		return r, fmt.Errorf("requirement %q: %q is no figure: known are %s", text, r.figure, strings.Join(Figures(), ", "))
	}
	if r.label == "" && !slices.Contains(allLabels, r.figure) {
		return r, fmt.Errorf("requirement %q: %s is of one label: name it in the brackets", text, r.figure)
	}
	var err error
	if r.bound, err = parseBound(m[5]); err != nil {
		return r, fmt.Errorf(`requirement %q: bound %q: must be a number, or a time such as "500ms"`, text, m[5])
	}
	return r, nil
}

// parseBound reads a number, or a time as seconds.
func parseBound(text string) (float64, error) {
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		var d time.Duration
		d, err = time.ParseDuration(text)
		x = d.Seconds()
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		err = strconv.ErrRange
	}
	return x, err
}

// String is the requirement as it was written.
func (r Requirement) String() string { return r.text }

// Check wraps ErrNotMet in one line that says which sensor's figure is not as
// required.
func (r Requirement) Check(s *Score) error {
	known := false
	for i := range s.Sensors {
		sensor := &s.Sensors[i]
		if r.sensor != "" && r.sensor != sensor.Name {
			continue
		}
		known = true
		label := r.of(sensor)
		if label == nil {
			return fmt.Errorf("requirement %s: %w: no flow of label %q is in the truth", r, ErrNotMet, r.label)
		}
		got := figures[r.figure](label)
		switch {
		case got == nil:
			return fmt.Errorf("requirement %s: %w: %s of %s is not defined: %s", r, ErrNotMet, r.figure, sensor.Name, label.why())
		case !r.holds(*got):
			return fmt.Errorf("requirement %s: %w: %s has %s%s", r, ErrNotMet, sensor.Name, strconv.FormatFloat(*got, 'g', 6, 64), r.counts(label))
		}
	}
	if !known {
		return fmt.Errorf("requirement %s: %w: no IDS is called %q", r, ErrNotMet, r.sensor)
	}
	return nil
}

// of is what the requirement is about; nil: there is no such label. A label
// that was benign and is malicious now has two rows: the malicious one is meant.
func (r Requirement) of(s *Sensor) *Label {
	if r.label == "" {
		return &Label{Measures: s.All}
	}
	var found *Label
	for i := range s.Labels {
		if l := &s.Labels[i]; l.Name == r.label && (found == nil || l.Malicious) {
			found = l
		}
	}
	return found
}

func (r Requirement) holds(got float64) bool {
	switch r.operator {
	case ">=":
		return got >= r.bound
	case ">":
		return got > r.bound
	case "<=":
		return got <= r.bound
	}
	return got < r.bound
}

// why says why a figure is not defined.
func (l *Label) why() string {
	switch {
	case l.Name != "" && l.Detected.Of == 0:
		return "no flow of the label was answered"
	case l.Name != "" && !l.Malicious:
		return "the label is benign: false_alerts and detected are"
	case l.TP+l.FP == 0:
		return "there was no alert"
	case l.TP+l.FN == 0:
		return "there is no malicious flow"
	}
	return "there is no benign flow"
}

// counts are the flows behind a share.
func (r Requirement) counts(l *Label) string {
	var s Share
	switch r.figure {
	case "recall":
		s = l.Recall
	case "precision":
		s = l.Precision
	case "false_alerts":
		s = l.FalseAlerts
	case "detected":
		s = l.Detected
	default:
		return ""
	}
	return fmt.Sprintf(" (%d of %d flows)", s.Hits, s.Of)
}
