package quality

import (
	"encoding/binary"
	"net/netip"

	"pacgan-appliance/internal/packet"
)

// field numbers the header and payload fields that are compared.
type field int

const (
	fieldSrc field = iota
	fieldDst
	fieldID
	fieldTTL
	fieldLength
	fieldSPort
	fieldDPort
	fieldICMPID
	fieldICMPSeq
	fieldDNSID
	fieldQName
	fieldQType
	fieldWindow
	fieldHost
	fieldPath
	numFields
)

// String is the field's name in reports.
func (f field) String() string {
	return [numFields]string{
		"src", "dst", "id", "ttl", "length", "sport", "dport", "icmp_id", "icmp_seq",
		"dns_id", "qname", "qtype", "tcp_window", "http_host", "http_path",
	}[f]
}

// kind says how a packet has a field.
type kind uint8

const (
	unparsable kind = iota // the packet, or the part of it that holds the field, cannot be read
	absent                 // it is of another kind: no DNS name in a ping
	present
)

// value of a field in one packet: a number, or a name, where present.
type value struct {
	kind   kind
	number uint64
	text   string
}

// values of one packet, by field.
type values [numFields]value

func number(n uint64) value   { return value{kind: present, number: n} }
func text(s string) value     { return value{kind: present, text: s} }
func (v *values) fill(k kind) { v.set(k, 0, numFields) }

func (v *values) set(k kind, from, to field) {
	for f := from; f < to; f++ {
		v[f] = value{kind: k}
	}
}

// address is an IPv4 address as a number, an IPv6 address as a name.
func address(a netip.Addr) value {
	if a.Is4() {
		b := a.As4()
		return number(uint64(binary.BigEndian.Uint32(b[:])))
	}
	return text(a.String())
}

func readAll(packets [][]byte) []values {
	all := make([]values, len(packets))
	for i, p := range packets {
		all[i] = read(p)
	}
	return all
}

func countUnparsable(packets []values) int {
	n := 0
	for i := range packets {
		if packets[i][fieldSrc].kind == unparsable {
			n++
		}
	}
	return n
}

// read takes a packet's fields. A packet that ParseIP refuses has none that
// can be parsed; a DNS message or HTTP request that cannot be read lacks its
// own fields only.
func read(b []byte) values {
	var v values // all unparsable
	p, err := packet.ParseIP(b)
	if err != nil {
		return v
	}
	v.fill(absent)
	v[fieldSrc] = address(p.Src())
	v[fieldDst] = address(p.Dst())
	if p.Version() == 4 {
		v[fieldID] = number(uint64(p.ID()))
	}
	v[fieldTTL] = number(uint64(p.TTL()))
	v[fieldLength] = number(uint64(p.TotalLen()))
	if p.FragmentOffset() != 0 {
		return v
	}
	switch l4 := p.Payload(); p.Protocol() {
	case packet.ProtoICMP:
		v.readICMP(l4, 8, 0)
	case packet.ProtoICMPv6:
		v.readICMP(l4, 128, 129)
	case packet.ProtoUDP:
		v.readUDP(l4)
	case packet.ProtoTCP:
		v.readTCP(l4, p.L4Data())
	}
	return v
}

// readICMP takes the fields of echoes, given their two types.
func (v *values) readICMP(m packet.ICMP, request, reply uint8) {
	if m.Type() != request && m.Type() != reply {
		return
	}
	v[fieldICMPID] = number(uint64(m.ID()))
	v[fieldICMPSeq] = number(uint64(m.Seq()))
}

func (v *values) readUDP(d packet.UDP) {
	v[fieldSPort] = number(uint64(d.SrcPort()))
	v[fieldDPort] = number(uint64(d.DstPort()))
	if !isDNS(d) {
		return
	}
	q, ok := readQuestion(d[8:])
	if !ok {
		v.set(unparsable, fieldDNSID, fieldQType+1)
		return
	}
	v[fieldDNSID] = number(uint64(q.id))
	v[fieldQName] = text(q.name)
	v[fieldQType] = number(uint64(q.qtype))
}

func (v *values) readTCP(s packet.TCP, data []byte) {
	v[fieldSPort] = number(uint64(s.SrcPort()))
	v[fieldDPort] = number(uint64(s.DstPort()))
	v[fieldWindow] = number(uint64(s.Window()))
	if !looksLikeHTTP(data) {
		return
	}
	request, ok := readRequest(data)
	if !ok {
		v.set(unparsable, fieldHost, fieldPath+1)
		return
	}
	v[fieldHost] = text(request.host)
	v[fieldPath] = text(request.path)
}
