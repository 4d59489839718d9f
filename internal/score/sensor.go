package score

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"pacgan-appliance/internal/chart"
)

// liveSensor is what a Live knows of one sensor.
type liveSensor struct {
	LiveSource
	signatures
	counted    *tally
	pending    []pendingAlert
	detections map[uint64]*joined // of flows that are remembered
	sole, some lastDifferences    // from flows that alone have their ports, and from others
	offset     Offset
	estimated  time.Time // when the offset was
	canaries   map[canaryOf]*canary

	events      uint64
	last        time.Time // event
	flowsAtLast uint64    // that had arrived then
	badLines    uint64
	badLine     error // the last
	dropped     uint64
	fault       error // why its log cannot be read
}

// pendingAlert waits until the truth of its flow is known.
type pendingAlert struct {
	alert
	key      key
	received time.Time
}

func newLiveSensor(s LiveSource, now time.Time) *liveSensor {
	return &liveSensor{
		LiveSource: s, counted: &tally{mostTimes: mostLiveTimes}, detections: map[uint64]*joined{}, canaries: map[canaryOf]*canary{}, last: now,
	}
}

// lastDifferences are the last mostDifferences ones.
type lastDifferences struct {
	list []difference
	seen int
}

func (l *lastDifferences) add(d difference) {
	if len(l.list) < mostDifferences {
		l.list = append(l.list, d)
	} else {
		l.list[l.seen%mostDifferences] = d
	}
	l.seen++
}

// differ takes down by how much an alert is later than a flow that it may
// belong to; alone says that no other has the same ports.
func (s *liveSensor) differ(one *alert, f *joined, alone bool) {
	switch d, ok := f.difference(int(s.counted.alerts), one, 1); {
	case !ok:
	case alone:
		s.sole.add(d)
	default:
		s.some.add(d)
	}
}

// estimate finds the offset of the sensor's clock, of the last alerts.
func (s *liveSensor) estimate() {
	d := slices.Clone(s.sole.list)
	if len(d) < leastAgreed {
		d = append(d, s.some.list...)
	}
	slices.SortFunc(d, func(x, y difference) int { return cmp.Compare(x.ns, y.ns) })
	if o := estimate(d); o.Pairs >= leastAgreed {
		s.offset = o
	}
}

// canaryOf names a signature on a label.
type canaryOf struct{ signature, class int32 }

// canary is how often a signature fires on a label: when it no longer does, a
// rule is gone.
type canary struct {
	flows       uint64 // that it fired on
	first, last uint64 // flows of the label that had arrived when it fired first, and last
	at          time.Time
}

func (s *liveSensor) canary(signature, class int32) *canary {
	of := canaryOf{signature, class}
	if s.canaries[of] == nil {
		s.canaries[of] = &canary{}
	}
	return s.canaries[of]
}

// ForgetRules has every signature that no longer fires missed no more, as if
// none had fired yet: those that do are known again after the next flows.
func (l *Live) ForgetRules() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sensors {
		clear(s.canaries)
	}
}

func (c *canary) fire(arrived uint64, now time.Time) {
	if c.flows == 0 {
		c.first = arrived
	}
	c.flows++
	c.last, c.at = max(c.last, arrived), now
}

// rate is the share of the label's flows that it fired on while it did.
func (c *canary) rate() float64 { return min(1, float64(c.flows)/float64(c.last-c.first+1)) }

const (
	leastFired = 5 // flows, before a signature is missed
	// leastMissed is how many flows a signature would have fired on since: that
	// it fires on none by chance is less likely than one in a million.
	leastMissed = 14
	// leastUnseen is how many flows a sensor must have let pass to be taken for dead.
	leastUnseen = 20
)

// Silent is a signature that fired on a malicious label, and no longer does.
type Silent struct {
	ID    string  `json:"id"`
	Text  string  `json:"text"`
	Label string  `json:"label"`
	For   Seconds `json:"for_s"`
	Flows uint64  `json:"flows"` // of the label in this time
	Rate  float64 `json:"rate"`  // share of the label's flows that it fired on before
}

// String says it in one line.
func (s Silent) String() string {
	name := s.ID
	if s.Text != "" {
		name += " (" + printable(s.Text) + ")"
	}
	return fmt.Sprintf("signature %s has not fired on %s for %.0f s and %d flows; before, it did on %.0f %%", name, s.Label, s.For, s.Flows, 100*s.Rate)
}

// silent are the signatures that are missed.
func (s *liveSensor) silent(now time.Time, settled []uint64, classes []class) []Silent {
	var out []Silent
	for of, c := range s.canaries {
		seen, passed := settled[of.class], now.Sub(c.at)
		if !classes[of.class].malicious || c.flows < leastFired || passed < s.Silence || seen <= c.last || float64(seen-c.last)*c.rate() < leastMissed {
			continue
		}
		out = append(out, Silent{
			ID: s.rules[of.signature].id, Text: s.rules[of.signature].text, Label: classes[of.class].label,
			For: Seconds(passed.Seconds()), Flows: seen - c.last, Rate: c.rate(),
		})
	}
	slices.SortFunc(out, func(x, y Silent) int { return cmp.Or(cmp.Compare(x.Label, y.Label), cmp.Compare(x.ID, y.ID)) })
	return out
}

// LiveScore is what a sensor that runs made of the flows since Since.
type LiveScore struct {
	Sensor
	Since     time.Time `json:"since"`
	LastEvent time.Time `json:"last_event"` // when a line was read last; Since before the first
	Dead      bool      `json:"dead"`       // nothing is logged while traffic flows
	Silent    []Silent  `json:"silent"`     // empty of a dead sensor: all are
	Fault     string    `json:"fault,omitempty"`
	BadLines  uint64    `json:"bad_lines"`
	BadLine   string    `json:"bad_line,omitempty"` // the last
	Dropped   uint64    `json:"dropped_alerts"`     // of more signatures than are told apart
}

// Scores are what the sensors made of the flows until now.
func (l *Live) Scores() []LiveScore {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance()
	now := l.options.Now()
	var out []LiveScore
	for _, s := range l.sensors {
		one := LiveScore{
			Sensor: figuresOf(s.counted, s.rules, l.classes.list), Since: l.began, LastEvent: s.last, BadLines: s.badLines, Dropped: s.dropped,
		}
		one.Name, one.Kind, one.Files, one.Events, one.Offset = s.Name, s.Kind, []string{s.Path}, s.events, s.offset
		one.Signatures = one.Signatures[:min(len(one.Signatures), shownLiveSignatures)]
		for i := range one.Labels {
			one.Labels[i].Timeline, one.Labels[i].Detect = nil, nil
		}
		if s.fault != nil {
			one.Fault = s.fault.Error()
		}
		if s.badLine != nil {
			one.BadLine = s.badLine.Error()
		}
		passed := sum(l.settled)
		one.Dead = now.Sub(s.last) >= s.Silence && passed >= s.flowsAtLast+leastUnseen
		if !one.Dead {
			one.Silent = s.silent(now, l.settled, l.classes.list)
		}
		out = append(out, one)
	}
	return out
}

// Line is the score in one line.
func (s *LiveScore) Line() string {
	share := func(what string, of Share) string {
		return fmt.Sprintf("%s %s of %s", what, percent(of.Rate), chart.Grouped(of.Of))
	}
	return fmt.Sprintf("IDS %s: %s, %s, %s; %s alerts, %s foreign%s", s.Name, share("recall", s.All.Recall), share("precision", s.All.Precision),
		share("false alerts", s.All.FalseAlerts), chart.Grouped(s.Alerts), chart.Grouped(s.Foreign), s.unclear())
}

// Warnings say in a line each what is wrong with a sensor, and what to do.
func (s *LiveScore) Warnings() []string {
	var out []string
	switch {
	case s.Fault != "":
		out = append(out, fmt.Sprintf("IDS %s: its log cannot be read: %s", s.Name, s.Fault))
	case s.Dead:
		out = append(out, fmt.Sprintf("IDS %s: nothing in %s since %s, while traffic flows: is it running, and does it see the servers' side?",
			s.Name, s.Files[0], s.LastEvent.UTC().Format("15:04:05 MST")))
	}
	for _, one := range s.Silent {
		out = append(out, fmt.Sprintf("IDS %s: %s: was the rule removed? (on purpose: reload the appliance)", s.Name, one))
	}
	if s.BadLines > 0 {
		out = append(out, fmt.Sprintf("IDS %s: %d lines of its log cannot be read, the last: %s", s.Name, s.BadLines, s.BadLine))
	}
	return out
}
