package inject

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"pacgan-appliance/internal/packet"
)

// Packet is one generated packet.
type Packet struct {
	Label int    // index
	IP    []byte // from its IP header on
	Tag   uint64 // whatever its Source knows it by, for Options.Recorder
}

// Source gives the generated packets.
type Source interface {
	// Next returns a packet. The bytes are the injector's until the next call,
	// which repairs checksums in them. io.EOF ends the run.
	Next() (Packet, error)
}

// RunOptions bound a Run.
type RunOptions struct {
	Rate float64 // generated packets a second, fractions allowed; 0: as fast as MaxRate allows
	// Schedule, where it is not nil, says when the packet is due that the
	// source gives next, since the run began. Rate then is a bound.
	Schedule func() time.Duration
	Count    uint64        // packets to take from the source; 0: until it ends
	Duration time.Duration // how long to take packets; 0: until the source ends
}

// Summary is what a Run did.
type Summary struct {
	Generated uint64        // packets taken from the source
	Elapsed   time.Duration // from the first packet to the last
}

// Rate is the packets that were taken per second; 0 for fewer than two.
func (s Summary) Rate() float64 {
	if s.Generated < 2 || s.Elapsed <= 0 {
		return 0
	}
	return float64(s.Generated-1) / s.Elapsed.Seconds()
}

const (
	maxParked  = 256                   // packets that wait for next hops
	parkedTick = 20 * time.Millisecond // how often they are looked at, at least
	batchTime  = 2 * time.Millisecond  // how long a packet may wait for its batch to fill: a source can be slow
)

// runner is one Run. Its buffers are reused: a packet allocates nothing.
type runner struct {
	*Injector
	source  Source
	options RunOptions
	pacer   *pacer
	clock   time.Time // of the batch: reading it for each packet costs as much as a checksum
	summary Summary
	first   int64 // when the first packet was taken, monotonic
	last    int64
	end     int64    // when to stop; 0: never
	parked  []Packet // wait for their next hops
	spare   [][]byte // buffers of packets that were parked
}

// Run takes packets from the source and sends them, until a bound is reached,
// the source ends or ctx is done. It returns when every packet has left or is
// counted and every conversation is over; packets may still be inflight.
// When ctx is done what waits is counted as failed (ReasonStopped),
// conversations are reset, and the error is nil.
func (in *Injector) Run(ctx context.Context, source Source, o RunOptions) (Summary, error) {
	if in.isClosed() {
		return Summary{}, errClosed
	}
	if !in.running.TryLock() {
		return Summary{}, errors.New("inject: a run is under way")
	}
	defer in.running.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-in.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	defer context.AfterFunc(ctx, in.alarm.Ring)()
	rate := o.Rate
	if most := math.Float64frombits(in.maxRate.Load()); most > 0 && (rate == 0 || rate > most) {
		rate = most
	}
	r := &runner{Injector: in, source: source, options: o, pacer: newPacer(rate, o.Schedule, monotonic())}
	if o.Duration > 0 {
		r.end = r.pacer.anchor + int64(o.Duration)
	}
	err := r.loop(ctx)
	if err == nil {
		err = r.drain(ctx)
	}
	r.giveUp()
	r.summary.Elapsed = time.Duration(r.last - r.first)
	err = cmp.Or(err, r.flush(), r.conversations.clock(monotonic(), true))
	if err == nil && in.isClosed() {
		err = errClosed
	}
	return r.summary, err
}

func (in *Injector) isClosed() bool {
	select {
	case <-in.closed:
		return true
	default:
		return false
	}
}

// loop takes packets when they are due.
func (r *runner) loop(ctx context.Context) error {
	for ctx.Err() == nil {
		now := monotonic()
		if r.end != 0 && now >= r.end {
			return nil
		}
		more, err := r.batch(ctx, now)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		r.unpark()
		if err := r.flush(); err != nil {
			return err
		}
		if r.options.Count > 0 && r.summary.Generated >= r.options.Count {
			return nil
		}
		if err := r.tick(); err != nil {
			return err
		}
		if !more {
			if err := r.sleep(); err != nil {
				return err
			}
		}
	}
	return nil
}

// batch takes packets that are due, and reports whether others may be.
func (r *runner) batch(ctx context.Context, now int64) (bool, error) {
	r.clock = time.Now()
	for n := range r.left() {
		if !r.pacer.ready(now) {
			return false, nil
		}
		if n%batchSize == batchSize-1 && monotonic()-now > int64(batchTime) {
			return true, nil
		}
		if err := r.one(ctx, now); err != nil {
			return false, err
		}
		r.pacer.take()
	}
	return true, nil
}

// left is how many packets may be taken at once.
func (r *runner) left() int {
	most := r.sender.path.batch()
	if r.options.Count == 0 {
		return most
	}
	return int(min(uint64(most), r.options.Count-r.summary.Generated))
}

// tick runs the conversations' clock where something is due.
func (r *runner) tick() error {
	if now := monotonic(); now >= r.conversations.next() {
		return r.conversations.clock(now, false)
	}
	return nil
}

// sleep waits for the next packet's time, or for something to do before it.
func (r *runner) sleep() error {
	deadline := r.pacer.next()
	if r.end != 0 {
		deadline = min(deadline, r.end)
	}
	if len(r.parked) > 0 {
		deadline = min(deadline, monotonic()+int64(parkedTick))
	}
	return r.sleepUntil(deadline)
}

// sleepUntil waits for a time of the monotonic clock, or for something to do
// before it.
func (r *runner) sleepUntil(deadline int64) error {
	deadline = max(min(deadline, r.conversations.next()), monotonic()+int64(quantum))
	return r.alarm.Wait(time.Duration(deadline))
}

// rest sends what is ready, and waits for a moment or until something changes.
func (r *runner) rest() error {
	if err := r.flush(); err != nil {
		return err
	}
	if err := r.sleepUntil(monotonic() + int64(parkedTick)); err != nil {
		return err
	}
	return r.tick()
}

// one takes a packet from the source and sends or parks it.
func (r *runner) one(ctx context.Context, now int64) error {
	p, err := r.source.Next()
	if err == io.EOF {
		return io.EOF
	}
	if err != nil {
		return fmt.Errorf("inject: next packet: %w", err)
	}
	if labels := len(*r.labels.Load()); p.Label < 0 || p.Label >= labels {
		return fmt.Errorf("inject: next packet: label %d of %d", p.Label, labels)
	}
	if r.summary.Generated == 0 {
		r.first = now
	}
	r.last = now
	r.summary.Generated++
	l := &r.ledger.labels[p.Label]
	l.generated.Add(1)
	if r.readdress(p.IP) {
		l.readdressed.Add(1)
	}
	before := packet.Checksums(p.IP)
	if err := packet.RepairChecksums(p.IP); err != nil {
		r.ledger.malform(p, err)
		return nil
	}
	if packet.Checksums(p.IP) != before {
		l.repaired.Add(1)
	}
	return r.place(ctx, p)
}

// place sends a packet, or parks it until its next hop is known.
func (r *runner) place(ctx context.Context, p Packet) error {
	ready, err := r.send(ctx, p)
	if ready || err != nil {
		return err
	}
	for len(r.parked) >= maxParked && ctx.Err() == nil {
		if err := r.rest(); err != nil {
			return err
		}
		r.unpark()
	}
	var b []byte
	if n := len(r.spare); n > 0 {
		b, r.spare = r.spare[n-1], r.spare[:n-1]
	}
	r.ledger.wait(p.Label, 1)
	p.IP = append(b[:0], p.IP...)
	r.parked = append(r.parked, p)
	return nil
}

// unpark sends the parked packets whose next hop is known by now. An error
// shows at the next flush.
func (r *runner) unpark() {
	kept := r.parked[:0]
	r.clock = time.Now()
	for _, p := range r.parked {
		r.ledger.wait(p.Label, -1)
		if ready, err := r.send(context.Background(), p); !ready && err == nil {
			r.ledger.wait(p.Label, 1)
			kept = append(kept, p)
			continue
		}
		r.spare = append(r.spare, p.IP)
	}
	r.parked = kept
}

// send puts a packet on its way, or counts why not; it is false where the next
// hop is not known yet.
func (r *runner) send(ctx context.Context, p Packet) (bool, error) {
	converses := r.converses(p)
	if len(p.IP) > int(r.mtu.Load()) && !converses {
		r.ledger.fail(p, ReasonMTU)
		return true, nil
	}
	const single = metaOpens | metaGenerated
	dst := packet.IP(p.IP).Dst()
	if !r.allowed(dst) { // for the guard to count and drop
		return true, r.sender.add([6]byte{metaLocal}, single, p, min(len(p.IP), r.wire.MTU))
	}
	hop, ready, reason := r.hops.resolve(dst, r.clock)
	switch {
	case reason != reasonNoFailure:
		r.ledger.fail(p, reason)
		return true, nil
	case !ready:
		return false, nil
	case converses:
		return true, r.converse(ctx, hop, p)
	}
	return true, r.sender.add(hop, single, p, len(p.IP))
}

// converses tells the segments that need a connection, or would open one.
func (in *Injector) converses(p Packet) bool {
	ip := packet.IP(p.IP)
	if !(*in.labels.Load())[p.Label].Expects || ip.Protocol() != packet.ProtoTCP || ip.MoreFragments() || ip.FragmentOffset() != 0 {
		return false
	}
	return len(ip.L4Data()) > 0 || packet.TCP(ip.Payload()).Flags()&packet.FlagSYN != 0
}

// converse starts a conversation, once there is room for it: each ends within
// twice the timeout.
func (r *runner) converse(ctx context.Context, hop [6]byte, p Packet) error {
	for !r.conversations.start(hop, p, monotonic()) {
		if ctx.Err() != nil {
			r.ledger.fail(p, ReasonStopped)
			return nil
		}
		if err := r.rest(); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) flush() error {
	return cmp.Or(r.sender.flush(), r.conversations.flush())
}

// drain waits until no packet is parked and no conversation is open.
func (r *runner) drain(ctx context.Context) error {
	for ctx.Err() == nil && (len(r.parked) > 0 || r.Conversations() > 0) {
		r.unpark()
		if err := r.rest(); err != nil {
			return err
		}
	}
	return nil
}

// giveUp counts what is still parked.
func (r *runner) giveUp() {
	for _, p := range r.parked {
		r.ledger.wait(p.Label, -1)
		r.ledger.fail(p, ReasonStopped)
	}
	r.parked = nil
}
