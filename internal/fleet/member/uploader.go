package member

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"pacgan-appliance/internal/fleet"
)

// How the uploader waits.
const (
	lookInterval = time.Second      // the truth directory grows as often
	ackLimit     = 10 * time.Second // for the hub's disk
	backOffLeast = 250 * time.Millisecond
	backOffMost  = 5 * time.Second
	headerRoom   = 1 << 10 // of a message, in bytes
)

// Uploader hands a gateway's truth to the hub: the directory of truth records is its spool, and where it goes on is what
// the hub says that it has. So each record arrives once and in its order, whoever dies.
//
// One batch at a time is on its way, since each names the one before by the number that the hub gave it.
type Uploader struct {
	conn   *nats.Conn
	js     jetstream.JetStream
	name   string
	key    nkeys.KeyPair
	kept   string // file that keeps the cursor, for a hub that has no message of ours; it may be stale, which costs records twice there
	look   time.Duration
	log    *slog.Logger
	spool  spool
	last   uint64 // sequence of the last message on our subject in the stream, whoever's; 0: none
	own    uint64 // that of our last one, which ends where the spool is; 0: not known
	others bool   // others have written there, which was told
	failed string // why it does not go on, as it was logged last; "": it does

	mu   sync.Mutex
	beat fleet.SpoolBeat
}

// NewUploader makes one for a gateway's truth directory. key signs what it hands over; kept is a file of its own.
func NewUploader(conn *nats.Conn, js jetstream.JetStream, name string, key nkeys.KeyPair, dir, kept string, log *slog.Logger) *Uploader {
	return &Uploader{conn: conn, js: js, name: name, key: key, kept: kept, look: lookInterval, log: log, spool: spool{dir: dir}}
}

// Spool says what is handed over and what is not. Any goroutine may ask.
func (u *Uploader) Spool() fleet.SpoolBeat {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.beat
}

// Run hands over until ctx ends, which is no error: what fails is tried again, and told once.
func (u *Uploader) Run(ctx context.Context) error {
	defer u.spool.close()
	local, own, err := loadCursor(u.kept)
	if err != nil {
		u.log.Warn("fleet: where truth was handed over up to is not known: it is the hub's to say", "error", err)
	}
	u.own = own
	if err := u.spool.seek(local); err != nil {
		u.say(err)
	}
	for wait := backOffLeast; ctx.Err() == nil; wait = min(2*wait, backOffMost) {
		before := u.Spool().Sent
		err := u.handOver(ctx)
		if ctx.Err() != nil {
			return nil
		}
		u.say(unlessAway(u.conn, err))
		if u.Spool().Sent > before {
			wait = backOffLeast
		}
		_ = u.lookAgain()             // what is lost meanwhile is counted; a failure comes again
		pause(ctx, wait+rand.N(wait)) // a fleet must not come back all at once
	}
	return nil
}

// say logs why nothing is handed over, once for each reason; nil: it is again.
func (u *Uploader) say(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text == u.failed {
		return
	}
	u.failed = text
	switch {
	case err == nil:
		u.log.Info("fleet: truth is handed over")
		return
	case errors.Is(err, errAway):
		return
	}
	u.log.Warn("fleet: truth is not handed over: it waits in its directory", "error", err)
}

// handOver asks the hub what it has, and sends what follows until that fails.
func (u *Uploader) handOver(ctx context.Context) error {
	if err := u.recover(ctx); err != nil {
		return err
	}
	u.say(nil)
	tick := time.NewTicker(u.look)
	defer tick.Stop()
	for {
		if err := u.lookAgain(); err != nil {
			return err
		}
		if err := u.drainBehind(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// behind is how often in a row others may be faster.
const behind = 10

// drainBehind is drain that goes on behind what others have put on our subject meanwhile.
func (u *Uploader) drainBehind(ctx context.Context) error {
	for n := 0; ; n++ {
		err := u.drain(ctx)
		var api *jetstream.APIError
		if n == behind || !errors.As(err, &api) || api.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequence && api.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequenceConstant {
			return err
		}
		if err := u.recover(ctx); err != nil {
			return err
		}
	}
}

// drain sends all that is whole.
func (u *Uploader) drain(ctx context.Context) error {
	most := batchBytes
	if limit := int(u.conn.MaxPayload()); limit > 0 {
		most = min(most, limit-headerRoom)
	}
	var kept cursor
	defer func() {
		if kept != (cursor{}) {
			if err := saveCursor(u.kept, kept, u.own); err != nil {
				u.log.Warn("fleet: where truth was handed over up to is not kept: the hub knows", "error", err)
			}
		}
		u.tell(0)
	}()
	for ctx.Err() == nil {
		b, err := u.spool.next(most)
		if err != nil || b.records == 0 {
			return err
		}
		if err := u.publish(ctx, b); err != nil {
			return err
		}
		kept = b.end
	}
	return nil
}

// publish sends a batch, and is back when the hub has it on its disk.
func (u *Uploader) publish(ctx context.Context, b batch) error {
	ctx, cancel := context.WithTimeout(ctx, ackLimit)
	defer cancel()
	m, err := fleet.NewBatch(u.key, u.name, fleet.Batch{Cursor: b.end.String(), Records: b.records, After: u.last}, b.lines)
	if err != nil {
		return err
	}
	ack, err := u.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(u.last), jetstream.WithRetryAttempts(0))
	if err != nil {
		return err
	}
	u.last, u.own = ack.Sequence, ack.Sequence
	u.spool.sent(b)
	u.tell(b.records)
	return nil
}

// lookAgain sees what there is to send, and says what was lost.
func (u *Uploader) lookAgain() error {
	lost := u.spool.lost
	err := u.spool.look()
	if u.spool.lost > lost {
		u.log.Error("fleet: truth was removed for room before the hub had it: raise truth.max_bytes, or see to the hub", "bytes", u.spool.lost-lost, "in_all", u.spool.lost)
	}
	u.tell(0)
	return err
}

// tell makes known how far it is, with so many more records sent.
func (u *Uploader) tell(records int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.beat.Sent += uint64(records)
	u.beat.Bytes, u.beat.Lost = u.spool.bytes(), uint64(u.spool.lost)
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
