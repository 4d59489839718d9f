// Package trainer trains for a fleet's gateways: it takes their work from the hub's queue, one at a time, verifies the
// packets, has a model trained of them, and puts that on the shelf. How one trains it does not know.
package trainer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/shelf"
	"pacgan-appliance/internal/model"
)

// Options say who trains, for whom and where.
type Options struct {
	Name    string
	Key     nkeys.KeyPair // signs the models and what the trainer says
	Trust   []string      // public NKeys of the gateways whose packets are learned
	Dir     string        // is made if it is missing; what it has of a training is removed
	Version string        // of the program
	// Train trains from what is in data, a directory of internal/dataset's in state, and returns the model's directory.
	// It says how far it is.
	Train func(ctx context.Context, w fleet.Work, state string, say func(string)) (dir string, err error)
	Log   *slog.Logger
}

// DataDir is where in Train's state directory the packets are.
const DataDir = "data"

const (
	queue = "trainers"       // queue group on [fleet.TrainerSubject]
	retry = time.Second      // between attempts to reach the hub
	pull  = 30 * time.Second // one request for work
)

// trainer is one that runs.
type trainer struct {
	Options
	js     jetstream.JetStream
	status atomic.Pointer[string] // nil: idle
}

// Run trains whatever gateways ask for until ctx ends, which gives a training back to the others.
func Run(ctx context.Context, c *nats.Conn, o Options) error {
	js, err := jetstream.New(c)
	if err != nil {
		return err
	}
	lock, err := own(o.Dir)
	if err != nil {
		return err
	}
	defer lock.Close() // nothing is written to it
	t := &trainer{Options: o, js: js}
	if err := os.RemoveAll(t.workDir()); err != nil { // of one that was killed
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return t.answer(ctx, c) })
	group.Go(func() error { return t.beatAlways(ctx) })
	group.Go(func() error { return t.workAlways(ctx) })
	return group.Wait()
}

// own makes the directory and keeps other trainers from it.
func own(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("trainer: %w", err)
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("trainer: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("trainer %s: another one works there: give each a directory of its own", dir), f.Close())
	}
	return f, nil
}

// workDir is where a work's packets, training and model are.
func (t *trainer) workDir() string { return filepath.Join(t.Dir, "work") }

// answer says that a trainer is there to whoever asks.
func (t *trainer) answer(ctx context.Context, c *nats.Conn) error {
	reply, err := json.Marshal(fleet.TrainerReply{Trainer: t.Name})
	if err != nil {
		return err
	}
	s, err := c.QueueSubscribe(fleet.TrainerSubject, queue, func(m *nats.Msg) { _ = m.Respond(reply) }) // who asked in vain trains for himself
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", fleet.TrainerSubject, err)
	}
	<-ctx.Done()
	if err := s.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return err
	}
	return nil
}

// beatAlways says how it is.
func (t *trainer) beatAlways(ctx context.Context) error {
	tick := time.NewTicker(fleet.BeatInterval)
	defer tick.Stop()
	for {
		_ = t.beat(ctx) // the next one may get through
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (t *trainer) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, fleet.BeatInterval)
	defer cancel()
	b := fleet.Beat{Name: t.Name, Role: fleet.Trainer, Version: t.Version, Time: time.Now().UTC(), State: "idle", Status: "waiting for work"}
	if status := t.status.Load(); status != nil {
		b.State, b.Status = "training", *status
	}
	subject := fleet.KeySubject(fleet.BeatBucket, t.Name)
	text, err := fleet.SealJSON(t.Key, subject, b)
	if err != nil {
		return err
	}
	_, err = t.js.Publish(ctx, subject, text)
	return err
}

// workAlways takes one work after the other.
func (t *trainer) workAlways(ctx context.Context) error {
	said := ""
	for ctx.Err() == nil {
		err := t.next(ctx)
		if err == nil || ctx.Err() != nil {
			said = ""
			continue
		}
		if text := err.Error(); text != said {
			said = text
			t.Log.Warn("no work to be had", "error", err)
		}
		wait(ctx, retry)
	}
	return nil
}

// next waits for a work, for a while, and does it.
func (t *trainer) next(ctx context.Context) error {
	consumer, err := t.js.Consumer(ctx, fleet.WorkStream, fleet.WorkConsumer)
	if err != nil {
		return fmt.Errorf("consumer %s: %w", fleet.WorkConsumer, err)
	}
	ack := consumer.CachedInfo().Config.AckWait
	for ctx.Err() == nil {
		msg, err := t.pull(ctx, consumer)
		switch {
		case errors.Is(err, nats.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
			continue
		case err != nil:
			return fmt.Errorf("stream %s: %w", fleet.WorkStream, err)
		}
		if err := t.take(ctx, msg, ack/3); err != nil {
			return err
		}
	}
	return nil
}

func (t *trainer) pull(ctx context.Context, consumer jetstream.Consumer) (jetstream.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, pull)
	defer cancel()
	return consumer.Next(jetstream.FetchContext(ctx))
}

// take does a work, and says meanwhile that it does.
func (t *trainer) take(ctx context.Context, msg jetstream.Msg, interval time.Duration) error {
	worked, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-worked.Done():
				return
			case <-tick.C:
				_ = msg.InProgress() // where it is not heard, another one does the work
			}
		}
	}()
	var w fleet.Work
	if err := t.open(msg, &w); err != nil {
		t.Log.Error("a work is refused", "subject", msg.Subject(), "error", err)
		return msg.Term()
	}
	candidate := fleet.Candidate{Work: w.ID, Gateway: w.Gateway, Trainer: t.Name}
	m, err := t.work(ctx, msg.Subject(), w)
	switch {
	case ctx.Err() != nil: // another one gets it at once
		return msg.Nak()
	case err != nil:
		candidate.Error = strings.ReplaceAll(err.Error(), "\n", "; ")
		t.Log.Error("training failed", "work", w.ID, "gateway", w.Gateway, "error", err)
	default:
		candidate.Model, candidate.Labels = m.SHA256, m.Labels
		t.Log.Info("trained", "work", w.ID, "gateway", w.Gateway, "model", m.Name, "sha256", m.SHA256)
	}
	if err := t.announce(ctx, candidate); err != nil {
		return err
	}
	return msg.DoubleAck(ctx)
}

// open reads a work that one of the trusted gateways has signed.
func (t *trainer) open(msg jetstream.Msg, w *fleet.Work) error {
	err := errors.New("no gateway is trusted")
	for _, public := range t.Trust {
		if err = fleet.OpenJSON(public, msg.Subject(), msg.Data(), w); err == nil {
			return nil
		}
	}
	return err
}

// announce publishes a candidate, however long the hub cannot be reached.
func (t *trainer) announce(ctx context.Context, c fleet.Candidate) error {
	c.Time = time.Now().UTC()
	text, err := fleet.SealJSON(t.Key, fleet.CandidateSubject(t.Name), c)
	if err != nil {
		return err
	}
	for said := false; ; said = true {
		_, err := t.js.Publish(ctx, fleet.CandidateSubject(t.Name), text, jetstream.WithMsgID(c.Work))
		if err == nil || ctx.Err() != nil {
			return err
		}
		if !said {
			t.Log.Warn("the candidate waits for the hub", "work", c.Work, "error", err)
		}
		wait(ctx, retry)
	}
}

// work fetches the packets, trains, and puts the model on the shelf.
func (t *trainer) work(ctx context.Context, subject string, w fleet.Work) (_ *shelf.Manifest, err error) {
	if err := check(subject, w); err != nil {
		return nil, err
	}
	say := func(s string) {
		s = "training for " + w.Gateway + ": " + s
		t.status.Store(&s)
	}
	say("its packets are fetched")
	defer t.status.Store(nil)
	defer func() { err = errors.Join(err, os.RemoveAll(t.workDir())) }()
	t.Log.Info("training", "work", w.ID, "gateway", w.Gateway, "why", w.Why, "recipe", w.Recipe, "labels", strings.Join(w.Labels, ","))
	want := shelf.Want{Kind: shelf.Dataset, SHA256: w.Data, Member: w.Gateway, Trust: t.Trust}
	if _, err := shelf.Get(ctx, t.js, fleet.DataBucket(w.Gateway), want, filepath.Join(t.workDir(), DataDir), nil); err != nil {
		return nil, err
	}
	dir, err := t.Train(ctx, w, t.workDir(), say)
	if err != nil {
		return nil, err
	}
	_, man, err := model.Load(dir)
	if err != nil {
		return nil, err
	}
	say("its model is put on the shelf")
	return shelf.Put(ctx, t.js, fleet.ModelBucket, dir, t.workDir(), func(string) bool { return true }, shelf.Manifest{
		Kind: shelf.Model, Member: t.Name, Role: fleet.Trainer, Work: w.ID, Gateway: w.Gateway, Labels: man.Labels, Name: filepath.Base(dir),
	}, t.Key)
}

// check refuses a work that cannot be meant. Its subject, which only the gateway can publish to, says whose it is.
func check(subject string, w fleet.Work) error {
	switch {
	case fleet.CheckName(w.Gateway) != nil || subject != fleet.WorkSubject(w.Gateway):
		return fmt.Errorf("work of gateway %.40q on subject %s: is not its own", w.Gateway, subject)
	case w.ID == "" || len(w.Labels) == 0:
		return errors.New("work without an ID or without labels")
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
