package member

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pacgan-appliance/internal/fleet"
)

// Wish is a revision of what the hub desires of a gateway. The zero one is before all: nothing is desired.
type Wish struct {
	Revision uint64 `json:"revision"`
	fleet.Desired
}

// watchLimit is how long a hub may take to answer before it is asked again.
const watchLimit = 10 * time.Second

// Watch calls take with what the hub desires of a gateway now, and with each change, until ctx ends, which is no error.
// After each new connection what is desired comes again. hub is the hub's public NKey: the fault, if any, is of a wish that
// it did not sign, or that is none.
func Watch(ctx context.Context, c *nats.Conn, js jetstream.JetStream, name, hub string, take func(w Wish, fault error), log *slog.Logger) error {
	connected := c.StatusChanged(nats.CONNECTED)
	defer c.RemoveStatusListener(connected)
	for said := ""; ; {
		err := watch(ctx, js, name, hub, take, connected)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			said = ""
			continue // a new connection
		}
		if err = unlessAway(c, err); err.Error() != said {
			said = err.Error()
			logUnlessAway(log, err, "fleet: what the hub desires is not heard; what is in force stays")
		}
		timer := time.NewTimer(backOffMost)
		select {
		case <-ctx.Done():
		case <-connected:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// watch is for one connection: it is back without an error when there is another.
func watch(ctx context.Context, js jetstream.JetStream, name, hub string, take func(w Wish, fault error), connected <-chan nats.Status) error {
	updates, stop, err := watchKey(ctx, js, name)
	if err != nil {
		return err
	}
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-connected:
			return nil
		case e, ok := <-updates:
			if !ok {
				return fmt.Errorf("the hub ended the watch of %s", fleet.DesiredBucket)
			}
			if e != nil { // nil: what follows is new
				take(parseWish(hub, name, e))
			}
		}
	}
}

func watchKey(ctx context.Context, js jetstream.JetStream, name string) (<-chan jetstream.KeyValueEntry, func(), error) {
	limited, cancel := context.WithTimeout(ctx, watchLimit)
	defer cancel()
	kv, err := js.KeyValue(limited, fleet.DesiredBucket)
	if err != nil {
		return nil, nil, err
	}
	w, err := kv.Watch(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	return w.Updates(), func() { _ = w.Stop() }, nil // of a connection that is lost: the hub has ended it
}

// maxDesired bounds a wish, in bytes.
const maxDesired = 256 << 10

// parseWish reads an entry. One that was removed desires nothing, and says so of itself: nobody can sign that.
func parseWish(hub, name string, e jetstream.KeyValueEntry) (Wish, error) {
	w := Wish{Revision: e.Revision()}
	if e.Operation() != jetstream.KeyValuePut {
		return w, errors.New(`what is desired was removed, by nobody knows whom: "fleet unset" takes a config away`)
	}
	var err error
	w.Desired, err = parseDesired(hub, name, e.Value())
	return w, err
}

func parseDesired(hub, name string, value []byte) (fleet.Desired, error) {
	if len(value) > maxDesired {
		return fleet.Desired{}, fmt.Errorf("what is desired has %d bytes: at most %d are taken", len(value), maxDesired)
	}
	d, err := fleet.OpenDesired(hub, name, value)
	if errors.Is(err, fleet.ErrForged) {
		err = fmt.Errorf("what is desired is not the hub's: %w", err)
	}
	return d, err
}
