package appliance

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/quality"
	"pacgan-appliance/internal/report"
	"pacgan-appliance/internal/train"
	"pacgan-appliance/internal/wholefile"
)

// pageFile is, in a model's directory, what is known of it as a page for
// people.
const pageFile = "report.html"

// What a model is judged by.
const (
	againstHeldOut    = "packets that were held out from training"
	againstValidation = "packets that the generator was not fitted to, but by which its checkpoint was chosen"
)

// against is what the packets of heldOut are.
func (c corpus) against() string {
	if c.validated {
		return againstValidation
	}
	return againstHeldOut
}

// orValidation is the corpus itself and the trained model, where packets are
// held out in it. Of capture files, which are learned whole, training has put
// some aside, which judge the model as it was before it learned those, too.
func (c corpus) orValidation(r *train.Result) (corpus, *model.Model) {
	if c.heldOut != nil {
		return c, r.Model
	}
	out := corpus{heldOut: r.Validation, until: c.until, validated: true}
	for i, set := range c.train {
		out.train = append(out.train, train.Set{Label: set.Label, Packets: r.Fitted[i]})
	}
	return out, r.Blind
}

// writeModelPage writes a model's page into its directory.
func writeModelPage(dir, against string, labels []report.Label) error {
	manifest, err := model.ReadManifest(dir)
	if err != nil {
		return err
	}
	return writePage(filepath.Join(dir, pageFile), report.Model{
		Name: filepath.Base(dir), Manifest: *manifest, Against: against, Labels: labels,
	})
}

// writePage writes a page. It shows captured packets: not everybody may read it.
func writePage(path string, m report.Model) error {
	err := wholefile.Write(path, 0o640, func(file io.Writer) error {
		w := bufio.NewWriter(file)
		return errors.Join(report.Write(w, m), w.Flush())
	})
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// generatedReport is what generate --report writes.
type generatedReport struct {
	Model   string                    `json:"model"`
	Seed    uint64                    `json:"seed"`
	Against string                    `json:"against"`
	Labels  map[string]quality.Report `json:"labels"`
}

// reportGenerated judges the packets that were generated and writes the report
// and, beside it, the page.
func (p *Program) reportGenerated(ctx context.Context, o generateOptions, manifest *model.Manifest, real corpus, packets [][][]byte) error {
	out := generatedReport{Model: o.model, Seed: o.seed, Against: real.against(), Labels: map[string]quality.Report{}}
	if o.real != nil {
		out.Against = "packets of " + strings.Join(o.real, ", ")
	}
	page := report.Model{Name: filepath.Base(o.model), Manifest: *manifest, Against: out.Against}
	for i, name := range o.labels {
		l := report.Label{Name: name, Generated: packets[i], Trained: real.train[i].Packets, Real: real.heldOut[i]}
		var err error
		if l.Quality, err = quality.Measure(ctx, quality.Options{Seed: o.seed}, l.Generated, l.Trained, l.Real); err != nil {
			return fmt.Errorf("label %q: %w", name, err)
		}
		out.Labels[name] = l.Quality
		page.Labels = append(page.Labels, l)
	}
	if err := writeJSON(o.report, out); err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	return writePage(strings.TrimSuffix(o.report, filepath.Ext(o.report))+".html", page)
}

// realFor reads the real packets of the labels, in their order: those that
// --real names, all of which count as held out, or those of the state
// directory that the model lies in.
func (p *Program) realFor(o generateOptions) (corpus, error) {
	found, err := p.realOf(o)
	if err != nil {
		return corpus{}, err
	}
	for _, set := range found.train {
		if !slices.Contains(o.labels, set.Label) {
			return corpus{}, fmt.Errorf("--real %s=FILE: the labels to generate are %s", set.Label, strings.Join(o.labels, ", "))
		}
	}
	ordered := corpus{until: found.until}
	for _, name := range o.labels {
		i := slices.IndexFunc(found.train, func(s train.Set) bool { return s.Label == name })
		if i < 0 || len(found.heldOut[i]) == 0 {
			return corpus{}, fmt.Errorf("--report: no real packets of label %q: name a capture file with --real %s=FILE.pcap", name, name)
		}
		ordered.train = append(ordered.train, found.train[i])
		ordered.heldOut = append(ordered.heldOut, found.heldOut[i])
	}
	return ordered, nil
}

func (p *Program) realOf(o generateOptions) (corpus, error) {
	if o.real != nil {
		data, err := p.filesData(o.real)
		c := corpus{}
		for _, set := range data {
			c.train = append(c.train, train.Set{Label: set.Label})
			c.heldOut = append(c.heldOut, set.Packets)
		}
		return c, err
	}
	dir, err := filepath.EvalSymlinks(o.model)
	if err != nil {
		return corpus{}, err
	}
	store, err := dataset.OpenReadOnly(filepath.Join(filepath.Dir(filepath.Dir(dir)), dataDir)) // state/models/ID
	if errors.Is(err, fs.ErrNotExist) {
		return corpus{}, fmt.Errorf("--report: model %s lies in no state directory with captures: name real packets with --real NAME=FILE.pcap", o.model)
	}
	if err != nil {
		return corpus{}, err
	}
	c, err := p.storeData(store, trainOptions{only: o.labels})
	return c, errors.Join(err, store.Close())
}
