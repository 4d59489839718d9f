package truth

import (
	"encoding/binary"
	"strconv"
	"time"

	"pacgan-appliance/internal/packet"
)

// write hands an entry's record to the log.
func (b *Book) write(e *entry, sequence uint64) {
	g := &b.generators[e.packet.Tag>>originShift]
	var l Label
	if e.packet.Label < len(b.labels) {
		l = b.labels[e.packet.Label]
	}
	if e.verdict == Unknown {
		b.unknown++
	}
	b.record = Record{
		Timestamp: Time{e.at}, EventType: EventType, UUID: uuidOf(e.at, b.run, sequence),
		Pacgan: Pacgan{
			Label: l.Name, Malicious: l.Malicious, Source: g.Source, Model: g.Model, ModelHash: g.ModelHash, Seed: g.Seed,
			Index: e.packet.Tag & (1<<originShift - 1), Verdict: e.verdict, Reason: e.reason, Bytes: len(e.packet.IP),
		},
	}
	if e.verdict == Answered {
		b.record.Pacgan.RTT = int64(e.rtt)
	}
	if e.left != 0 {
		b.record.Pacgan.Left, b.record.Pacgan.Span = e.left-e.at.UnixNano(), int64(e.span)
	}
	b.record.describeFlow(e.packet.IP)
	b.log.Append(&b.record, e.packet.IP) // its one error is that it was closed, which is after us
	if b.also != nil {
		b.also(&b.record)
	}
}

// describeFlow fills in what the headers say; of what cannot be framed, nothing.
func (r *Record) describeFlow(ip []byte) {
	p, err := packet.ParseIP(ip)
	if err != nil {
		return
	}
	flow := packet.FlowOf(p)
	r.SrcIP, r.DestIP = p.Src(), p.Dst()
	r.CommunityID, r.FlowID = packet.CommunityIDs(flow)
	r.Pacgan.Fingerprint, _ = packet.FingerprintOf(p)
	switch first := p.FragmentOffset() == 0; p.Protocol() {
	case packet.ProtoTCP:
		r.Proto = protoTCP
		r.SrcPort, r.DestPort = flow.Src.Port(), flow.Dst.Port()
	case packet.ProtoUDP:
		r.Proto = protoUDP
		r.SrcPort, r.DestPort = flow.Src.Port(), flow.Dst.Port()
	case packet.ProtoICMP, packet.ProtoICMPv6:
		r.Proto = protoICMP
		if p.Protocol() == packet.ProtoICMPv6 {
			r.Proto = protoICMPv6
		}
		if m := packet.ICMP(p.Payload()); first {
			r.ICMPType, r.ICMPCode = m.Type(), m.Code()
		}
	default:
		r.Proto = strconv.Itoa(int(p.Protocol()))
	}
}

// uuidOf is version 7 of RFC 9562: milliseconds, their fraction (6.2, method
// 3), what tells processes apart, and a number within the process.
func uuidOf(at time.Time, run uint32, sequence uint64) UUID {
	var u UUID
	ns := uint64(at.UnixNano())
	ms, rest := ns/1e6, ns%1e6
	binary.BigEndian.PutUint64(u[:], ms<<16|0x7000|rest*4096/1e6)
	binary.BigEndian.PutUint64(u[8:], 1<<63|uint64(run&(1<<30-1))<<32|sequence&(1<<32-1))
	return u
}
