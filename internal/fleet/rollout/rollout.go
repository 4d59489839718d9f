// Package rollout brings candidates, the models that trainers announce, to gateways: to the one whose data it learned
// first, and when that one's gate took it and its success does not fall, to the others, or back. Its state is in a bucket,
// so that a hub that was killed goes on where it was. Whether a model is good it leaves to the gateways.
package rollout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"pacgan-appliance/internal/fleet"
)

// Options say how patient a rollout is; 0 is the default of each.
type Options struct {
	Key   nkeys.KeyPair // the hub's: signs what is desired, and its own notes
	Keys  fleet.Keyring // of the members, who sign candidates and beats
	Watch time.Duration // how long a gateway's success is watched after it took a model; default 1 min
	Wait  time.Duration // how long a gateway may take to try one; default 15 min
	Ack   time.Duration // after which a hub that is gone has lost its candidate; default 30 s
	Log   *slog.Logger
}

const (
	consumerName = "rollout"
	pull         = 30 * time.Second // one request for a candidate
	retry        = time.Second      // between attempts to reach the server
	tick         = 200 * time.Millisecond
	keepModels   = 20 // on the shelf
)

// roller is one that runs.
type roller struct {
	Options
	js                      jetstream.JetStream
	beats, desired, records jetstream.KeyValue
	forged                  map[string]bool // by member: its last beat was not its own
}

// Run rolls candidates out, one after the other, until ctx ends.
func Run(ctx context.Context, js jetstream.JetStream, o Options) error {
	r := &roller{Options: o, js: js, forged: map[string]bool{}}
	r.Watch, r.Wait, r.Ack = cmp.Or(o.Watch, time.Minute), cmp.Or(o.Wait, 15*time.Minute), cmp.Or(o.Ack, 30*time.Second)
	said := ""
	for ctx.Err() == nil {
		err := r.always(ctx)
		if err == nil || ctx.Err() != nil {
			continue
		}
		if text := err.Error(); text != said {
			said = text
			r.Log.Warn("rollout: waiting for the server", "error", err)
		}
		wait(ctx, retry)
	}
	return nil
}

// always rolls out until something fails.
func (r *roller) always(ctx context.Context) error {
	for _, b := range []struct {
		name string
		to   *jetstream.KeyValue
	}{{fleet.BeatBucket, &r.beats}, {fleet.DesiredBucket, &r.desired}, {fleet.RolloutBucket, &r.records}} {
		kv, err := r.js.KeyValue(ctx, b.name)
		if err != nil {
			return fmt.Errorf("bucket %s: %w", b.name, err)
		}
		*b.to = kv
	}
	// One that is not acknowledged keeps all others back, of other hubs too: there is never more than one rollout.
	consumer, err := r.js.CreateOrUpdateConsumer(ctx, fleet.CandidateStream, jetstream.ConsumerConfig{
		Durable: consumerName, AckPolicy: jetstream.AckExplicitPolicy, AckWait: r.Ack, MaxAckPending: 1,
	})
	if err != nil {
		return fmt.Errorf("consumer %s: %w", consumerName, err)
	}
	for ctx.Err() == nil {
		msg, err := r.pull(ctx, consumer)
		switch {
		case errors.Is(err, nats.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
			continue
		case err != nil:
			return fmt.Errorf("stream %s: %w", fleet.CandidateStream, err)
		}
		if err := r.take(ctx, msg); err != nil {
			return errors.Join(err, msg.Nak())
		}
	}
	return nil
}

func (r *roller) pull(ctx context.Context, consumer jetstream.Consumer) (jetstream.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, pull)
	defer cancel()
	return consumer.Next(jetstream.FetchContext(ctx))
}

// take rolls a candidate out to its end.
func (r *roller) take(ctx context.Context, msg jetstream.Msg) error {
	var c fleet.Candidate
	trainer := strings.TrimPrefix(msg.Subject(), fleet.CandidateSubject(""))
	if err := fleet.OpenJSON(r.Keys(trainer), fleet.CandidateSubject(trainer), msg.Data(), &c); err != nil || !valid(c) || c.Trainer != trainer {
		r.Log.Error("rollout: a candidate is refused", "subject", msg.Subject(), "error", err)
		return msg.Term()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for wait(ctx, r.Ack/3) {
			_ = msg.InProgress() // where it is not heard, it comes again
		}
	}()
	now, err := r.record(ctx, c)
	if err != nil {
		return err
	}
	if !now.State.Ended() {
		if err := r.drive(ctx, now); err != nil {
			return err
		}
	}
	if err := r.prune(ctx); err != nil {
		r.Log.Warn("rollout: old models stay on the shelf", "error", err)
	}
	return msg.DoubleAck(ctx)
}

var workForm = regexp.MustCompile(`^[a-zA-Z0-9-]{1,64}$`)

// valid accepts what can be a key and a gateway.
func valid(c fleet.Candidate) bool {
	return workForm.MatchString(c.Work) && fleet.CheckName(c.Gateway) == nil && (c.Model == "") != (c.Error == "")
}

// record is how far a candidate is: one that comes again is known.
func (r *roller) record(ctx context.Context, c fleet.Candidate) (*fleet.Rollout, error) {
	now := &fleet.Rollout{Candidate: c, State: fleet.RolloutFirst, Since: time.Now().UTC(), Reason: c.Gateway + " tries it", Gateways: []fleet.RolloutGateway{{Name: c.Gateway}}}
	entry, err := r.records.Get(ctx, c.Work)
	if err == nil {
		var known fleet.Rollout
		if err = r.open(c.Work, entry.Value(), &known); err == nil {
			return &known, nil
		}
		r.Log.Error("rollout: what is noted of a work is not the hub's: it begins anew", "work", c.Work, "error", err)
	} else if !errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, err
	}
	if c.Error != "" {
		now.State, now.Reason = fleet.RolloutFailed, c.Error
		// The gateway that waits for it hears it first: it is told again where the record is not kept.
		if err := r.tell(ctx, now); err != nil {
			return nil, err
		}
	}
	r.Log.Info("rollout", "work", c.Work, "gateway", c.Gateway, "trainer", c.Trainer, "state", now.State, "reason", now.Reason)
	return now, r.keep(ctx, now)
}

// open reads what the hub has noted of a work.
func (r *roller) open(work string, value []byte, known *fleet.Rollout) error {
	public, err := r.Key.PublicKey()
	if err != nil {
		return err
	}
	return fleet.OpenJSON(public, fleet.KeySubject(fleet.RolloutBucket, work), value, known)
}

// sayForged tells once of a beat that is not its member's; nil: it is.
func (r *roller) sayForged(name string, err error) {
	if err != nil && !r.forged[name] {
		r.Log.Error("rollout: a beat is refused", "error", err)
	}
	r.forged[name] = err != nil
}

func (r *roller) keep(ctx context.Context, now *fleet.Rollout) error {
	text, err := fleet.SealJSON(r.Key, fleet.KeySubject(fleet.RolloutBucket, now.Work), now)
	if err != nil {
		return err
	}
	_, err = r.records.Put(ctx, now.Work, text)
	return err
}

// drive takes a candidate from state to state as beats come in.
func (r *roller) drive(ctx context.Context, now *fleet.Rollout) error {
	watch, err := r.beats.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = watch.Stop() }() // it ends with ctx anyway
	beats := map[string]fleet.Beat{}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for known := false; !now.State.Ended(); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case entry, ok := <-watch.Updates():
			if !ok {
				return errors.New("the beats' watch has ended")
			}
			if entry == nil { // what was said before has come: only now are gateways asked, so that their counts are of before
				known = true
				if r.hear(now, beats, time.Now().UTC()) {
					if err := r.keep(ctx, now); err != nil {
						return err
					}
				}
				if err := r.tell(ctx, now); err != nil {
					return err
				}
				continue
			}
			b, err := fleet.OpenBeat(r.Keys, entry.Key(), entry.Value())
			r.sayForged(entry.Key(), err)
			if err == nil && b.Role == fleet.Gateway {
				b.Time = entry.Created() // gateways' clocks may go as they like
				beats[b.Name] = b
			}
		case <-ticker.C:
		}
		if !known || !r.step(now, beats, time.Now().UTC()) {
			continue
		}
		r.Log.Info("rollout", "work", now.Work, "model", now.Model, "state", now.State, "reason", now.Reason)
		// Told before it is kept: where the hub is killed between the two, it tells the same again.
		if err := r.tell(ctx, now); err != nil {
			return err
		}
		if err := r.keep(ctx, now); err != nil {
			return err
		}
	}
	return nil
}

// tell has each gateway of a rollout desire what its state asks for.
func (r *roller) tell(ctx context.Context, now *fleet.Rollout) error {
	for _, g := range now.Gateways {
		if g.Tried != nil && !g.Tried.Promoted || now.State == fleet.RolloutRefused {
			continue // it has answered, and uses another one
		}
		_, err := fleet.ChangeDesired(ctx, r.desired, r.Key, g.Name, func(d *fleet.Desired) bool {
			was := *d
			d.Model, d.Work, d.Error, d.Back, d.Why = now.Model, now.Work, now.Error, false, ""
			if now.State == fleet.RolloutBack {
				d.Back, d.Why = true, now.Reason
			}
			return *d != was
		})
		if err != nil {
			return fmt.Errorf("tell %s: %w", g.Name, err)
		}
	}
	return nil
}

// prune removes the oldest models from the shelf: what is in use lies with the gateways.
func (r *roller) prune(ctx context.Context) error {
	shelf, err := r.js.ObjectStore(ctx, fleet.ModelBucket)
	if err != nil {
		return err
	}
	models, err := shelf.List(ctx)
	if errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil
	}
	if err != nil {
		return err
	}
	slices.SortFunc(models, func(a, b *jetstream.ObjectInfo) int { return a.ModTime.Compare(b.ModTime) })
	for _, m := range models[:max(0, len(models)-keepModels)] {
		err = errors.Join(err, shelf.Delete(ctx, m.Name))
	}
	return err
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
