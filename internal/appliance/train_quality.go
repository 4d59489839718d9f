package appliance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/quality"
	"pacgan-appliance/internal/report"
)

// measuredPackets is how many packets of each label the quality of a trained
// model is measured on: a share of them is known to about two points.
const measuredPackets = 2000

// measured is what training finds out about a model beside its own loss.
type measured struct {
	labels  []report.Label  // the new model's packets beside real ones
	quality json.RawMessage // quality.Report of each label by its name
	privacy json.RawMessage // privacy.Report, likewise
	rival   *model.Rival    // the current model, measured in the same way; nil: there is none, or of other labels
}

// measure compares a new model, and the one in use, to packets that training
// has not seen.
func (p *Program) measure(ctx context.Context, o trainOptions, data corpus, m *model.Model) (measured, error) {
	var out measured
	var err error
	if out.labels, err = data.labelsOf(ctx, m, measuredPackets, o.seed); err != nil {
		return out, err
	}
	if out.privacy, err = privacyOf(ctx, out.labels, o.seed); err != nil {
		return out, err
	}
	if out.quality, err = qualityOf(out.labels); err != nil || o.state == "" {
		return out, err
	}
	models := filepath.Join(o.state, modelsDir)
	id, err := model.Current(models)
	if errors.Is(err, model.ErrNoModel) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	rival, _, err := model.Load(filepath.Join(models, id))
	if err != nil { // no reason to have no new one
		fmt.Fprintf(p.Stderr, "not compared with the current model: %v\n", err)
		return out, nil
	}
	packets, err := data.labelsOf(ctx, rival, measuredPackets, o.seed)
	if err != nil {
		return out, err
	}
	out.rival = &model.Rival{ID: id}
	out.rival.Quality, err = qualityOf(packets)
	return out, err
}

// labelsOf generates packets of every label of a model that has some held out,
// and measures them.
func (c corpus) labelsOf(ctx context.Context, m *model.Model, count int, seed uint64) ([]report.Label, error) {
	var labels []report.Label
	for i, set := range c.train {
		if _, err := m.Index(set.Label); err != nil || len(c.heldOut[i]) == 0 {
			continue
		}
		sampler, err := m.NewSampler(set.Label, seed)
		if err != nil {
			return nil, err
		}
		l := report.Label{Name: set.Label, Trained: set.Packets, Real: c.heldOut[i], Generated: make([][]byte, count)}
		for n := range l.Generated {
			if l.Generated[n], err = sampler.Next(nil); err != nil {
				return nil, fmt.Errorf("generate %s: %w", set.Label, err)
			}
		}
		l.Quality, err = quality.Measure(ctx, quality.Options{Seed: seed}, l.Generated, set.Packets, l.Real)
		if err != nil {
			return nil, fmt.Errorf("label %q: %w", set.Label, err)
		}
		labels = append(labels, l)
	}
	return labels, nil
}

// qualityOf is what a manifest says of a model's labels.
func qualityOf(labels []report.Label) (json.RawMessage, error) {
	reports := map[string]quality.Report{}
	for _, l := range labels {
		reports[l.Name] = l.Quality
	}
	return json.Marshal(reports)
}

// reportsOf reads what qualityOf wrote; none where nothing was measured.
func reportsOf(encoded json.RawMessage) (map[string]quality.Report, error) {
	reports := map[string]quality.Report{}
	if len(encoded) == 0 {
		return reports, nil
	}
	if err := json.Unmarshal(encoded, &reports); err != nil {
		return nil, fmt.Errorf("quality report: %w", err)
	}
	return reports, nil
}
