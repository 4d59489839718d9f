package inject

import (
	"fmt"
	"hash/maphash"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"pacgan-appliance/internal/packet"
)

// Segment is one TCP segment of a conversation's peer: verify.Segment.
type Segment struct {
	ID       uint32 // the conversation's
	Label    int
	Seq, Ack uint32
	Length   int    // of the payload, in bytes
	Flags    uint8  // as in the TCP header; 0: not a segment, but an ICMP error about the conversation
	Decided  bool   // the conversation got its verdict with this segment
	Options  []byte // TCP options
}

type state uint8

const (
	stateFree    state = iota
	stateWaiting       // for another conversation of the same flow to end
	stateSYNSent
	stateProbing // the generated segment is the SYN itself
	stateSent    // the generated segment is on its way
	stateClosing // our FIN is out
)

const (
	retransmitAfter = time.Second // RFC 6298: the first retransmission timeout, but at most half of ours
	closeTimeout    = time.Second // for the peer's FIN after ours
	sweepLag        = 500 * time.Millisecond
	tick            = 20 * time.Millisecond // the clock runs that often at most

	minHeaders   = 40       // of IPv4 and TCP without options
	longPacket   = 4096     // bytes: buffers of longer requests are given back
	maxLongBytes = 32 << 20 // of requests longer than that, in all conversations
)

// conversation is one TCP connection that a generated segment is part of.
// Its sequence numbers are named as in RFC 9293, 3.3.1.
type conversation struct {
	id         uint32
	state      state
	label      int
	tag        uint64 // of the generated packet
	hop        [6]byte
	flow       tuple
	buffer     []byte // holds the generated packet
	generated  packet.IP
	iss        uint32
	sndNxt     uint32 // before it is open: where the conversation ended that it follows
	rcvNxt     uint32
	tsVal      uint32 // of the generated segment
	tsEcho     uint32 // the peer's newest
	mss        int    // the longest segment that the peer takes
	offered    bool   // we offered timestamps in the SYN
	stamped    bool   // both sides use timestamps
	resent     bool
	follows    bool  // at once, another one of the same flow
	retransmit int64 // when, monotonic
	deadline   int64
	decided    bool          // the verdict is known
	quiet      int64         // when to close though the server may say more; 0: not
	next       *conversation // waits for this one's end
}

// conversations holds all TCP connections. Two parties use it: the run loop
// starts conversations and runs their clock, Deliver moves them on.
type conversations struct {
	mu      sync.Mutex
	sender  *sender
	ledger  *ledger
	secret  maphash.Seed
	timeout time.Duration
	mtu     *atomic.Int64
	slots   []*conversation // by the id's lower half; made when first used
	free    []int
	byFlow  map[tuple]*conversation // the newest of each flow
	active  int
	long    int    // bytes of requests longer than longPacket
	full    bool   // the run loop waits for a free slot
	due     int64  // when the clock may have something to do, monotonic; math.MaxInt64: never
	ticked  int64  // when it ran
	wake    func() // ends the run loop's sleep
	err     error  // nothing can be sent any more
	stamps  stampMemory
	options [40]byte // scratch
}

func newConversations(in *Injector) (*conversations, error) {
	c := &conversations{
		ledger: in.ledger, secret: maphash.MakeSeed(), timeout: in.options.Timeout,
		mtu: &in.mtu, slots: make([]*conversation, in.options.Conversations),
		byFlow: map[tuple]*conversation{}, due: math.MaxInt64, wake: in.alarm.Ring,
	}
	for slot := range c.slots {
		c.free = append(c.free, len(c.slots)-1-slot)
	}
	p, err := newSendmmsg(in.cable.near, framesFor(in.cable.near.Attrs().MTU))
	if err != nil {
		return nil, err
	}
	c.sender = newSender(attended{p, &in.gate}, in.ledger, c.unsent)
	return c, nil
}

// mss is the longest segment that the wire takes (RFC 6691).
func (c *conversations) mss() uint16 { return uint16(min(c.mtu.Load(), 65535) - minHeaders) }

func (c *conversations) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = errClosed
	return c.sender.close()
}

// slotOf and nextID split an id: 15 bits that change with each use of a slot,
// 16 bits of slot.
func slotOf(id uint32) int { return int(id & 0xffff) }

func nextID(id uint32) uint32 { return id + 0x10000 | conversationID }

// start begins the conversation of a generated segment, or lets it wait for
// the one that has its flow. It is false where there is no room for it now.
func (c *conversations) start(hop [6]byte, p Packet, now int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.free) == 0 || len(p.IP) > longPacket && c.long+len(p.IP) > maxLongBytes {
		c.full = true
		return false
	}
	if len(p.IP) > longPacket {
		c.long += len(p.IP)
	}
	v := c.take()
	v.label, v.tag, v.hop, v.flow, v.next, v.follows = p.Label, p.Tag, hop, tupleOf(p.IP), nil, false
	v.buffer = append(v.buffer[:0], p.IP...)
	v.generated = packet.IP(v.buffer)
	last := c.byFlow[v.flow]
	c.byFlow[v.flow] = v
	if last != nil {
		last.next = v
		v.state = stateWaiting
		c.ledger.wait(p.Label, 1)
		return true
	}
	c.open(v, now)
	return true
}

// packet is the generated one.
func (v *conversation) packet() Packet { return Packet{Label: v.label, IP: v.generated, Tag: v.tag} }

// take makes a free slot ours.
func (c *conversations) take() *conversation {
	slot := c.free[len(c.free)-1]
	c.free = c.free[:len(c.free)-1]
	v := c.slots[slot]
	if v == nil {
		v = &conversation{id: uint32(slot) | conversationID}
		c.slots[slot] = v
	}
	v.id = nextID(v.id)
	c.active++
	return v
}

// open sends the SYN; for a generated SYN without data, that itself.
func (c *conversations) open(v *conversation, now int64) {
	s := packet.TCP(v.generated.Payload())
	if v.iss = isn(c.secret, v.flow, now); v.follows && int32(v.iss-v.sndNxt) <= 0 {
		v.iss = v.sndNxt + 1
	}
	v.tsVal, _, v.offered = timestamps(s.Options())
	v.offered = v.offered && c.stamps.mayOffer(v.flow, v.tsVal, now)
	v.tsEcho, v.stamped, v.resent = 0, false, false
	v.decided, v.quiet = false, 0
	v.retransmit = now + int64(min(retransmitAfter, c.timeout/2))
	v.deadline = now + int64(c.timeout+sweepLag)
	c.dueBy(v.retransmit)
	if len(v.generated.L4Data()) == 0 {
		v.state = stateProbing
		v.iss, v.resent = s.Seq(), true // it is sent once, as it is
		v.sndNxt = v.iss + 1
		c.send(v, metaOpens|metaGenerated, func(b []byte) int { return copy(b, v.generated) })
		return
	}
	v.state = stateSYNSent
	v.sndNxt = v.iss + 1
	c.sendSYN(v, metaOpens|metaConversation)
}

// finish frees the slot and starts whoever waited for the flow.
func (c *conversations) finish(v *conversation, now int64) {
	next := v.next
	if c.byFlow[v.flow] == v {
		delete(c.byFlow, v.flow)
	}
	v.state, v.next = stateFree, nil
	if n := len(v.buffer); n > longPacket {
		c.long -= n
		v.buffer, v.generated = nil, nil
	}
	c.free = append(c.free, slotOf(v.id))
	c.active--
	if c.full {
		c.full = false
		c.wake()
	}
	if next != nil {
		c.ledger.wait(next.label, -1)
		next.follows, next.sndNxt = true, v.sndNxt
		c.open(next, now)
	}
}

// unsent is told by the sender that an opening frame failed, which it has
// counted: there is no conversation then. It runs inside a flush of ours.
func (c *conversations) unsent(id uint32) {
	if v := c.lookUp(id); v != nil {
		v.deadline = 0 // the clock finishes it
		c.dueBy(0)
		v.state = stateClosing
	}
}

func (c *conversations) lookUp(id uint32) *conversation {
	slot := slotOf(id)
	if slot >= len(c.slots) || c.slots[slot] == nil || c.slots[slot].id != id || c.slots[slot].state == stateFree {
		return nil
	}
	return c.slots[slot]
}

// dueBy has the clock run at a time, or before it.
func (c *conversations) dueBy(at int64) { c.due = min(c.due, at) }

// next is when the clock is to run: not more often than every tick, since it
// looks at all conversations.
func (c *conversations) next() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(c.due, c.ticked+int64(tick))
}

// flush sends what start has added.
func (c *conversations) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flushLocked()
}

func (c *conversations) flushLocked() error {
	if err := c.sender.flush(); err != nil && c.err == nil {
		c.err = err
	}
	return c.err
}

// Deliver moves the conversation on that a stolen segment belongs to. Segments
// of conversations that have ended are ignored.
func (in *Injector) Deliver(s Segment) {
	c := in.conversations
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.lookUp(s.ID); v != nil && c.err == nil {
		due := c.due
		c.receive(v, s, monotonic())
		c.flushLocked()
		if c.due < due {
			c.wake()
		}
	}
}

// Conversations is how many TCP conversations are open or waiting.
func (in *Injector) Conversations() int {
	in.conversations.mu.Lock()
	defer in.conversations.mu.Unlock()
	return in.conversations.active
}

// errClosed ends what a Close takes the ground from.
var errClosed = fmt.Errorf("inject: %w", os.ErrClosed)
