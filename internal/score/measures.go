package score

import (
	"cmp"
	"math"
	"slices"
	"time"

	"pacgan-appliance/internal/wilson"
)

// Share is a proportion that was counted, with its Wilson 95 % interval.
type Share struct {
	Hits uint64   `json:"hits"`
	Of   uint64   `json:"of"`
	Rate *float64 `json:"rate"` // null where there is nothing that it is a share of
	Low  float64  `json:"low"`
	High float64  `json:"high"`
}

func shareOf(hits, of uint64) Share {
	s := Share{Hits: hits, Of: of}
	if of > 0 {
		rate := float64(hits) / float64(of)
		s.Rate = &rate
	}
	s.Low, s.High = wilson.Interval(hits, of)
	return s
}

// Confusion counts flows: positive is an alert, true is that the label is
// malicious.
type Confusion struct {
	TP uint64 `json:"tp"`
	FP uint64 `json:"fp"`
	FN uint64 `json:"fn"`
	TN uint64 `json:"tn"`
}

// Measures are a confusion matrix and what is usually made of it. Those that
// are not defined, since they have nothing to divide by, are null.
type Measures struct {
	Confusion
	Recall      Share    `json:"recall"`       // TP / (TP + FN)
	Precision   Share    `json:"precision"`    // TP / (TP + FP)
	FalseAlerts Share    `json:"false_alerts"` // FP / (FP + TN)
	F1          *float64 `json:"f1"`
	MCC         *float64 `json:"mcc"` // Matthews correlation coefficient
}

func measuresOf(c Confusion) Measures {
	m := Measures{
		Confusion: c, Recall: shareOf(c.TP, c.TP+c.FN), Precision: shareOf(c.TP, c.TP+c.FP), FalseAlerts: shareOf(c.FP, c.FP+c.TN),
	}
	tp, fp, fn, tn := float64(c.TP), float64(c.FP), float64(c.FN), float64(c.TN)
	if c.TP+c.FN > 0 && 2*tp+fp+fn > 0 {
		f1 := 2 * tp / (2*tp + fp + fn)
		m.F1 = &f1
	}
	// Two roots: the product of all four may be beyond what a float holds, and the root of a square is exact, so that what is
	// perfect is 1.
	if d := math.Sqrt((tp+fp)*(tp+fn)) * math.Sqrt((tn+fp)*(tn+fn)); d > 0 {
		mcc := (tp*tn - fp*fn) / d
		m.MCC = &mcc
	}
	return m
}

// newSensor makes the figures of what was counted. A malicious label is
// measured against all benign flows; a benign one has false alerts only.
func newSensor(j *join, offset Offset, classes []class) Sensor {
	s := figuresOf(j.tally, j.rules, classes)
	s.Name, s.Kind, s.Files, s.Events, s.Torn, s.Offset = j.Name, j.Kind, j.Paths, j.events, j.torn, offset
	return s
}

func figuresOf(counted *tally, rules []signature, classes []class) Sensor {
	s := Sensor{Alerts: counted.alerts, Foreign: counted.others, Ambiguous: counted.unclear}
	var all Confusion
	for n, c := range classes {
		t := counted.class(int32(n))
		one := confusion(c, t)
		all = Confusion{all.TP + one.TP, all.FP + one.FP, all.FN + one.FN, all.TN + one.TN}
	}
	for n, c := range classes {
		l := newLabel(c, counted.class(int32(n)), all)
		l.Timeline = counted.time.moments(n)
		s.Labels = append(s.Labels, l)
	}
	s.All = measuresOf(all)
	slices.SortFunc(s.Labels, func(x, y Label) int { return cmp.Compare(x.Name, y.Name) })
	for n, known := range rules {
		s.Signatures = append(s.Signatures, newSignature(known, counted.rule(int32(n)), classes))
	}
	slices.SortFunc(s.Signatures, func(x, y Signature) int { return cmp.Or(cmp.Compare(y.alerts(), x.alerts()), cmp.Compare(x.ID, y.ID)) })
	return s
}

func confusion(c class, t *classTally) Confusion {
	alerted, silent := t.alerted[scored], t.flows[scored]-t.alerted[scored]
	if c.malicious {
		return Confusion{TP: alerted, FN: silent}
	}
	return Confusion{FP: alerted, TN: silent}
}

func newLabel(c class, t *classTally, all Confusion) Label {
	times := slices.Sorted(slices.Values(t.times))
	own := confusion(c, t)
	if c.malicious {
		own.FP, own.TN = all.FP, all.TN
	}
	l := Label{
		Name: c.label, Malicious: c.malicious, Apart: map[string]Apart{}, Measures: measuresOf(own),
		Detected:  shareOf(t.alerted[scored], t.flows[scored]),
		DetectP50: secondsOf(quantile(times, 0.50)), DetectP99: secondsOf(quantile(times, 0.99)),
	}
	for i := 0; i <= 20 && len(times) > 0; i++ {
		l.Detect = append(l.Detect, secondsOf(quantile(times, float64(i)/20)))
	}
	for e := scored + 1; e < endings; e++ {
		if t.flows[e] > 0 {
			l.Apart[e.String()] = Apart{t.flows[e], t.alerted[e]}
		}
	}
	return l
}

func newSignature(known signature, r *ruleTally, classes []class) Signature {
	s := Signature{
		ID: known.id, Text: known.text, Foreign: r.foreign, Ambiguous: r.unclear,
		First: time.Unix(0, known.first).UTC(), Last: time.Unix(0, known.last).UTC(),
	}
	for n, c := range classes {
		if alerts := r.alerts[int32(n)]; alerts > 0 {
			s.Fired = append(s.Fired, FiredOnLabel{c.label, r.flows[int32(n)], alerts})
		}
	}
	slices.SortFunc(s.Fired, func(x, y FiredOnLabel) int {
		return cmp.Or(cmp.Compare(y.Flows, x.Flows), cmp.Compare(x.Label, y.Label))
	})
	return s
}

// alerts is how often it fired.
func (s *Signature) alerts() uint64 {
	n := s.Foreign + s.Ambiguous
	for _, on := range s.Fired {
		n += on.Alerts
	}
	return n
}

func secondsOf(ns int64) Seconds { return Seconds(time.Duration(ns).Seconds()) }
