package member

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"pacgan-appliance/internal/fleet"
)

// recover goes to where our last message in the hub's stream ends. What others may have had written on our subject is said
// once and left where it is: "fleet truth" leaves it out.
//
// A consumer tells each message's sequence beside the message. Getting one directly tells it in a header, which whoever
// wrote the message may have set. It pushes, since to pull takes the right to pull from every consumer of the stream.
func (u *Uploader) recover(ctx context.Context) error {
	if err := u.find(ctx); err != nil {
		return fmt.Errorf("ask the hub which truth it has: %w", err)
	}
	return u.lookAgain()
}

func (u *Uploader) find(ctx context.Context) error {
	public, err := u.key.PublicKey()
	if err != nil {
		return err
	}
	sub, err := u.subscribe(nats.DeliverLast())
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }() // of a connection that is lost: none is left
	if pending, err := sub.InitialConsumerPending(); err != nil || pending == 0 {
		u.last, u.own = 0, 0
		return err
	}
	m, last, err := nextOf(ctx, sub)
	if err != nil {
		return err
	}
	if last < u.own { // the stream is another one
		u.own = 0
	}
	u.last = last
	if last == u.own {
		u.others = false
		return nil
	}
	from := u.own
	if b, err := fleet.OpenBatch(public, u.name, m.Header, m.Data); err == nil {
		from = max(from, b.After) // it is all that there is after that, or an old one again
	}
	return u.search(ctx, public, from)
}

func (u *Uploader) subscribe(from nats.SubOpt) (*nats.Subscription, error) {
	js, err := u.conn.JetStream(nats.MaxWait(ackLimit))
	if err != nil {
		return nil, err
	}
	return js.SubscribeSync(fleet.TruthSubject(u.name), nats.BindStream(fleet.TruthStream), nats.OrderedConsumer(), from)
}

// search reads what is on our subject after the message with a sequence, and goes on where the last one of ours ends; where
// none is, that is where it is.
func (u *Uploader) search(ctx context.Context, public string, from uint64) error {
	sub, err := u.subscribe(nats.StartSequence(from + 1))
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }() // of a connection that is lost: none is left
	var found cursor
	own, others := u.own, false
	for seen := from; seen < u.last; {
		m, seq, err := nextOf(ctx, sub)
		if err != nil {
			return err
		}
		at, err := u.ours(public, m, seen)
		if err == nil {
			found, own = at, seq
		} else if others = true; !u.others {
			u.others = true
			u.log.Error("fleet: others write truth in this gateway's name: it is left out, and what is this gateway's goes on behind it", "subject", m.Subject, "sequence", seq, "error", err)
		}
		seen = seq
	}
	u.others = others
	if own == u.own {
		return nil
	}
	u.own = own
	return u.spool.seek(found)
}

// ours is where a message of ours ends, that has the one with sequence before before it.
func (u *Uploader) ours(public string, m *nats.Msg, before uint64) (cursor, error) {
	b, err := fleet.OpenBatch(public, u.name, m.Header, m.Data)
	if err == nil && b.After < before {
		err = errors.New("it is an old one again")
	}
	if err != nil {
		return cursor{}, err
	}
	return parseCursor(b.Cursor)
}

// nextOf is the next message, and its sequence in the stream.
func nextOf(ctx context.Context, sub *nats.Subscription) (*nats.Msg, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, ackLimit)
	defer cancel()
	m, err := sub.NextMsgWithContext(ctx)
	if err != nil {
		return nil, 0, err
	}
	meta, err := m.Metadata()
	if err != nil {
		return nil, 0, err
	}
	return m, meta.Sequence.Stream, nil
}
