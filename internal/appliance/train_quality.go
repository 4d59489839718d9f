package appliance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/quality"
)

// measuredPackets is how many packets of each label the quality of a trained
// model is measured on: a share of them is known to about two points.
const measuredPackets = 2000

// measured is what training finds out about a model beside its own loss.
type measured struct {
	quality json.RawMessage // quality.Report of each label by its name; nil: nothing was held out
	rival   *model.Rival    // the current model, measured in the same way; nil: there is none, or of other labels
}

// measure compares a new model, and the one in use, to packets that training
// has not seen.
func (p *Program) measure(ctx context.Context, o trainOptions, data corpus, m *model.Model) (measured, error) {
	var out measured
	if data.heldOut == nil {
		return out, nil
	}
	var err error
	if out.quality, err = data.qualityOf(ctx, m, o.seed); err != nil {
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
	for _, set := range data.train {
		if _, err := rival.Index(set.Label); err != nil {
			return out, nil
		}
	}
	out.rival = &model.Rival{ID: id}
	out.rival.Quality, err = data.qualityOf(ctx, rival, o.seed)
	return out, err
}

// qualityOf measures a model on every label that has packets held out.
func (c corpus) qualityOf(ctx context.Context, m *model.Model, seed uint64) (json.RawMessage, error) {
	reports := map[string]quality.Report{}
	for i, set := range c.train {
		if len(c.heldOut[i]) == 0 {
			continue
		}
		sampler, err := m.NewSampler(set.Label, seed)
		if err != nil {
			return nil, err
		}
		generated := make([][]byte, measuredPackets)
		for n := range generated {
			if generated[n], err = sampler.Next(nil); err != nil {
				return nil, fmt.Errorf("generate %s: %w", set.Label, err)
			}
		}
		reports[set.Label], err = quality.Measure(ctx, quality.Options{Seed: seed}, generated, set.Packets, c.heldOut[i])
		if err != nil {
			return nil, fmt.Errorf("label %q: %w", set.Label, err)
		}
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
