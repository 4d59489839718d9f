package appliance

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/inject"
	"pacgan-appliance/internal/model"
)

// InjectReport is what `inject --json` writes: fields may be added, none goes
// away.
type InjectReport struct {
	Version      string        `json:"version"`
	Source       string        `json:"source"`          // model or capture
	Model        string        `json:"model,omitempty"` // directory
	Files        []string      `json:"files,omitempty"` // of --pcap
	Seed         uint64        `json:"seed"`
	Engine       string        `json:"engine"`        // that sent, and what was measured to choose it
	Learned      bool          `json:"learned"`       // the gaps are the captured ones
	RateAsked    float64       `json:"rate_asked"`    // packets per second over all labels
	RateAchieved float64       `json:"rate_achieved"` // 0 for fewer than two packets
	Seconds      float64       `json:"seconds"`       // from the first packet to the last
	Interrupted  bool          `json:"interrupted"`   // before the end that was asked for
	Labels       []LabelReport `json:"labels"`
	All          LabelReport   `json:"all"`
	Drops        DropStatus    `json:"drops"`
	Warnings     []string      `json:"warnings"` // of losses, each with its stage and what to do
}

// injection is one run of inject, ready to begin.
type injection struct {
	o      injectOptions
	cfg    config.Config // of the chosen labels
	source *source
	man    *model.Manifest // of the model; nil: captured packets
	total  int             // packets to come; 0: not known
	report InjectReport
}

// inject sends packets once and reports.
func (p *Program) inject(ctx context.Context, o injectOptions) error {
	job, err := p.prepareInject(o)
	if err != nil {
		return err
	}
	w, err := openWire(job.cfg, 1)
	if err != nil {
		return err
	}
	if job.man != nil {
		job.source.origin = w.truth.origin(filepath.Base(job.report.Model), job.man, o.seed)
	}
	err = p.runInject(ctx, job, w)
	return errors.Join(err, w.close())
}

// prepareInject reads all that a run needs, before it touches the network.
func (p *Program) prepareInject(o injectOptions) (*injection, error) {
	cfg, err := configLoader().Load(o.config)
	if err != nil {
		return nil, err
	}
	if err := o.apply(&cfg); err != nil {
		return nil, err
	}
	job := &injection{o: o, cfg: cfg, report: InjectReport{
		Version: p.Version, Source: string(cfg.Inject.Source), Files: o.pcaps, Seed: o.seed, Learned: cfg.Inject.Rate.Learned,
		RateAsked: rateOf(cfg),
	}}
	job.cfg.Labels = o.chosen(cfg.Labels)
	if cfg.Inject.Source == config.SourceModel {
		err = job.fromModel()
	} else {
		err = p.fromCapture(job, cfg.Labels)
	}
	if err != nil {
		return nil, err
	}
	if learned, ok := job.source.order.(*learnedOrder); ok {
		job.report.RateAsked = min(learned.rate(), cfg.Safety.MaxRate)
	}
	job.count()
	return job, nil
}

// count works out how many packets are to come.
func (j *injection) count() {
	j.total = int(j.o.count)
	sum := 0
	for _, n := range j.source.left {
		if n == endless {
			return
		}
		sum += n
	}
	if j.total == 0 || sum < j.total {
		j.total = sum
	}
}

// store opens what was captured, where a daemon may be storing more.
func (j *injection) store() (*dataset.Store, error) {
	return dataset.OpenReadOnly(filepath.Join(j.cfg.State.Dir, dataDir))
}

func (j *injection) fromModel() error {
	dir := j.o.model
	if dir == "" {
		models := filepath.Join(j.cfg.State.Dir, modelsDir)
		id, err := model.Current(models)
		if errors.Is(err, model.ErrNoModel) {
			return fmt.Errorf("%s: no model yet: train one, name one with --model DIR, or inject captured packets with --source capture", models)
		}
		if err != nil {
			return err
		}
		dir = filepath.Join(models, id)
	}
	m, man, err := model.Load(dir)
	if err != nil {
		return err
	}
	j.report.Model, j.man = dir, man
	var o order = newShareOrder(shares(j.cfg))
	if j.cfg.Inject.Rate.Learned {
		store, err := j.store()
		if err != nil {
			return err
		}
		o, err = orderOf(j.cfg, store, j.o.seed)
		if err := errors.Join(err, store.Close()); err != nil {
			return err
		}
	}
	j.source, err = newModelSource(m, labelNames(j.cfg), o, endless, j.o.seed)
	return err
}

// fromCapture replays files, whose packets all of the config's labels are
// tried on, or the store.
func (p *Program) fromCapture(j *injection, all []config.Label) error {
	var joined *joiner
	var err error
	if len(j.o.pcaps) > 0 {
		joined, err = p.labelFiles(j.o.pcaps, all)
	} else {
		joined, err = p.stored(j)
	}
	if err != nil {
		return err
	}
	return p.replay(j, joined.requests)
}

// stored are the newest captured packets of each chosen label.
func (p *Program) stored(j *injection) (*joiner, error) {
	store, err := j.store()
	if err != nil {
		return nil, err
	}
	joined := newJoiner()
	for _, l := range j.cfg.Labels {
		captured, err := store.Read(l.Name, replayMost)
		if err != nil {
			return nil, errors.Join(err, store.Close())
		}
		others := 0
		for _, c := range captured {
			if !joined.add(c) {
				others++
			}
		}
		if others > 0 {
			fmt.Fprintf(p.Stderr, "label %q: left out %s frames that are not IP\n", l.Name, thousands(others))
		}
	}
	return joined, store.Close()
}

// replay makes a source of captured requests. Labels that have none are left
// out, which is said.
func (p *Program) replay(j *injection, requests map[string][]request) error {
	var packets [][][]byte
	var times [][]time.Time
	var labels []config.Label
	for _, l := range j.cfg.Labels {
		if len(requests[l.Name]) == 0 {
			fmt.Fprintf(p.Stderr, "label %q: no captured packets, left out\n", l.Name)
			continue
		}
		i := len(labels)
		labels, packets, times = append(labels, l), append(packets, nil), append(times, nil)
		for _, r := range requests[l.Name] {
			packets[i], times[i] = append(packets[i], r.ip), append(times[i], r.at)
		}
	}
	if len(labels) == 0 {
		return errors.New("no captured packets to replay: capture some first, or name a file with --pcap")
	}
	j.cfg.Labels = labels
	var o order = newShareOrder(shares(j.cfg))
	var err error
	if j.cfg.Inject.Rate.Learned {
		if o, err = newLearnedOrder(times, labelNames(j.cfg)); err != nil {
			return err
		}
	}
	j.source, err = newReplaySource(packets, labelNames(j.cfg), o, j.o.loop)
	return err
}

// runInject sends, waits for the verdicts and says what became of everything.
// An interrupted run reports, too.
func (p *Program) runInject(ctx context.Context, j *injection, w *wire) error {
	view := p.startLive("inject "+j.report.Source, w, j.total)
	summary, runErr := w.inject(ctx, j.source, inject.RunOptions{
		Rate: rateOf(j.cfg), Count: j.o.count, Duration: j.o.duration, Schedule: j.source.due,
	})
	j.report.Interrupted = ctx.Err() != nil
	if runErr != nil && !j.report.Interrupted {
		return errors.Join(runErr, view.end())
	}
	if err := view.end(); err != nil {
		return err
	}
	counts, err := w.counts()
	if err != nil {
		return err
	}
	if err := j.measure(w, counts, summary); err != nil {
		return err
	}
	if err := j.report.print(p.Stdout); err != nil {
		return err
	}
	if j.o.json != "" {
		if err := writeJSON(j.o.json, &j.report); err != nil {
			return fmt.Errorf("--json: %w", err)
		}
	}
	return errors.Join(checkIdentity(counts), runErr)
}

// measure fills in the report.
func (j *injection) measure(w *wire, counts []labelCounts, summary inject.Summary) error {
	r := &j.report
	r.Engine = w.injector.Engine().String()
	r.RateAchieved, r.Seconds = summary.Rate(), summary.Elapsed.Seconds()
	for _, c := range counts {
		r.Labels = append(r.Labels, reportOf(c))
	}
	r.All = reportAll(counts)
	var err error
	if r.Drops, err = w.drops(); err != nil {
		return err
	}
	r.Warnings = append([]string{}, r.Drops.warnings(w.name)...)
	return nil
}

// describe says in words what was sent.
func (r *InjectReport) describe() string {
	switch {
	case r.Model != "":
		return "packets of model " + r.Model
	case len(r.Files) > 0:
		return "packets of " + strings.Join(r.Files, ", ")
	}
	return "captured packets"
}
