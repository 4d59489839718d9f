package appliance

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/shelf"
)

// trainElsewhere has a trainer of the fleet's train, and takes its model. ok is false where that cannot be: then it is
// trained here, and the log says why.
func (s *service) trainElsewhere(ctx context.Context, running *runningTraining) (promoted, ok bool) {
	l := s.learner
	if l == nil || s.cfg.Load().Fleet.Train != config.FleetTrainFleet || len(s.enough()) == 0 {
		return false, false
	}
	d, err := l.learn(ctx, running)
	if err == nil && d.Error != "" {
		err = errors.New(d.Error)
	}
	if err != nil {
		if ctx.Err() == nil {
			s.log.Warn("fleet: trained here, not by a trainer", "error", err)
		}
		return false, ctx.Err() != nil
	}
	running.trying.Store(true)
	return l.takeDesired(ctx, running.occasion), true
}

// learn puts the packets on the shelf, asks for a training, and waits until the hub says what came of it.
func (l *learner) learn(ctx context.Context, running *runningTraining) (fleet.Desired, error) {
	link := l.link.Load()
	if link == nil {
		return fleet.Desired{}, errors.New("the hub cannot be reached")
	}
	if err := link.askTrainer(ctx); err != nil {
		return fleet.Desired{}, fmt.Errorf("no trainer answers: %w", err)
	}
	cfg := l.cfg.Load()
	name, labels, bucket := cfg.Fleet.Name, l.enough(), fleet.DataBucket(cfg.Fleet.Name)
	id := make([]byte, 16)
	_, _ = rand.Read(id) // it never fails
	w := fleet.Work{
		ID: hex.EncodeToString(id), Gateway: name, Time: time.Now().UTC(), Why: running.why, Recipe: string(running.recipe), Labels: labels, Seed: seedNow(),
		RenewSecrets: cfg.Train.RenewSecrets, Since: running.since, Least: cfg.Train.MinPackets,
	}
	take := func(file string) bool {
		label, _, _ := strings.Cut(file, "/")
		return strings.HasSuffix(file, ".pcap") && strings.Contains(","+strings.Join(labels, ",")+",", ","+label+",")
	}
	m, err := shelf.Put(ctx, link.js, bucket, filepath.Join(cfg.State.Dir, dataDir), filepath.Join(cfg.State.Dir, fleetDir), take,
		shelf.Manifest{Kind: shelf.Dataset, Member: name, Role: fleet.Gateway, Work: w.ID, Gateway: name, Labels: labels}, l.key)
	if err != nil {
		return fleet.Desired{}, err
	}
	defer func() {
		if err := shelf.Remove(context.WithoutCancel(ctx), link.js, bucket, m.SHA256); err != nil {
			l.log.Warn("fleet: packets stay on the shelf", "error", err)
		}
	}()
	w.Data = m.SHA256
	text, err := fleet.SealJSON(l.key, fleet.WorkSubject(name), w)
	if err != nil {
		return fleet.Desired{}, err
	}
	if _, err := link.js.Publish(ctx, fleet.WorkSubject(name), text); err != nil {
		return fleet.Desired{}, fmt.Errorf("ask for a training: %w", err)
	}
	l.log.Info("fleet: a trainer trains", "work", w.ID, "labels", strings.Join(labels, ","), "bytes", m.Bytes)
	return l.await(ctx, w.ID)
}

// askTrainer asks whether a trainer is there.
func (l *learnerLink) askTrainer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, trainerWait)
	defer cancel()
	_, err := l.c.RequestWithContext(ctx, fleet.TrainerSubject, nil)
	return err
}

// await waits until the hub desires what came of a work, as long as there may be a trainer that does it: a hub that cannot be
// reached says nothing of that.
func (l *learner) await(ctx context.Context, work string) (fleet.Desired, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, learnWait, fmt.Errorf("no model has come for %v", learnWait))
	defer cancel()
	ask := time.NewTicker(trainerAsk)
	defer ask.Stop()
	there := time.Now() // when there last was, or may have been, a trainer
	for {
		if d := l.wish.Load(); d != nil && d.Work == work {
			return *d, nil
		}
		select {
		case <-ctx.Done():
			return fleet.Desired{}, context.Cause(ctx)
		case <-l.news:
		case <-ask.C:
			if link := l.link.Load(); link == nil || !errors.Is(link.askTrainer(ctx), nats.ErrNoResponders) {
				there = time.Now()
			} else if gone := time.Since(there); gone > trainerGone {
				return fleet.Desired{}, fmt.Errorf("the trainer is gone: none has been there for %v", gone.Round(time.Second))
			}
		}
	}
}
