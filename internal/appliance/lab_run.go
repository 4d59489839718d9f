package appliance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/inject"
	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/train"
)

// labRun is one run of the lab's phases, inside its sandbox.
type labRun struct {
	p     *Program
	o     labOptions
	state string
	cfg   config.Config
	lab   *lab.Lab
	store *dataset.Store
	model string // directory of the trained model
	train TrainReport
}

// runLab makes the network, goes through the phases and reports. What it
// opened it closes in every case; what outlives even a kill -9 is nothing,
// since the kernel takes the namespaces down with the processes.
func (p *Program) runLab(ctx context.Context, o labOptions) (err error) {
	r := &labRun{p: p, o: o}
	if err := r.prepare(); err != nil {
		return err
	}
	network := p.startPhase("network", 1)
	r.lab, err = lab.New(lab.Options{Servers: lab.Servers(o.servers), Seed: o.seed, LogDir: filepath.Join(r.state, "servers")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.lab.Close()) }()
	network.end("LAN, gateway and servers are up, " + o.servers + " servers")
	if err := r.startSensor(ctx); err != nil {
		return err
	}

	r.store, err = dataset.Open(dataset.Options{Dir: filepath.Join(r.state, dataDir), Labels: labelNames(r.cfg), MaxBytes: int64(r.cfg.State.MaxBytes)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.store.Close()) }()

	for _, phase := range []func(context.Context) error{r.capturePhase, r.trainPhase} {
		if err := phase(ctx); err != nil {
			return err
		}
	}
	report, err := r.injectPhases(ctx)
	if err != nil {
		return err
	}
	if report.Score, report.SensorLost, err = r.scoreSensor(ctx); err != nil {
		return err
	}
	if err := r.conclude(report); err != nil {
		return err
	}
	if o.keep {
		fmt.Fprint(p.Stderr, r.lab.KeepMessage())
		<-ctx.Done()
	}
	return nil
}

// prepare makes the state directory and the config in it.
func (r *labRun) prepare() error {
	var err error
	if r.o.resume {
		r.state, err = filepath.Abs(r.o.state)
	} else {
		r.state, err = emptyDir(r.o.state)
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(r.state, 0o755); err != nil {
		return fmt.Errorf("--state: %w", err)
	}
	var text []byte
	if r.cfg, text, err = r.o.config(r.state); err != nil {
		return err
	}
	keepTruth(&r.cfg, r.o.truthFor(r.state))
	return os.WriteFile(filepath.Join(r.state, "config.toml"), text, 0o644)
}

// emptyDir makes dir, or a new temporary directory where dir is "". A lab
// mixes its packets with nobody else's.
func emptyDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "pacgan-lab-")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("--state: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("--state: %w", err)
	}
	if len(entries) > 0 {
		return "", fmt.Errorf("--state %s: is not empty: name a new directory", dir)
	}
	return dir, nil
}

// capturePhase lets the clients talk until there are enough packets of every
// label.
func (r *labRun) capturePhase(ctx context.Context) error {
	if r.captured() {
		return nil
	}
	t, err := openTap(r.cfg, r.store)
	if err != nil {
		return err
	}
	group, running := errgroup.WithContext(ctx)
	capturing, stop := context.WithCancel(running)
	group.Go(func() error { return t.run(capturing) })
	group.Go(func() error {
		defer stop()
		for _, l := range r.cfg.Labels {
			if err := r.captureLabel(running, l.Name); err != nil {
				return err
			}
		}
		return nil
	})
	err = group.Wait()
	counters, countErr := t.capture.Counters()
	if err := errors.Join(err, countErr, t.capture.Close(), r.store.Sync()); err != nil {
		return err
	}
	for _, c := range counters.Labels {
		if c.Dropped > 0 || c.Oversize > 0 {
			fmt.Fprintf(r.p.Stderr, "capture %s: %d labelled, %d lost because the ring was full, %d longer than the snap length\n",
				c.Label, c.Labelled, c.Dropped, c.Oversize)
		}
		if got := r.store.Count(c.Label); got < r.o.capturePackets {
			return fmt.Errorf("capture %s: %d packets of the %d wanted: %d frames seen, %d labelled, %d dropped",
				c.Label, got, r.o.capturePackets, counters.Seen, c.Labelled, c.Dropped)
		}
	}
	return nil
}

// captured reports whether an earlier run has captured enough.
func (r *labRun) captured() bool {
	return !slices.ContainsFunc(labelNames(r.cfg), func(label string) bool { return r.store.Count(label) < r.o.capturePackets })
}

// captureLabel lets the clients make the traffic of one label.
func (r *labRun) captureLabel(ctx context.Context, label string) error {
	ph := r.p.startPhase("capture "+label, r.o.capturePackets)
	if err := r.lab.Traffic(ctx, label, r.o.capturePackets, func(done int) { ph.set(done, "") }); err != nil {
		return err
	}
	ph.end(thousands(r.o.capturePackets) + " requests of real clients")
	return nil
}

// trainPhase trains in a child process, or takes what an earlier run trained.
func (r *labRun) trainPhase(ctx context.Context) error {
	if r.o.resume {
		if done, err := r.trained(); done || err != nil {
			return err
		}
	}
	args := []string{
		"--state", r.state, "--recipe", r.o.recipe, "--seed", strconv.FormatUint(r.o.seed, 10), "--steps", strconv.Itoa(r.o.steps),
		"--threads", strconv.Itoa(r.o.threads),
	}
	unfinished := r.o.resume && train.Unfinished(trainOptions{state: r.state}.trainingDir())
	if unfinished {
		args = append(args, "--resume")
	} else if len(r.o.paper) > 0 {
		args = append(args, "--paper", strings.Join(r.o.paper, ","))
	}
	ph := r.p.startPhase("train "+r.o.recipe, max(r.o.steps, 1))
	last, err := trainChild(ctx, r.cfg.Train.MaxMemory, args, func(e trainEvent) {
		if e.Model == "" {
			ph.resize(e.Steps)
			ph.set(e.Step, fmt.Sprintf("best %.4f at step %d", e.BestDistance, e.BestStep))
		}
	})
	if err != nil {
		return err
	}
	r.model, r.train = last.Model, *last.Report
	ph.end(thousands(r.train.Steps) + " steps; " + kept(r.o.recipe, r.train.Chosen))
	return nil
}

// trained looks for the model of an earlier run.
func (r *labRun) trained() (bool, error) {
	models := filepath.Join(r.state, modelsDir)
	found, err := model.List(models)
	if err != nil || len(found) == 0 {
		return false, err
	}
	newest := found[len(found)-1]
	if newest.Err != nil {
		return false, newest.Err
	}
	r.model = filepath.Join(models, newest.ID)
	if t := newest.Manifest.Training; t != nil {
		r.train = TrainReport{Seconds: t.Seconds, CPUSeconds: t.CPUSeconds, Steps: t.Steps, Chosen: t.Step, Packets: t.Packets}
	}
	return true, nil
}

// step0Most bounds the packets of each label that measure step 0: enough for
// an interval of half a percent at 99 %.
const step0Most = 1000

// injectPhases injects what step 0 generates, then what the trained model
// does, and measures both by what the servers answered.
func (r *labRun) injectPhases(ctx context.Context) (*LabReport, error) {
	step0, _, err := r.injectModel(ctx, "step 0", filepath.Join(r.model, step0Dir), min(r.o.generate, step0Most))
	if err != nil {
		return nil, err
	}
	counts, source, err := r.injectModel(ctx, r.o.recipe, r.model, r.o.generate)
	if err != nil {
		return nil, err
	}
	report := &LabReport{
		Version: r.p.Version, Seed: r.o.seed, Recipe: r.o.recipe, Servers: r.o.servers, Train: r.train, All: reportAll(counts),
	}
	ph := r.p.startPhase("measure", len(r.cfg.Labels))
	for i, name := range labelNames(r.cfg) {
		l := reportOf(counts[i])
		if l.Quality, err = r.quality(ctx, name, source.kept[i]); err != nil {
			return nil, err
		}
		rate := step0[i].success().Rate
		l.Quality.Step0Success = &rate
		report.Labels = append(report.Labels, l)
		ph.set(i+1, name)
	}
	ph.end("generated packets against held-out real ones")
	return report, writeGenerated(filepath.Join(r.state, "generated.pcapng"), labelNames(r.cfg), source.kept, time.Now())
}

// injectModel injects count packets of each label of one model, and returns
// what became of them.
func (r *labRun) injectModel(ctx context.Context, name, dir string, count int) (_ []labelCounts, _ *source, err error) {
	m, man, err := model.Load(dir)
	if err != nil {
		return nil, nil, err
	}
	source, err := newModelSource(m, labelNames(r.cfg), newShareOrder(shares(r.cfg)), count, r.o.seed)
	if err != nil {
		return nil, nil, err
	}
	w, err := openWire(r.cfg, 1)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	source.origin = w.truth.origin(r.modelName(dir), man, r.o.seed)
	view := r.p.startLive("inject "+name, w, count*len(r.cfg.Labels))
	_, err = w.inject(ctx, source, inject.RunOptions{Rate: r.cfg.Inject.Rate.PerSecond})
	if err := errors.Join(err, view.end()); err != nil {
		return nil, nil, err
	}
	counts, err := w.counts()
	if err != nil {
		return nil, nil, err
	}
	return counts, source, checkIdentity(counts)
}

// modelName is a model's id; of its step 0, the path from where models are.
func (r *labRun) modelName(dir string) string {
	name, err := filepath.Rel(filepath.Join(r.state, modelsDir), dir)
	if err != nil {
		return filepath.Base(dir)
	}
	return name
}

func labelNames(cfg config.Config) []string {
	names := make([]string, len(cfg.Labels))
	for i, l := range cfg.Labels {
		names[i] = l.Name
	}
	return names
}

// shares are the labels' weights in the injected mix.
func shares(cfg config.Config) []float64 {
	out := make([]float64, len(cfg.Labels))
	for i, l := range cfg.Labels {
		out[i] = l.Share
	}
	return out
}
