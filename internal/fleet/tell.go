package fleet

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
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

// Voice is who tells gateways something.
type Voice struct {
	Conn *nats.Conn
	Key  nkeys.KeyPair // the hub's: gateways do what it has signed
	Keys Keyring       // of the gateways, who sign their answers
}

// Tell has the gateways that listen on a subject, which is [ControlAll] or a [ControlSubject], do something, and collects
// their answers for as long as wait ([AnswerWithin] is usual), or until all of those awaited are there. That somebody did not answer is no error: it
// is in what is returned. One is that nobody can have been told.
//
// Of the control it sets Time and ID. An answer that its gateway has not signed is none.
func Tell(ctx context.Context, v Voice, subject string, control Control, awaited []string, wait time.Duration) (Told, error) {
	c := v.Conn
	control.Time, control.ID = time.Now().UTC(), rand.Text()
	body, err := json.Marshal(control)
	if err == nil {
		body, err = Seal(v.Key, subject, body)
	}
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
	return collect(ctx, inbox, v.Keys, awaited), nil
}

// collect reads answers until all of those awaited are there or ctx ends. The first of a name counts.
func collect(ctx context.Context, inbox *nats.Subscription, keys Keyring, awaited []string) Told {
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
		r, err := openReply(m, keys)
		if err != nil {
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

// openReply reads an answer that its gateway has signed.
func openReply(m *nats.Msg, keys Keyring) (ControlReply, error) {
	var r ControlReply
	_, text, _ := bytes.Cut(m.Data, []byte{'\n'}) // it says whose it is to be
	if err := json.Unmarshal(text, &r); err != nil {
		return r, err
	}
	if err := CheckName(r.Gateway); err != nil {
		return r, err
	}
	_, err := Open(keys(r.Gateway), m.Subject, m.Data)
	return r, err
}
