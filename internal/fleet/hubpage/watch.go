package hubpage

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pacgan-appliance/internal/fleet"
)

// askLimit is how long a server may take to answer.
const askLimit = 10 * time.Second

// retryAfter is how long a bucket that cannot be watched is left alone.
const retryAfter = time.Second

// watch keeps the picture until ctx ends.
func (p *Page) watch(ctx context.Context) {
	done := make(chan struct{})
	follow := []struct {
		bucket string
		take   func(jetstream.KeyValueEntry)
	}{
		{fleet.BeatBucket, p.takeBeat}, {fleet.DesiredBucket, p.takeDesired}, {fleet.RolloutBucket, p.takeRollout},
	}
	for _, f := range follow {
		go func() {
			defer func() { done <- struct{}{} }()
			p.follow(ctx, f.bucket, f.take)
		}()
	}
	p.expect(ctx)
	for range follow {
		<-done
	}
}

// expectEvery is how often the hub is asked which gateways it has made a bucket for.
const expectEvery = 10 * time.Second

// expect notes which gateways the hub knows, of whom each has a bucket for its datasets, until ctx ends.
func (p *Page) expect(ctx context.Context) {
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	for {
		asking, cancel := context.WithTimeout(ctx, askLimit)
		var names []string
		list := p.options.JetStream.ObjectStoreNames(asking)
		for bucket := range list.Name() {
			if name := fleet.DataBucketOf(bucket); name != "" {
				names = append(names, name)
			}
		}
		if list.Error() == nil { // else those that were known stay; the page says that it has no server
			p.picture.expect(names)
		}
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// follow hands each entry of a bucket to take, those that are there and those that come, until ctx ends. The watch of the
// library may be silent for ever after its server was away: with each connection it is begun anew.
func (p *Page) follow(ctx context.Context, bucket string, take func(jetstream.KeyValueEntry)) {
	c := p.options.JetStream.Conn()
	connected := c.StatusChanged(nats.CONNECTED)
	defer c.RemoveStatusListener(connected)
	said := ""
	for {
		err := p.followOnce(ctx, bucket, take, connected)
		if ctx.Err() != nil {
			return
		}
		if err != nil && err.Error() != said {
			said = err.Error()
			p.options.Log.Warn("the hub's page cannot watch a bucket", "bucket", bucket, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryAfter):
		}
	}
}

// followOnce ends with ctx, with an error, with a new connection, or when the watcher does.
func (p *Page) followOnce(ctx context.Context, bucket string, take func(jetstream.KeyValueEntry), connected <-chan nats.Status) error {
	asking, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	kv, err := p.options.JetStream.KeyValue(asking, bucket)
	if err != nil {
		return err
	}
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = w.Stop() }() // of a connection that is lost: it is no more
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-connected:
			return nil
		case e, ok := <-w.Updates():
			if !ok {
				return nil
			}
			if e != nil { // nil: all that were there have come
				take(e)
			}
		}
	}
}

func (p *Page) takeBeat(e jetstream.KeyValueEntry) {
	name := e.Key()
	if p.options.Keys(name) == "" { // it is a member no more
		p.picture.vanish(name)
		return
	}
	b, err := fleet.OpenBeat(p.options.Keys, name, e.Value())
	if err != nil && !p.forged[name] {
		p.options.Log.Error("the hub's page shows nothing of a beat that is not its member's", "error", err)
	}
	p.forged[name] = err != nil
	if err == nil { // else it counts as silent
		p.picture.beat(b, e.Created())
	}
}

func (p *Page) takeDesired(e jetstream.KeyValueEntry) {
	if e.Operation() != jetstream.KeyValuePut {
		p.picture.desire(e.Key(), 0)
		return
	}
	p.picture.desire(e.Key(), e.Revision())
}

func (p *Page) takeRollout(e jetstream.KeyValueEntry) {
	if e.Operation() != jetstream.KeyValuePut {
		p.picture.roll(e.Key(), nil)
		return
	}
	var r fleet.Rollout
	public, err := p.options.Key.PublicKey()
	if err == nil {
		err = fleet.OpenJSON(public, fleet.KeySubject(fleet.RolloutBucket, e.Key()), e.Value(), &r)
	}
	if err != nil {
		p.options.Log.Error("the hub's page shows nothing of a rollout that is not the hub's", "work", e.Key(), "error", err)
		return
	}
	p.picture.roll(e.Key(), &r)
}
