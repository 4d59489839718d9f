package member

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go"

	"pacgan-appliance/internal/fleet"
)

// controlWaiting is how many requests may wait for the one before.
const controlWaiting = 16

// Control answers the hub's requests by what do returns, until ctx ends. The error is of the connection alone.
func Control(ctx context.Context, c *nats.Conn, name string, do func(action string) (string, error), log *slog.Logger) error {
	requests := make(chan *nats.Msg, controlWaiting)
	for _, subject := range []string{fleet.ControlSubject(name), fleet.ControlAll} {
		s, err := c.ChanSubscribe(subject, requests)
		if err != nil {
			return fmt.Errorf("listen to the hub: %w", err)
		}
		defer func() { _ = s.Unsubscribe() }() // of a connection that is closed: none is left
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-requests:
			answer, err := json.Marshal(reply(m.Data, name, do, log))
			if err == nil {
				err = m.Respond(answer)
			}
			if err != nil {
				log.Warn("fleet: the hub's request was not answered", "error", err)
			}
		}
	}
}

// reply does what a request says.
func reply(request []byte, name string, do func(action string) (string, error), log *slog.Logger) fleet.ControlReply {
	c, err := parseControl(request)
	message := ""
	if err == nil {
		log.Info("fleet: the hub asks", "action", c.Action, "by", c.By)
		message, err = do(c.Action)
	}
	if err != nil {
		log.Error("fleet: what the hub asked for was not done", "error", err)
		return fleet.ControlReply{Gateway: name, Error: err.Error()}
	}
	return fleet.ControlReply{Gateway: name, Message: message}
}

// maxBy bounds the name of who asks, in bytes.
const maxBy = 100

func parseControl(text []byte) (fleet.Control, error) {
	var c fleet.Control
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("the request is none: %w", err)
	}
	if c.Action != fleet.Pause && c.Action != fleet.Resume {
		return c, fmt.Errorf("action %.20q: must be %q or %q", c.Action, fleet.Pause, fleet.Resume)
	}
	c.By = c.By[:min(len(c.By), maxBy)]
	return c, nil
}
