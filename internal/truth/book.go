package truth

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"pacgan-appliance/internal/packet"
)

// Words of Record.Reason, beside those of the stages.
const (
	ReasonLost    = "lost before the guard" // inject.ReasonLost
	ReasonDetail  = "detail lost"           // the kernel counted a verdict and could not say whose
	ReasonRoom    = "no room for more that is pending"
	ReasonStopped = "stopped before its verdict"
)

const (
	leastEntries = 1 << 8
	sweepsASec   = 4
	// lostSlack is for how long, in sweeps, a frame may be on its way to the
	// guard after it was handed over.
	lostSlack = 5 * sweepsASec
)

// BookOptions of NewBook.
type BookOptions struct {
	Timeout time.Duration // how long a reply may take, as the matcher has it
	Pending int           // packets that may wait for their verdict, or for one before them to have it
	Bytes   int           // of all of them together
}

// Label is what records say of a label.
type Label struct {
	Name      string
	Malicious bool
}

// Origin is a number for where packets come from, see Book.AddOrigin.
type Origin uint32

// originShift leaves 2^40 packets to an origin, and 2^24 origins.
const originShift = 40

// Tag names one packet of an origin by its index.
func (o Origin) Tag(index uint64) uint64 { return uint64(o)<<originShift | index&(1<<originShift-1) }

// Generator is where packets come from.
type Generator struct {
	Source    Source
	Model     string
	ModelHash string
	Seed      uint64
}

// Packet is one packet that the injector has.
type Packet struct {
	Label int    // slot, see Book.SetLabel
	IP    []byte // copied
	Tag   uint64 // Origin.Tag
}

// Book keeps the packets that are under way until their verdict is known, and
// has them written to a Log in the order in which they were handed over. Its
// methods are safe for concurrent use, and never wait for the disk.
type Book struct {
	mu         sync.Mutex
	log        *Log
	options    BookOptions
	also       func(*Record) // nil: nobody else is told
	labels     []Label
	generators []Generator
	entries    []entry           // a ring; its length is a power of two
	head, tail uint64            // sequence numbers of the oldest entry, and of the next one
	bytes      int               // of all packets between
	talks      map[uint32]uint64 // sequence numbers of conversations, by id
	sweeps     uint64
	untold     uint64 // as Swept had it last
	lostUpTo   uint64 // entries before it may have had a verdict that was not told
	unknown    uint64
	run        uint32 // tells processes' UUIDs apart
	record     Record // scratch
}

// entry is one packet under way.
type entry struct {
	packet  Packet
	at      time.Time
	sweep   uint64 // number of the sweep before it
	talk    uint32 // its conversation's id; 0: none
	equals  *equals
	verdict Verdict // "": none yet
	reason  string
	rtt     time.Duration
	left    int64 // ns since 1970; 0: not known
	span    time.Duration
}

// End is what became of a packet.
type End struct {
	Verdict Verdict
	Reason  string
	RTT     time.Duration
	Left    time.Time     // when it passed the guard, of a conversation its SYN; zero: it did not
	Span    time.Duration // from Left to the reply
}

// equals are packets that were pending under one expectation, the oldest
// first: verdicts go to them in turn, since which of them a reply was for
// cannot be known.
type equals struct{ sequence []uint64 }

// NewBook makes a Book over a Log, which stays the caller's to close after it.
func NewBook(l *Log, o BookOptions) *Book {
	b := &Book{
		log: l, options: o, entries: make([]entry, leastEntries), talks: map[uint32]uint64{},
		generators: []Generator{{Source: SourceCapture}},
	}
	var run [4]byte
	rand.Read(run[:]) // never fails
	b.run = binary.BigEndian.Uint32(run[:])
	return b
}

// Captured is the Origin of captured packets.
const Captured Origin = 0

// Also has every record told to f too, in their order, as it is written. f does
// not keep the record, nor call the Book.
func (b *Book) Also(f func(*Record)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.also = f
}

// AddOrigin makes packets of a generator known.
func (b *Book) AddOrigin(g Generator) Origin {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.generators = append(b.generators, g)
	return Origin(len(b.generators) - 1)
}

// SetLabel says what records of a slot's packets say of their label; those
// under way included.
func (b *Book) SetLabel(slot int, l Label) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.labels) <= slot {
		b.labels = append(b.labels, Label{})
	}
	b.labels[slot] = l
}

// Malformed takes down a packet that cannot be framed.
func (b *Book) Malformed(p Packet, why error) {
	reason := why.Error()
	var framing *packet.FramingError
	if errors.As(why, &framing) {
		reason = framing.Reason
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(p, Malformed, reason)
}

// Failed takes down a packet that was never handed over.
func (b *Book) Failed(p Packet, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(p, Failed, reason)
}

// Handed takes down a packet that is about to be sent, and returns its id, less
// than 1<<31. A conversation has an id already; it is 0 for other packets.
func (b *Book) Handed(p Packet, conversation uint32) uint32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	sequence := b.add(p, "", "")
	if conversation != 0 {
		b.at(sequence).talk = conversation
		b.talks[conversation] = sequence
	}
	return idOf(sequence)
}

// Refused takes down that a packet which was handed over was not taken.
func (b *Book) Refused(id uint32, reason string) {
	b.Decide(id, 1, End{Verdict: Failed, Reason: reason})
}

// Decide takes down the verdict of n equal packets, by the id of the newest.
func (b *Book) Decide(id uint32, n int, end End) {
	b.mu.Lock()
	defer b.mu.Unlock()
	sequence, ok := b.find(id)
	if !ok {
		return // given up, which its record says
	}
	e := b.at(sequence)
	if e.equals == nil {
		e.decide(&end)
		return
	}
	reply := end.Left.Add(end.Span)
	b.at(sequence).leave(end.Left)
	for waiting := &e.equals.sequence; n > 0 && len(*waiting) > 0; *waiting = (*waiting)[1:] {
		oldest := (*waiting)[0]
		if oldest < b.head {
			continue
		}
		if e := b.at(oldest); end.Span > 0 && e.left != 0 { // it left before the newest did
			end.Left = time.Unix(0, e.left)
			end.Span = reply.Sub(end.Left)
			end.RTT = end.Span
		}
		if b.at(oldest).decide(&end) {
			n--
		}
	}
}

// Joined takes down that a packet is pending together with an equal one, and
// when that left.
func (b *Book) Joined(id, with uint32, left time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	sequence, ok := b.find(id)
	earlier, pending := b.find(with)
	if !ok || !pending {
		return
	}
	first := b.at(earlier)
	first.leave(left)
	if first.equals == nil {
		first.equals = &equals{[]uint64{earlier}}
	}
	first.equals.sequence = append(first.equals.sequence, sequence)
	b.at(sequence).equals = first.equals
}

// Swept says that all verdicts have been told that fell before the kernel's
// last sweep, but for untold of them since the beginning. What is complete is
// written. Packets without a verdict that have outlived every timeout are given
// up: they are lost before the guard, or their verdict is among the untold.
func (b *Book) Swept(untold uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sweeps++
	b.missed(untold)
	limit := uint64(2*b.options.Timeout/time.Second+1)*sweepsASec + lostSlack
	for b.release(); b.head < b.tail && b.sweeps-b.at(b.head).sweep > limit; b.release() {
		b.giveUp(b.head)
	}
}

// missed notes how many verdicts were not told: they may have been of any
// packet that is under way.
func (b *Book) missed(untold uint64) {
	if untold != b.untold {
		b.untold, b.lostUpTo = untold, b.tail
	}
}

// giveUp decides a packet that no verdict will come of.
func (b *Book) giveUp(sequence uint64) {
	if sequence < b.lostUpTo {
		b.at(sequence).decide(&End{Verdict: Unknown, Reason: ReasonDetail})
		return
	}
	b.at(sequence).decide(&End{Verdict: Failed, Reason: ReasonLost})
}

// Close writes what is under way: where the kernel has been seen to be settled,
// and all has been told, as if every timeout had passed, else as stopped before
// its verdict.
func (b *Book) Close(settled bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for sequence := b.head; sequence < b.tail; sequence++ {
		if settled {
			b.giveUp(sequence)
		} else {
			b.at(sequence).decide(&End{Verdict: Unknown, Reason: ReasonStopped})
		}
	}
	b.release()
}

// Unknown is how many packets got a record without a verdict.
func (b *Book) Unknown() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.unknown
}

// decide is false where the verdict is known already.
func (e *entry) decide(end *End) bool {
	if e.verdict != "" {
		return false
	}
	e.verdict, e.reason, e.rtt, e.span = end.Verdict, end.Reason, end.RTT, end.Span
	e.leave(end.Left)
	return true
}

// leave notes when the packet left, unless that is known.
func (e *entry) leave(at time.Time) {
	if e.left == 0 && !at.IsZero() {
		e.left = at.UnixNano()
	}
}

func (b *Book) at(sequence uint64) *entry { return &b.entries[sequence&uint64(len(b.entries)-1)] }

// idOf is what a frame has room for; conversations' ids have the last bit.
func idOf(sequence uint64) uint32 { return uint32(sequence) & (1<<31 - 1) }

// find is the sequence number of a packet under way.
func (b *Book) find(id uint32) (uint64, bool) {
	if id>>31 != 0 {
		sequence, ok := b.talks[id]
		return sequence, ok
	}
	sequence := b.head + uint64((id-idOf(b.head))&(1<<31-1))
	return sequence, sequence < b.tail
}

// add takes a packet in, and makes room for it.
func (b *Book) add(p Packet, v Verdict, reason string) uint64 {
	for b.head < b.tail && (b.tail-b.head >= uint64(b.options.Pending) || b.bytes+len(p.IP) > b.options.Bytes) {
		b.at(b.head).decide(&End{Verdict: Unknown, Reason: ReasonRoom})
		b.release()
	}
	if b.tail-b.head == uint64(len(b.entries)) {
		b.grow()
	}
	e := b.at(b.tail)
	room := e.packet.IP[:0]
	*e = entry{packet: p, at: time.Now(), sweep: b.sweeps, verdict: v, reason: reason}
	e.packet.IP = append(room, p.IP...)
	b.bytes += len(p.IP)
	b.tail++
	return b.tail - 1
}

func (b *Book) grow() {
	before := b.entries
	b.entries = make([]entry, 2*len(before))
	for sequence := b.head; sequence < b.tail; sequence++ {
		*b.at(sequence) = before[sequence&uint64(len(before)-1)]
	}
}

// longPacket is for how long a packet, in bytes, its memory is kept.
const longPacket = 2048

// release writes the oldest packets up to the first without a verdict.
func (b *Book) release() {
	for b.head < b.tail && b.at(b.head).verdict != "" {
		e := b.at(b.head)
		b.write(e, b.head)
		b.bytes -= len(e.packet.IP)
		if e.talk != 0 {
			delete(b.talks, e.talk)
		}
		e.equals = nil
		if cap(e.packet.IP) > longPacket {
			e.packet.IP = nil
		}
		b.head++
	}
}
