package appliance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/robfig/cron/v3"
	"golang.org/x/sync/errgroup"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/inject"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/packet"
)

// How often the daemon does what it does beside the pipeline.
const (
	flushInterval  = time.Second      // captured packets to the disk
	statusInterval = 2 * time.Second  // systemd's status line
	pollInterval   = time.Second      // whether there are enough packets
	retryInterval  = 10 * time.Minute // a first training that failed
)

// service is the daemon: it captures from the first minute, trains when there
// are enough packets and then on its schedule, and injects what the current
// model generates.
type service struct {
	cfg    config.Config
	store  *dataset.Store
	tap    *tap
	wire   *wire
	source endlessSource
	models string // directory
	seed   uint64
	log    *slog.Logger
	notify func(state string) error
}

// endlessSource draws from the current model. A new model takes over between
// two packets.
type endlessSource struct {
	current atomic.Pointer[modelSource]
}

// Next implements inject.Source.
func (s *endlessSource) Next() (label int, ip []byte, err error) { return s.current.Load().Next() }

// openService opens all that the daemon needs, or nothing.
func openService(cfg config.Config, log *slog.Logger) (_ *service, err error) {
	s := &service{
		cfg: cfg, log: log, seed: uint64(time.Now().UnixNano()), models: filepath.Join(cfg.State.Dir, modelsDir), notify: notifySystemd,
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.store, err = dataset.Open(dataset.Options{Dir: filepath.Join(cfg.State.Dir, dataDir), Labels: labelNames(cfg), MaxBytes: int64(cfg.State.MaxBytes)})
	if err != nil {
		return nil, err
	}
	if s.tap, err = openTap(cfg, s.store); err != nil {
		return nil, err
	}
	if s.wire, err = openWire(cfg); err != nil {
		return nil, err
	}
	return s, s.loadCurrent()
}

// close takes the programs off the interfaces and leaves the state on disk.
func (s *service) close() error {
	var errs []error
	if s.wire != nil {
		errs = append(errs, s.wire.close())
	}
	if s.tap != nil {
		errs = append(errs, s.tap.capture.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	return errors.Join(errs...)
}

// loadCurrent takes up the promoted model, if there is one.
func (s *service) loadCurrent() error {
	id, err := model.Current(s.models)
	if errors.Is(err, model.ErrNoModel) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.use(id)
}

// use has the source draw from a model.
func (s *service) use(id string) error {
	m, _, err := model.Load(filepath.Join(s.models, id))
	if err != nil {
		return err
	}
	source, err := newModelSource(m, labelNames(s.cfg), shares(s.cfg), endless, s.seed)
	if err != nil {
		return fmt.Errorf("model %s: %w: retrain with the labels of this config", id, err)
	}
	s.source.current.Store(source)
	s.log.Info("injecting from model", "model", id, "seed", s.seed)
	return nil
}

// run does the daemon's work until ctx ends.
func (s *service) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.tap.capture.Run(ctx, s.keep) })
	group.Go(func() error { return s.every(ctx, flushInterval, s.flush) })
	group.Go(func() error { return s.wire.verifier.Run(ctx, s.wire.deliver) })
	group.Go(func() error { return s.trainAlways(ctx) })
	group.Go(func() error { return s.injectAlways(ctx) })
	if err := s.notify(daemon.SdNotifyReady); err != nil {
		return err
	}
	group.Go(func() error { return s.every(ctx, statusInterval, s.status) })
	err := group.Wait()
	return errors.Join(err, s.notify(daemon.SdNotifyStopping))
}

// keep stores a captured packet. A full disk costs packets, which the store
// counts, and not the daemon.
func (s *service) keep(p packet.Packet) error { return s.forgiveFull(s.store.Append(p)) }

func (s *service) flush() error { return s.forgiveFull(s.store.Flush()) }

func (s *service) forgiveFull(err error) error {
	if errors.Is(err, dataset.ErrFull) {
		s.log.Error("captured packets are dropped until there is room: free some, or lower state.max_bytes", "error", err)
		return nil
	}
	return err
}

// every calls f at an interval until ctx ends.
func (s *service) every(ctx context.Context, interval time.Duration, f func() error) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := f(); err != nil {
				return err
			}
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

// trainAlways trains a first model as soon as there are enough packets, and
// further ones on the schedule.
func (s *service) trainAlways(ctx context.Context) error {
	schedule, err := cron.ParseStandard(s.cfg.Train.Schedule)
	if err != nil {
		return fmt.Errorf("train.schedule: %w", err)
	}
	for s.source.current.Load() == nil {
		if s.missing() != "" {
			if !wait(ctx, pollInterval) {
				return nil
			}
			continue
		}
		if !s.train(ctx) && !wait(ctx, retryInterval) {
			return nil
		}
	}
	for {
		now := time.Now()
		if !wait(ctx, schedule.Next(now).Sub(now)) {
			return nil
		}
		if missing := s.missing(); missing != "" {
			s.log.Warn("not trained on schedule: too few packets", "missing", missing)
			continue
		}
		s.train(ctx)
	}
}

// missing says which labels have too few packets to train, "" where none has.
func (s *service) missing() string {
	var parts []string
	for _, name := range labelNames(s.cfg) {
		if n := s.store.Count(name); n < s.cfg.Train.MinPackets {
			parts = append(parts, fmt.Sprintf("%s %s of %s", name, thousands(n), thousands(s.cfg.Train.MinPackets)))
		}
	}
	return strings.Join(parts, ", ")
}

// train trains a model in a child process and takes it up. A failure is
// logged, and the model in use stays.
func (s *service) train(ctx context.Context) bool {
	err := s.store.Sync()
	var last trainEvent
	if err == nil {
		s.log.Info("training", "recipe", s.cfg.Train.Recipe)
		last, err = trainChild(ctx, []string{
			"--state", s.cfg.State.Dir, "--recipe", string(s.cfg.Train.Recipe), "--seed", strconv.FormatInt(time.Now().UnixNano(), 10),
		}, func(trainEvent) {})
	}
	if ctx.Err() != nil {
		return false
	}
	if err == nil {
		id := filepath.Base(last.Model)
		err = errors.Join(model.Promote(s.models, id), s.use(id))
	}
	if err != nil {
		s.log.Error("training failed; the model in use, if any, stays", "error", err)
		return false
	}
	s.log.Info("trained", "model", last.Model, "seconds", last.Report.Seconds, "steps", last.Report.Steps, "chosen", last.Report.Chosen)
	return true
}

// injectAlways injects from the first model on, until ctx ends.
func (s *service) injectAlways(ctx context.Context) error {
	for s.source.current.Load() == nil {
		if !wait(ctx, pollInterval) {
			return nil
		}
	}
	_, err := s.wire.injector.Run(ctx, &s.source, inject.RunOptions{Rate: s.cfg.Inject.Rate.PerSecond})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// status tells systemd in one line what the daemon is doing.
func (s *service) status() error {
	if s.source.current.Load() == nil {
		missing := s.missing()
		if missing == "" {
			return s.notify("STATUS=training the first model")
		}
		return s.notify("STATUS=capturing: " + missing + " packets")
	}
	counts, err := s.wire.counts()
	if err != nil {
		return err
	}
	success := totalOf(counts).success()
	return s.notify(fmt.Sprintf("STATUS=injecting %g/s, %s answered (%s of %s)",
		s.cfg.Inject.Rate.PerSecond, percent(success.Rate), thousands(success.Answered), thousands(success.Decided)))
}

// notifySystemd tells the service manager, where one asked to be told.
func notifySystemd(state string) error {
	if _, err := daemon.SdNotify(false, state); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}
