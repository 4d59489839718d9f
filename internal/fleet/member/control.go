package member

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"pacgan-appliance/internal/fleet"
)

// controlWaiting is how many requests may wait: what is none of the hub's must not crowd out what is.
const controlWaiting = 1024

// Control does what the hub tells a gateway to do at once. Its fields are set before Run.
type Control struct {
	Name string
	Key  nkeys.KeyPair // the gateway's, which signs its answers
	Hub  string        // the hub's public NKey
	Path string        // file that keeps what was obeyed
	// Do does what the hub tells, fleet.Pause or fleet.Resume.
	Do  func(action string) (string, error)
	Log *slog.Logger

	obeyed obeyed
	said   string // the last refusal in the log; "": what came after it was the hub's
}

// Run answers the hub's requests, and nobody else's, until ctx ends. The error is of the connection alone.
func (o *Control) Run(ctx context.Context, c *nats.Conn) error {
	if err := o.obeyed.load(o.Path); err != nil { // a stop must be heard all the same
		o.Log.Error("fleet: what the hub told before is not known: it could be obeyed again", "error", err)
	}
	requests := make(chan *nats.Msg, controlWaiting)
	for _, subject := range []string{fleet.ControlSubject(o.Name), fleet.ControlAll} {
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
			request, err := fleet.Open(o.Hub, m.Subject, m.Data)
			if err != nil { // whose it is must not have it answered, which would be sent to wherever they like
				o.refuse(fmt.Errorf("on %s: %w", m.Subject, err))
				continue
			}
			if err := o.respond(m, o.reply(request, time.Now())); err != nil {
				o.Log.Warn("fleet: the hub's request was not answered", "error", err)
			}
		}
	}
}

// refuse tells of what is none of the hub's, once: whoever writes it may do so all day.
func (o *Control) refuse(err error) {
	if o.said != err.Error() {
		o.said = err.Error()
		o.Log.Error("fleet: a request is refused", "error", err)
	}
}

// respond answers a request; the answer is signed for where it is sent.
func (o *Control) respond(m *nats.Msg, r fleet.ControlReply) error {
	answer, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if answer, err = fleet.Seal(o.Key, m.Reply, answer); err != nil {
		return err
	}
	return m.Respond(answer)
}

// reply does what a request of the hub's says.
func (o *Control) reply(request []byte, now time.Time) fleet.ControlReply {
	c, err := parseControl(request)
	note, message := "", ""
	if err == nil {
		note, err = o.obeyed.check(c, now)
	}
	if err == nil {
		o.said = ""
		o.Log.Info("fleet: the hub asks", "action", c.Action, "by", c.By, "note", note)
		if c.Action == fleet.Pause { // a stop waits for no disk
			message, err = o.Do(c.Action)
		}
		if err := o.obeyed.add(c, now); err != nil {
			o.Log.Error("fleet: this request could be obeyed again after a restart", "error", err)
		}
		if c.Action != fleet.Pause {
			message, err = o.Do(c.Action)
		}
	}
	if err != nil {
		o.refuse(err)
		return fleet.ControlReply{Gateway: o.Name, Error: err.Error()}
	}
	return fleet.ControlReply{Gateway: o.Name, Message: message + note}
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
