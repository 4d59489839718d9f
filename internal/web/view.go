package web

import (
	"html/template"
	"time"

	"pacgan-appliance/internal/live"
	"pacgan-appliance/internal/verify"
)

// view is what the live part of the page shows.
type view struct {
	Snapshot
	Span       Span
	Spans      []Span
	Rows       []row
	Drops      []reason
	OnWireRate float64 // packets per second over the last minute; < 0: no history
	Worst      *worst  // nil: no label's quality is measured
}

// worst is the label whose packets are furthest from real ones.
type worst struct {
	Label string
	*Quality
}

// row is one label on the page.
type row struct {
	Label
	Chart   *labelChart // nil without a history
	Recent  []recent
	Losses  []reason // how packets ended that were not answered
	Stretch Span
}

// recent is a label's success over one span.
type recent struct {
	Name string
	verify.Success
}

// renderLive renders the parts of the page that change.
func (p *page) renderLive(span Span) ([]live.Fragment, error) {
	s, err := p.options.Snapshot()
	if err != nil {
		return nil, err
	}
	v, err := p.newView(s, span)
	if err != nil {
		return nil, err
	}
	first, err := p.execute("first", &v)
	if err != nil {
		return nil, err
	}
	training, err := p.renderTraining(s)
	if err != nil {
		return nil, err
	}
	models, err := p.renderModels(s.Time)
	if err != nil {
		return nil, err
	}
	ids, err := p.renderIDS(s)
	if err != nil {
		return nil, err
	}
	return []live.Fragment{{ID: "first", HTML: first}, {ID: "ids", HTML: ids}, {ID: "training", HTML: training}, {ID: "models", HTML: models}}, nil
}

func (p *page) newView(s Snapshot, span Span) (view, error) {
	v := view{Snapshot: s, Span: span, Spans: Spans(), Drops: largestFirst(s.Drops), OnWireRate: -1}
	onWire := uint64(0)
	for _, l := range s.Labels {
		r := row{Label: l, Losses: lossesOf(&l.Counts), Stretch: span}
		if q := l.Quality; q != nil && (v.Worst == nil || q.FieldDistance-q.FieldDistanceFloor > v.Worst.FieldDistance-v.Worst.FieldDistanceFloor) {
			v.Worst = &worst{l.Name, q}
		}
		for _, recently := range v.Spans {
			if p.options.History == nil {
				break
			}
			points := p.options.History.Points(recently, l.Name, s.Time)
			var ends Ends
			for _, point := range points {
				ends.add(point.Ends)
				if recently == v.Spans[0] && s.Time.Sub(point.Start) < time.Minute {
					onWire += uint64(point.OnWire)
				}
			}
			r.Recent = append(r.Recent, recent{live.Brief(recently.Length()), ends.Success()})
			if recently == span {
				var err error
				if r.Chart, err = newChart(l.Name, span, points); err != nil {
					return v, err
				}
			}
		}
		v.Rows = append(v.Rows, r)
	}
	if p.options.History != nil {
		v.OnWireRate = float64(onWire) / min(time.Minute, max(s.Uptime(), time.Second)).Seconds()
	}
	return v, nil
}

// mostLosses is how many reasons a label shows; the rest is one sum.
const mostLosses = 6

// lossesOf lists how packets ended that were not answered, the most first.
func lossesOf(c *Counts) []reason {
	all := map[string]uint64{"no answer": c.Expired, "blocked by the guard": c.Blocked, "malformed": c.Malformed}
	for name, n := range c.Rejected {
		all[name] += n
	}
	for name, n := range c.Failed {
		all["not sent: "+name] += n
	}
	out := largestFirst(all)
	if len(out) > mostLosses {
		rest := reason{Name: "other reasons"}
		for _, r := range out[mostLosses-1:] {
			rest.Count += r.Count
		}
		out = append(out[:mostLosses-1], rest)
	}
	return out
}

// renderTraining shows the training under way, or else the current model's.
func (p *page) renderTraining(s Snapshot) (template.HTML, error) {
	var v struct {
		Training *TrainingRun
		Model    *Model
		Passed   time.Duration // since the training began
		Curves   curves
	}
	v.Training, v.Model = s.Training, s.Model
	var curve Curve
	switch {
	case s.Training != nil:
		curve, v.Passed = s.Training.Curve, max(0, s.Time.Sub(s.Training.Began))
	case s.Model != nil:
		curve = s.Model.Curve
	}
	var err error
	if v.Curves, err = newCurves(curve); err != nil {
		return "", err
	}
	return p.execute("training", v)
}

// renderModels lists the models, the newest first.
func (p *page) renderModels(now time.Time) (template.HTML, error) {
	var v struct {
		Models []ModelReport
		Fault  string
		Now    time.Time
	}
	var err error
	if v.Models, err = p.models.Get(); err != nil {
		v.Fault = err.Error() // the rest of the page is of use without them
	}
	v.Now = now
	return p.execute("models", v)
}
