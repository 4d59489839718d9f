package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// AnswerWithin is how long whoever tells gateways something waits for their answers.
const AnswerWithin = time.Second

// The actions of a [Control].
const (
	Pause  = "pause"
	Resume = "resume"
)

// Told is what gateways answered to a [Control].
type Told struct {
	Replies []ControlReply // one of each that answered, by name
	Silent  []string       // those of whom an answer was awaited, and did not come
}

// Failed are the answers of gateways in which nothing has changed.
func (t *Told) Failed() []ControlReply {
	return slices.DeleteFunc(slices.Clone(t.Replies), func(r ControlReply) bool { return r.Error == "" })
}

// Tell has the gateways that listen on a subject, which is [ControlAll] or a [ControlSubject], do something, and collects
// their answers for as long as wait ([AnswerWithin] is usual), or until all of those awaited are there. That somebody did not answer is no error: it
// is in what is returned. One is that nobody can have been told.
//
// A gateway answers with its own name, which nothing but its honesty says: its beats, which it alone can write, tell
// whether it stopped.
func Tell(ctx context.Context, c *nats.Conn, subject string, control Control, awaited []string, wait time.Duration) (Told, error) {
	body, err := json.Marshal(control)
	if err != nil {
		return Told{}, fmt.Errorf("tell gateways to %s: %w", control.Action, err)
	}
	inbox, err := c.SubscribeSync(c.NewInbox())
	if err != nil {
		return Told{}, fmt.Errorf("tell gateways to %s: %w", control.Action, err)
	}
	defer func() { _ = inbox.Unsubscribe() }() // of a connection that is lost: none is left
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	err = c.PublishRequest(subject, inbox.Subject, body)
	if err == nil {
		err = c.FlushWithContext(ctx)
	}
	if err != nil {
		return Told{}, fmt.Errorf("tell gateways to %s: no server was reached: %w", control.Action, err)
	}
	return collect(ctx, inbox, awaited), nil
}

// collect reads answers until all of those awaited are there or ctx ends. The first of a name counts.
func collect(ctx context.Context, inbox *nats.Subscription, awaited []string) Told {
	answers := map[string]ControlReply{}
	missing := map[string]bool{}
	for _, name := range awaited {
		missing[name] = true
	}
	for len(missing) > 0 || len(awaited) == 0 {
		m, err := inbox.NextMsgWithContext(ctx)
		if err != nil {
			break // the time is over, or, with nats.ErrNoResponders, nobody listens
		}
		var r ControlReply
		if json.Unmarshal(m.Data, &r) != nil || CheckName(r.Gateway) != nil {
			continue // who it is of counts as silent
		}
		if _, twice := answers[r.Gateway]; !twice {
			answers[r.Gateway] = r
		}
		delete(missing, r.Gateway)
	}
	var t Told
	for _, r := range answers {
		t.Replies = append(t.Replies, r)
	}
	slices.SortFunc(t.Replies, func(a, b ControlReply) int { return strings.Compare(a.Gateway, b.Gateway) })
	for name := range missing {
		t.Silent = append(t.Silent, name)
	}
	slices.Sort(t.Silent)
	return t
}
