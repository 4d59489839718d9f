package appliance

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/web"
)

// What the page compares: so many generated packets of each label with the
// nearest of so many captured ones, the newest.
const (
	shownPackets    = 3
	searchedPackets = 3000
)

// shownExamples draws packets of the model in use and reads captured ones, for
// the page to set side by side. They come from a sampler of their own and are
// not sent. None without a model.
func (s *service) shownExamples() ([]web.Packets, error) {
	m := s.current.Load()
	if m == nil {
		return nil, nil
	}
	var out []web.Packets
	for _, label := range labelNames(*s.cfg.Load()) {
		if _, err := m.model.Index(label); err != nil {
			continue // a reload has just brought it
		}
		captured, err := s.store.Read(label, searchedPackets)
		if err != nil {
			return nil, err
		}
		one := web.Packets{Label: label, Geometry: m.model.Geometry}
		one.Real, _ = ipPackets(captured)
		one.Real = slices.DeleteFunc(one.Real, func(ip []byte) bool { return len(ip) > m.model.Geometry.CapacityBytes() })
		sampler, err := m.model.NewSampler(label, uint64(time.Now().UnixNano()))
		if err != nil {
			return nil, err
		}
		for range shownPackets {
			ip, err := sampler.Next(nil)
			if err != nil {
				return nil, fmt.Errorf("generate %s: %w", label, err)
			}
			one.Generated = append(one.Generated, ip)
		}
		out = append(out, one)
	}
	return out, nil
}

// modelReports lists the models on disk for the page, the newest first.
func (s *service) modelReports() ([]web.ModelReport, error) {
	entries, err := model.List(s.models)
	if err != nil {
		return nil, err
	}
	current, err := model.Current(s.models)
	if err != nil && !errors.Is(err, model.ErrNoModel) {
		return nil, err
	}
	var out []web.ModelReport
	for _, e := range slices.Backward(entries) {
		r := web.ModelReport{Model: web.Model{ID: e.ID}, Current: e.ID == current}
		if e.Err == nil {
			e.Err = describeManifest(&r, e.Manifest)
		}
		if e.Err != nil {
			r.Fault = e.Err.Error()
		}
		out = append(out, r)
	}
	return out, nil
}

// describeManifest fills in what a manifest says of a model.
func describeManifest(r *web.ModelReport, man *model.Manifest) error {
	r.Created, r.Recipe, r.Software, r.Seed = man.Created, string(man.Recipe), man.Software, man.Seed
	if t := man.Training; t != nil {
		r.Step, r.Steps, r.Took, r.Curve = t.Step, t.Steps, seconds(t.Seconds), webCurve(t)
	}
	reports, err := reportsOf(man.Quality)
	if err != nil {
		return err
	}
	for _, label := range man.Labels {
		l := web.LabelReport{Name: label}
		if q, ok := reports[label]; ok {
			l.Quality = webQuality(q)
		}
		if man.Training != nil {
			l.Trained = man.Training.Packets[label]
		}
		r.Labels = append(r.Labels, l)
	}
	if j := man.Judgement; j != nil {
		describeJudgement(r, j)
	}
	return nil
}

func describeJudgement(r *web.ModelReport, j *model.Judgement) {
	r.Promoted, r.Aside, r.Reason, r.Judged = j.State == model.StatePromoted, j.State == model.StateAside, j.Reason, j.At
	if j.Canary == nil {
		return
	}
	for _, l := range j.Canary.Labels {
		r.Canary = append(r.Canary, web.CanaryReport{
			Label: l.Label, Model: successOf(l.Model), Current: successOf(l.Current), Ceiling: successOf(l.Ceiling),
		})
	}
}

// webCurve is how a model's training went, as far as its manifest says.
func webCurve(t *model.Training) web.Curve {
	c := web.Curve{Floor: t.Floor, Chosen: t.Step, Checkpoints: webCheckpoints(t.Curve)}
	for _, at := range t.Curve {
		if at.Step > 0 { // there are no losses before the first step
			c.Losses = append(c.Losses, web.Losses{Step: at.Step, Critic: float64(at.CriticLoss), Generator: float64(at.GeneratorLoss)})
		}
	}
	return c
}

func webCheckpoints(from []model.Checkpoint) []web.Checkpoint {
	var out []web.Checkpoint
	for _, at := range from {
		out = append(out, web.Checkpoint{Step: at.Step, Distance: at.Distance})
	}
	return out
}

// webTraining is the training under way; nil: none is.
func (t *trainer) webTraining() *web.TrainingRun {
	r := t.running.Load()
	if r == nil {
		return nil
	}
	last := r.curve.latest()
	losses, checkpoints := r.curve.points()
	out := &web.TrainingRun{Began: r.began, Recipe: string(r.recipe), Step: last.Step, Steps: last.Steps}
	out.Curve.Chosen, out.Curve.Checkpoints = last.BestStep, webCheckpoints(checkpoints)
	for _, l := range losses {
		out.Curve.Losses = append(out.Curve.Losses, web.Losses{Step: l.step, Critic: float64(l.critic), Generator: float64(l.generator)})
	}
	return out
}
