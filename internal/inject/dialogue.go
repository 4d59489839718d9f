package inject

import (
	"math"

	"pacgan-appliance/internal/packet"
)

const resetFlags = packet.FlagRST | packet.FlagACK

// receive is the peer's segment arriving: RFC 9293, 3.10.7, as far as one
// request and its response need it. The matcher has checked that the segment
// acknowledges what we sent.
func (c *conversations) receive(v *conversation, s Segment, now int64) {
	if s.Flags&packet.FlagRST != 0 {
		c.finish(v, now)
		return
	}
	if s.Flags == 0 { // an ICMP error about it
		if v.state == stateSent || v.state == stateClosing {
			c.reset(v)
		}
		c.finish(v, now)
		return
	}
	if value, _, ok := timestamps(s.Options); ok {
		v.tsEcho = value
	}
	switch v.state {
	case stateSYNSent:
		c.receiveSYNACK(v, s, now)
	case stateProbing:
		if s.Flags&packet.FlagSYN != 0 { // the server must not wait for the rest
			v.sndNxt = s.Ack
			c.reset(v)
			c.finish(v, now)
		}
	case stateSent, stateClosing:
		c.receiveData(v, s, now)
	}
}

func (c *conversations) receiveSYNACK(v *conversation, s Segment, now int64) {
	const synAck = packet.FlagSYN | packet.FlagACK
	if s.Flags&synAck != synAck || s.Ack != v.iss+1 {
		return
	}
	_, _, theirs := timestamps(s.Options)
	v.stamped = v.offered && theirs
	v.rcvNxt = s.Seq + 1
	v.mss = max(minMSS, min(mssOf(s.Options), int(c.mss())))
	c.sendACK(v, -1)
	c.sendGenerated(v, metaGenerated|metaConversation)
	v.sndNxt += uint32(len(v.generated.L4Data()))
	if packet.TCP(v.generated.Payload()).Flags()&packet.FlagFIN != 0 {
		v.sndNxt++
	}
	v.state, v.resent = stateSent, false
	v.retransmit = now + int64(min(retransmitAfter, c.timeout/2))
	v.deadline = now + int64(c.timeout+sweepLag)
	c.dueBy(v.retransmit)
}

// receiveData acknowledges the response. It closes after the server's FIN, or
// once the verdict is known: at the PSH flag, which marks the end of a write,
// or when the server has been quiet for a while. Before the verdict it closes
// nothing: servers abandon a response whose client has closed its side.
func (c *conversations) receiveData(v *conversation, s Segment, now int64) {
	if s.Flags&packet.FlagSYN != 0 { // our ACK was lost
		c.sendACK(v, 0)
		c.sendGenerated(v, metaConversation)
		return
	}
	if s.Seq != v.rcvNxt { // lost or repeated: say what we wait for
		c.sendACK(v, 0)
		return
	}
	v.rcvNxt += uint32(s.Length)
	v.decided = v.decided || s.Decided
	v.resent = v.resent || s.Length > 0 // what is answered has arrived
	fin := s.Flags&packet.FlagFIN != 0
	if fin {
		v.rcvNxt++
	}
	switch {
	case fin && v.state == stateClosing:
		c.sendACK(v, 0)
		c.finish(v, now)
	case fin:
		c.sendFIN(v)
		c.finish(v, now)
	case v.state == stateSent && s.Flags&packet.FlagPSH != 0 && s.Length > 0 && v.decided:
		c.closeOurs(v, now)
	case s.Length > 0:
		c.sendACK(v, 0)
		if v.decided {
			v.quiet = now + int64(min(closeTimeout, c.timeout/2))
			c.dueBy(v.quiet)
		}
	}
}

// closeOurs ends our side of the conversation.
func (c *conversations) closeOurs(v *conversation, now int64) {
	c.sendFIN(v)
	v.state = stateClosing
	v.deadline = now + int64(closeTimeout)
	c.dueBy(v.deadline)
}

// clock retransmits what is overdue and ends what has timed out. With stop it
// ends everything.
func (c *conversations) clock(now int64, stop bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ticked, c.due = now, math.MaxInt64
	for _, v := range c.slots {
		if v == nil { // nor was any later one used: free gives the lowest of those first
			break
		}
		if v.state == stateFree {
			continue
		}
		switch {
		case stop && v.state == stateWaiting:
			c.ledger.wait(v.label, -1)
			c.ledger.fail(v.packet(), ReasonStopped)
			v.next = nil
			c.finish(v, now)
		case v.state == stateWaiting:
		case stop || now >= v.deadline:
			c.abandon(v, stop, now)
		case !v.resent && now >= v.retransmit:
			c.resend(v)
		case v.state == stateSent && v.quiet != 0 && now >= v.quiet:
			c.closeOurs(v, now)
		}
		if v.state != stateFree && v.state != stateWaiting {
			c.dueBy(v.due())
		}
	}
	return c.flushLocked()
}

// due is when the clock has something to do.
func (v *conversation) due() int64 {
	at := v.deadline
	if !v.resent {
		at = min(at, v.retransmit)
	}
	if v.state == stateSent && v.quiet != 0 {
		at = min(at, v.quiet)
	}
	return at
}

// abandon resets a connection that the peer knows of.
func (c *conversations) abandon(v *conversation, stop bool, now int64) {
	if v.deadline != 0 && (v.state == stateSent || v.state == stateClosing) {
		c.reset(v)
	}
	if stop {
		v.next = nil // it is ended by itself
	}
	c.finish(v, now)
}

func (c *conversations) resend(v *conversation) {
	v.resent = true
	switch v.state {
	case stateSYNSent:
		// Once without timestamps: a server may refuse those of a flow that
		// it remembers (RFC 7323, 5.3).
		v.offered = false
		c.sendSYN(v, metaConversation)
	case stateSent:
		c.sendGenerated(v, metaConversation)
	}
}

func (c *conversations) sendSYN(v *conversation, flags uint8) {
	mss := c.mss()
	if v.generated.Version() == 6 {
		mss -= 20 // IPv6's header is longer by that much
	}
	options := appendSYNOptions(c.options[:0], mss, v.tsVal, v.offered)
	c.send(v, flags, func(b []byte) int {
		return putSegment(b, v.generated, segmentFields{flags: packet.FlagSYN, seq: v.iss, idOffset: -2, options: options})
	})
}

// sendGenerated sends the generated segment, or the segments of a request that
// is longer than one. The first of them bears flags, which count it.
func (c *conversations) sendGenerated(v *conversation, flags uint8) {
	size := len(v.generated.L4Data())
	part := size
	if len(v.generated) > int(c.mss())+minHeaders {
		options := len(v.generated) - size - minHeaders
		part = max(minMSS, v.mss-options) // the MSS is without options (RFC 6691)
	}
	for from := 0; from == 0 || from < size; from += part {
		to := min(from+part, size)
		c.send(v, flags, func(b []byte) int {
			return putPart(b, v.generated, from, to, v.iss+1+uint32(from), v.rcvNxt)
		})
		flags = metaConversation
	}
}

// sendACK acknowledges; idOffset orders its IP identification with the
// generated packet's.
func (c *conversations) sendACK(v *conversation, idOffset int) {
	c.sendControl(v, packet.FlagACK, v.sndNxt, idOffset)
}

func (c *conversations) sendFIN(v *conversation) {
	c.sendControl(v, packet.FlagFIN|packet.FlagACK, v.sndNxt, 1)
	v.sndNxt++
}

func (c *conversations) reset(v *conversation) {
	c.sendControl(v, resetFlags, v.sndNxt, 2)
}

func (c *conversations) sendControl(v *conversation, flags uint8, seq uint32, idOffset int) {
	options := c.options[:0]
	if v.stamped && flags&packet.FlagRST == 0 {
		options = appendTimestamps(options, v.tsVal, v.tsEcho)
	}
	c.send(v, metaConversation, func(b []byte) int {
		return putSegment(b, v.generated, segmentFields{flags: flags, seq: seq, ack: v.rcvNxt, idOffset: idOffset, options: options})
	})
}

// send puts one frame of the conversation into the batch. Once nothing can be
// sent any more, what would have opened a conversation is counted as failed.
func (c *conversations) send(v *conversation, flags uint8, put func(b []byte) int) {
	var b []byte
	if c.err == nil {
		b, c.err = c.sender.room()
	}
	opens := flags&metaOpens != 0
	if c.err != nil {
		if opens {
			c.ledger.fail(v.packet(), ReasonGone)
		}
		return
	}
	if opens {
		c.ledger.recorder.Handed(v.packet(), v.id)
	}
	c.sender.commit(v.hop, meta{flags: flags, label: v.label, id: v.id}, put(b))
}
