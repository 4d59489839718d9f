package verify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sync/errgroup"

	"pacgan-appliance/internal/alarm"
	"pacgan-appliance/internal/ktime"
	"pacgan-appliance/internal/ring"
)

// Segment is one TCP segment of a conversation's peer, stolen from the wire.
type Segment struct {
	ID       uint32 // the conversation's
	Label    int
	Seq, Ack uint32
	Length   int    // of the payload, in bytes
	Flags    uint8  // as in the TCP header; 0: not a segment, but an ICMP error about the conversation
	Decided  bool   // the conversation got its verdict with this segment
	Options  []byte // TCP options; valid until deliver returns
}

// Run sweeps, and hands the segments of conversations to deliver (nil: to
// nobody), until ctx is done or Close is called. It returns nil then.
func (v *Verifier) Run(ctx context.Context, deliver func(Segment)) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return v.sweepAlways(ctx) })
	group.Go(func() error { return v.readSegments(ctx, deliver) })
	err := group.Wait()
	if errors.Is(err, errClosed) || errors.Is(err, ring.ErrClosed) {
		return nil
	}
	return err
}

// errClosed ends a Run whose Verifier was closed.
var errClosed = fmt.Errorf("verify: %w", os.ErrClosed)

// fewTold is how much a second may be told for sweeps to be a timeout's half
// apart; else there are more, for the ring to hold what is told between two.
// It has room for several times as much at least, should the rate rise.
const fewTold = 250

// sweepInterval is how long it takes until the table is next walked over, where
// so much was told since it last was.
func (v *Verifier) sweepInterval(told int, since time.Duration) time.Duration {
	if float64(told) > fewTold*since.Seconds() {
		return minSweepInterval
	}
	return min(max(v.options.Timeout/2, minSweepInterval), maxSweepInterval)
}

func (v *Verifier) sweepAlways(ctx context.Context) (err error) {
	clock, err := alarm.New()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, clock.Close()) }()
	defer context.AfterFunc(ctx, clock.Ring)()
	interval, last := minSweepInterval, time.Now()
	for {
		if err := clock.Wait(ktime.Now() + ktime.Beat(interval)); err != nil {
			return err
		}
		ending := ctx.Err() != nil
		since := time.Now()
		if err := v.Sweep(); err != nil {
			return err
		}
		if err := v.tell(since); err != nil || ending {
			return err
		}
		interval = v.sweepInterval(len(v.told), since.Sub(last))
		last = since
	}
}

func (v *Verifier) readSegments(ctx context.Context, deliver func(Segment)) error {
	err := v.segments.Each(ctx, func(record []byte) error {
		if s, ok := segmentOf(record); ok && deliver != nil {
			deliver(s)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	return nil
}

// segmentOf reads the kernel's struct segment.
func segmentOf(raw []byte) (Segment, bool) {
	if len(raw) < int(unsafe.Sizeof(matchSegment{})) {
		return Segment{}, false
	}
	e := (*matchSegment)(unsafe.Pointer(&raw[0]))
	return Segment{
		ID: e.Id, Label: int(e.Label), Seq: e.Seq, Ack: e.Ack, Length: int(e.Length), Flags: e.Flags,
		Decided: e.Verdict != matchReasonREASON_PENDING,
		Options: e.Options[:min(int(e.OptionLength), len(e.Options))],
	}, true
}
