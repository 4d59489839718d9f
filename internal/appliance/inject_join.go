package appliance

import (
	"encoding/binary"
	"slices"
	"time"

	"pacgan-appliance/internal/packet"
)

// request is a captured packet, or several TCP segments that are one request:
// then its IP packet is longer than any that was on the wire.
type request struct {
	at time.Time
	ip []byte
}

// joiner collects captured packets by label and puts the segments of a request
// together: those that follow on each other with no response between them.
type joiner struct {
	requests map[string][]request
	open     map[packet.FlowKey]*openRequest
}

// openRequest is the newest request of a TCP flow.
type openRequest struct {
	label  string
	index  int    // in the label's requests
	next   uint32 // sequence number
	ack    uint32 // a higher one would acknowledge a response
	pushed bool   // the sender's write has ended
}

func newJoiner() *joiner {
	return &joiner{map[string][]request{}, map[packet.FlowKey]*openRequest{}}
}

const (
	maxIPLen      = 65535 // what an IPv4 header has room to say
	ipv6HeaderLen = 40
)

// add takes a packet; one without a label only where it continues a request.
// It is false for what it leaves out: such a one, and what is no IP packet.
func (j *joiner) add(c packet.Packet) bool {
	ip, err := packet.IPOf(c.Frame)
	if err != nil {
		return false
	}
	p, err := packet.ParseIP(ip)
	segment := err == nil && p.Protocol() == packet.ProtoTCP && !p.MoreFragments() && p.FragmentOffset() == 0 && len(p.L4Data()) > 0
	if segment && j.extend(c.Label, p) {
		return true
	}
	if c.Label == "" {
		return false
	}
	j.requests[c.Label] = append(j.requests[c.Label], request{c.Time, slices.Clone(ip)})
	if segment {
		s := packet.TCP(p.Payload())
		j.open[packet.FlowOf(p)] = &openRequest{
			label: c.Label, index: len(j.requests[c.Label]) - 1, next: s.Seq() + uint32(len(p.L4Data())), ack: s.Ack(),
			pushed: s.Flags()&packet.FlagPSH != 0,
		}
	}
	return true
}

// extend appends a segment to the request that it continues, if there is one.
// A segment that a filter took by itself does so only before the end of a
// write: after it, it is a request of its own.
func (j *joiner) extend(label string, p packet.IP) bool {
	s, data := packet.TCP(p.Payload()), p.L4Data()
	o := j.open[packet.FlowOf(p)]
	if o == nil || s.Seq() != o.next || s.Ack() != o.ack || label != "" && (label != o.label || o.pushed) {
		return false
	}
	r := &j.requests[o.label][o.index]
	if len(r.ip)+len(data) > maxIPLen {
		return false
	}
	r.ip = append(r.ip, data...)
	if p.Version() == 6 {
		binary.BigEndian.PutUint16(r.ip[4:], uint16(len(r.ip)-ipv6HeaderLen))
	} else {
		binary.BigEndian.PutUint16(r.ip[2:], uint16(len(r.ip)))
	}
	r.ip[packet.IP(r.ip).HeaderLen()+13] |= s.Flags() & (packet.FlagPSH | packet.FlagFIN)
	o.next += uint32(len(data))
	o.pushed = o.pushed || s.Flags()&packet.FlagPSH != 0
	return true
}
