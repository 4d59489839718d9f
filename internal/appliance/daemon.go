package appliance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/control"
	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/ktime"
	"pacgan-appliance/internal/links"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/privacy"
	"pacgan-appliance/internal/quality"
	"pacgan-appliance/internal/web"
)

// How often the daemon does what it does beside the pipeline.
const (
	flushInterval  = time.Second     // captured packets to the disk
	statusInterval = 2 * time.Second // systemd's status line
)

// How the daemon waits until all of it is up.
const (
	startLimit = 10 * time.Second // for all tasks' signs of life
	startTick  = 100 * time.Millisecond
)

// historyFile is where, in the state directory, the page's history is kept.
const historyFile = "history"

// service is the daemon: it captures from the first minute, trains when there
// are enough packets and then on its schedule, and injects what the current
// model generates. It does what the control socket and SIGHUP ask for.
type service struct {
	options serviceOptions
	cfg     atomic.Pointer[config.Config] // in force
	models  string                        // directory
	started time.Time
	past    pastCounts // fixed once it is open
	log     *slog.Logger
	notify  func(state string) error

	keeper  *keeper
	store   *dataset.Store
	tap     *tap
	wire    *wire
	links   *links.Watch // lan and wan
	control *control.Server
	page    pageSocket
	history *web.History
	sensors *watchers   // nil: none is watched
	fleet   *membership // nil: there is no fleet

	scrubber   atomic.Pointer[privacy.Scrubber]
	expired    time.Time     // when packets were last removed for their age
	recent     *recent       // packets to inject as a control
	captured   atomic.Uint64 // packets that the capture handed over
	storing    pulse         // when the dataset was flushed last
	remembered pulse         // when the history was
	counted    pulse         // when the counts were saved
	told       pulse         // when systemd was told the status last
	watched    pulse         // when the sensors were asked last
	reloading  pulse         // since when a reload is under way; 0: none is
	full       atomic.Bool   // the disk takes no packets
	current    atomic.Pointer[liveModel]
	valve      *valve
	trainer    *trainer
	learner    *learner // nil: no fleet
	tasks      *supervisor
	trying     sync.Mutex // one trial at a time
	changing   sync.Mutex // one pause, resume, reload or new model at a time
}

// serviceOptions are what the daemon is given beside its config.
type serviceOptions struct {
	path    string           // of the config file, to read it again
	version string           // of the program
	socket  string           // of the control API
	hangups <-chan os.Signal // each asks for a reload
	level   *slog.LevelVar   // of the log; nil: not ours to set
	page    *os.File         // the socket that systemd passed for the page; nil: none
}

// setLevel has events from a level on logged.
func (o serviceOptions) setLevel(level config.LogLevel) {
	if o.level != nil {
		o.level.Set(slogLevel(level))
	}
}

// liveModel is the model that packets are drawn from.
type liveModel struct {
	id       string
	manifest *model.Manifest
	model    *model.Model
	source   *source
	seed     uint64
	quality  map[string]quality.Report // of each label that was measured
	lacks    []string                  // labels of the config that it has not learned
}

// socketPath is where a daemon of this config listens: in the directory that
// systemd made for it, or else with its state.
func socketPath(cfg config.Config, runtimeDirectory string) string {
	if runtimeDirectory != "" {
		return filepath.Join(runtimeDirectory, control.SocketName)
	}
	return filepath.Join(cfg.State.Dir, control.SocketName)
}

// openService opens all that the daemon needs, or nothing. own is the gateway's config, as its file has it.
func openService(own config.Config, o serviceOptions, log *slog.Logger) (_ *service, err error) {
	fleet, err := openMembership(own, log)
	if err != nil {
		return nil, err
	}
	cfg, err := fleet.atStart(own)
	if err != nil {
		return nil, err
	}
	s := &service{
		options: o, log: log, fleet: fleet, models: filepath.Join(cfg.State.Dir, modelsDir), notify: notifySystemd, started: time.Now(),
		trainer: newTrainer(), valve: newValve(rateOf(cfg)), page: pageSocket{passed: o.page}, recent: newRecent(),
	}
	s.cfg.Store(&cfg)
	s.tasks = newSupervisor(slices.Concat(s.jobs(), s.fleetJobs()), log)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err = s.scrub(cfg); err != nil {
		return nil, err
	}
	if s.keeper, err = startKeeper(); err != nil {
		return nil, err
	}
	s.store, err = dataset.Open(dataset.Options{Dir: filepath.Join(cfg.State.Dir, dataDir), Labels: labelNames(cfg), MaxBytes: int64(cfg.State.MaxBytes), Fair: true})
	if err != nil {
		return nil, err
	}
	if err := s.loadCounts(); err != nil {
		return nil, err
	}
	if s.control, err = control.Listen(o.socket); err != nil {
		return nil, err
	}
	if err := s.page.open(cfg); err != nil {
		return nil, err
	}
	if s.history, err = web.OpenHistory(filepath.Join(cfg.State.Dir, historyFile)); err != nil {
		return nil, err
	}
	if s.tap, err = openTap(cfg, s.store); err != nil {
		return nil, err
	}
	wide := cfg
	wide.Safety.MaxRate = own.Safety.MaxRate // room for when the hub no longer wants less
	if s.wire, err = openWire(wide, allOrigins); err != nil {
		return nil, err
	}
	s.sensors = openWatchers(cfg, s.wire.truth)
	s.valve.injector = s.wire.injector
	if err = s.valve.bound(cfg); err != nil {
		return nil, err
	}
	if s.links, err = links.New(cfg.Gateway.LAN, cfg.Gateway.WAN); err != nil {
		return nil, err
	}
	if err := s.keepPause(); err != nil {
		return nil, err
	}
	log.Info("frames are sent by " + s.wire.injector.Engine().String())
	if err = s.recent.load(s.store, labelNames(cfg)); err != nil {
		return nil, err
	}
	if s.learner, err = s.openLearner(); err != nil {
		return nil, err
	}
	if s.fleet != nil {
		s.connectFleet()
	}
	return s, s.loadCurrent()
}

// close takes the programs off the interfaces and leaves the state on disk.
func (s *service) close() error {
	errs := []error{s.page.close()}
	if s.history != nil {
		errs = append(errs, s.history.Close())
	}
	if s.control != nil {
		errs = append(errs, s.control.Close())
	}
	if s.wire != nil {
		errs = append(errs, s.lastCounts(), s.wire.close())
	}
	if s.tap != nil {
		errs = append(errs, s.tap.capture.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.keeper != nil {
		errs = append(errs, s.keeper.close())
	}
	return errors.Join(errs...)
}

// loadCurrent takes up the promoted model, if there is one.
func (s *service) loadCurrent() error {
	id, err := model.Current(s.models)
	if errors.Is(err, model.ErrNoModel) {
		return s.replay()
	}
	if err != nil {
		return err
	}
	return s.use(id)
}

// use has packets drawn from a model on disk.
func (s *service) use(id string) error {
	m, manifest, err := model.Load(filepath.Join(s.models, id))
	if err != nil {
		return err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	mixed, err := s.mixtureOf(id, manifest, m, *s.cfg.Load())
	if err != nil {
		return err
	}
	s.draw(mixed)
	return nil
}

// newLiveModel makes a model that is loaded ready to draw from, mixed as cfg
// says. Labels that it has not learned are left out.
func (s *service) newLiveModel(id string, manifest *model.Manifest, m *model.Model, cfg config.Config) (*liveModel, error) {
	live := &liveModel{id: id, manifest: manifest, model: m, seed: seedNow()}
	known := cfg
	known.Labels = nil
	for _, l := range cfg.Labels {
		if slices.Contains(m.Labels, l.Name) {
			known.Labels = append(known.Labels, l)
		} else {
			live.lacks = append(live.lacks, l.Name)
		}
	}
	order, err := orderOf(known, s.store, live.seed)
	if err != nil {
		return nil, err
	}
	if live.source, err = newModelSource(m, labelNames(known), order, endless, live.seed); err != nil {
		return nil, fmt.Errorf("model %s: %w", id, err)
	}
	live.source.origin = s.wire.truth.origin(id, manifest, live.seed)
	live.source.slots = s.wire.slots.slotsOf(fromModel, labelNames(known))
	if live.quality, err = reportsOf(manifest.Quality); err != nil {
		return nil, fmt.Errorf("model %s: %w", id, err)
	}
	return live, nil
}

// seedNow is another seed each time: generated packets must not come again.
// Every reader of JSON takes it whole: it is below 2^53.
func seedNow() uint64 { return uint64(time.Now().UnixMicro()) }

// jobs are the daemon's tasks, each with its sign of life. The watchdog, which
// asks for these signs, has none.
func (s *service) jobs() []job {
	return []job{
		{"capture", atOnce(func(ctx context.Context) error { return s.tap.capture.Run(ctx, s.keep) }), s.captureAlive()},
		{"dataset", func(ctx context.Context, ready func()) error { return every(ctx, flushInterval, ready, s.flush) }, s.storing.alive},
		{"verifier", atOnce(func(ctx context.Context) error { return s.wire.verifier.Run(ctx, s.wire.deliver) }), s.verifierAlive},
		{"trainer", atOnce(s.trainAlways), s.trainer.alive},
		{"injector", atOnce(s.valve.run), s.valve.alive},
		{"interfaces", atOnce(s.watchLinks), nil},
		{"control", atOnce(func(ctx context.Context) error { return s.control.Run(ctx, s) }), s.controlAlive},
		{"web", s.serveWeb, s.page.alive},
		{"history", s.remember, s.remembered.alive},
		{"ids", s.watchSensors, s.watched.alive},
		{"counts", s.keepCounts, s.countsAlive},
		{"status", func(ctx context.Context, ready func()) error { return every(ctx, statusInterval, ready, s.tellSystemd) }, s.told.alive},
		{"reload", atOnce(s.reloadAlways), s.reloadAlive},
		{"watchdog", atOnce(s.watch), nil},
	}
}

// run does the daemon's work until ctx ends. systemd is told that it is ready
// once every task is, and has given a sign of life.
func (s *service) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.tasks.run(ctx) })
	group.Go(func() error { return s.sayReady(ctx) })
	err := group.Wait()
	s.log.Info("stopping")
	return errors.Join(err, s.notify(daemon.SdNotifyStopping))
}

// sayReady waits for every task's sign of life. One that never comes leaves
// the start to systemd's own time limit, with the reason in the log.
func (s *service) sayReady(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.tasks.ready:
	}
	for said := ""; ; {
		err := s.tasks.alive(ctx, startLimit)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			s.log.Info("ready", "version", s.options.version, "lan", s.cfg.Load().Gateway.LAN, "wan", s.cfg.Load().Gateway.WAN, "page", s.pageAddress())
			debug.FreeOSMemory() // of what the start took
			return s.notify(daemon.SdNotifyReady)
		case err.Error() != said:
			said = err.Error()
			s.log.Warn("not ready yet", "error", err)
		}
		wait(ctx, startTick)
	}
}

// pageAddress is where the page is, for a person.
func (s *service) pageAddress() string {
	if at := s.page.addr(); at != nil {
		return at.String()
	}
	return "none"
}

// every calls f at once and then at the beats of an interval until ctx ends;
// ready once f has done its work for the first time.
func every(ctx context.Context, interval time.Duration, ready func(), f func() error) error {
	for {
		if err := f(); err != nil {
			return err
		}
		ready()
		if !wait(ctx, ktime.Beat(interval)) {
			return nil
		}
	}
}

// wait sleeps, and reports whether ctx is still alive.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// tellSystemd says in one line what the daemon is doing.
func (s *service) tellSystemd() error {
	s.told.beat()
	line, err := s.line()
	if err != nil {
		return err
	}
	return s.notify("STATUS=" + line)
}

// notifySystemd tells the service manager, where one asked to be told.
func notifySystemd(state string) error {
	if _, err := daemon.SdNotify(false, state); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}

// oneLine writes an error, such as a config's faults, on one line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
