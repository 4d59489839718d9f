package appliance

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/privacy"
)

const modelMeasureLong = `Measures a model, and the one in use, against packets that were captured here and held out from training, as training
does with its own, and writes what it finds into the model's manifest and its report.html. The daemon has this
done with models that were trained elsewhere before its gate judges them.`

// modelMeasureCommand measures a model that was trained elsewhere.
func (p *Program) modelMeasureCommand() *cobra.Command {
	var o trainOptions
	cmd := p.modelSubcommand(&cobra.Command{
		Use: "measure ID", Short: "Measure a model against packets that were captured here", Long: modelMeasureLong,
		Example: "  pacgan-appliance model measure 20260102T150405Z-0123abcd", Args: cobra.ExactArgs(1),
	}, true, func(ctx context.Context, f modelFlags, dir, id string) error {
		o.state, o.json = dir, f.json
		return p.measureModel(ctx, o, id)
	})
	flags := cmd.Flags()
	flags.StringVar(&o.since, "since", "", "compare with "+sinceUsage)
	flags.IntVar(&o.least, "least", leastDefault, "with --since: compare with "+leastUsage)
	flags.Uint64Var(&o.seed, "seed", 1, "the same seed and packets give the same measures")
	flags.Lookup("json").Usage = "the result as a line of JSON on standard output"
	return cmd
}

// measureModel measures the model ID of a state directory.
func (p *Program) measureModel(ctx context.Context, o trainOptions, id string) error {
	models := filepath.Join(o.state, modelsDir)
	if _, err := manifestOf(models, id); err != nil {
		return err
	}
	dir := filepath.Join(models, id)
	m, manifest, err := model.Load(dir)
	if err != nil {
		return err
	}
	judged, data, err := p.measureHere(ctx, o, m)
	if err != nil {
		return err
	}
	if len(judged.labels) > 0 { // else what its training measured is all that is known
		if judged.rival != nil && judged.rival.ID == id {
			judged.rival = nil
		}
		if judged.privacy, err = worsePrivacy(manifest.Privacy, judged.privacy); err != nil {
			return err
		}
		if err := model.Remeasure(models, id, judged.quality, judged.privacy, judged.rival); err != nil {
			return err
		}
		if err := writeModelPage(dir, data.against(), judged.labels); err != nil {
			return err
		}
	}
	if o.json {
		return json.NewEncoder(p.Stdout).Encode(trainEvent{Model: dir})
	}
	return p.modelShow(ctx, modelFlags{}, o.state, id)
}

// measureHere measures what can be: the model's labels that there are packets of.
func (p *Program) measureHere(ctx context.Context, o trainOptions, m *model.Model) (measured, corpus, error) {
	store, err := dataset.OpenReadOnly(filepath.Join(o.state, dataDir))
	if err != nil {
		return measured{}, corpus{}, err
	}
	o.only = slices.DeleteFunc(store.Labels(), func(name string) bool { return !slices.Contains(m.Labels, name) })
	var data corpus
	if len(o.only) > 0 { // none would mean all
		data, err = p.storeData(store, o)
	}
	if err = errors.Join(err, store.Close()); err != nil {
		return measured{}, corpus{}, err
	}
	out, err := p.measure(ctx, o, data, m)
	return out, data, err
}

// worsePrivacy is, of two measures of what a model repeats of captured secrets, the worse of each label: who trained it
// knows the secrets that it learned, who uses it those of its own clients.
func worsePrivacy(trained, here json.RawMessage) (json.RawMessage, error) {
	a, err := privacyReports(&model.Manifest{Privacy: trained})
	if err != nil {
		return nil, err
	}
	b, err := privacyReports(&model.Manifest{Privacy: here})
	if err != nil {
		return nil, err
	}
	out := map[string]privacy.Report{}
	for _, reports := range []map[string]privacy.Report{a, b} {
		for label, r := range reports {
			if was, ok := out[label]; !ok || r.Memorised > was.Memorised {
				out[label] = r
			}
		}
	}
	return json.Marshal(out)
}
