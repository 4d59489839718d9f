package idslog

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"pacgan-appliance/internal/jsonline"
	"pacgan-appliance/internal/packet"
)

// EVE reads records in the shape of Suricata's EVE JSON that have one event
// type. One goroutine uses it.
type EVE struct {
	jsonline.Object
	eventType string
	other     func(name []byte) error
	visit     func(name []byte) error
	addresses addresses
	ends      endpoints
	proto     []byte
	event     *Event // that is being read
}

// NewEVE makes a reader of records of the event type. It hands every member
// that EVE has no meaning of its own for to other, which reads its value from
// the Object, or skips it.
func NewEVE(eventType string, other func(name []byte) error) *EVE {
	r := &EVE{eventType: eventType, other: other, addresses: addresses{}}
	r.visit = r.member
	return r
}

// errOther ends the reading of a record of which nothing more is of use.
var errOther = errors.New("another event type")

// Read reads a line's time, flow and community id into e; Alert says whether it
// has the event type. Of a line that has another, only the beginning is read.
func (r *EVE) Read(line []byte, e *Event) error {
	*e = Event{ID: e.ID[:0], Text: e.Text[:0], CommunityID: e.CommunityID[:0]}
	r.event, r.ends, r.proto = e, endpoints{}, r.proto[:0]
	r.Begin(line)
	err := r.Members(r.visit)
	switch {
	case err == errOther:
		return nil
	case err == nil:
		err = r.End()
	}
	if err != nil {
		return fmt.Errorf("EVE: %w", err)
	}
	if e.Time.IsZero() {
		return errors.New("EVE: timestamp is missing: is this EVE JSON?")
	}
	r.ends.protocol = r.ends.protocolOf(r.proto)
	e.Flow = r.ends.flow()
	return nil
}

func (r *EVE) member(name []byte) error {
	switch string(name) {
	case "timestamp":
		return timeOf(&r.Object, "timestamp", &r.event.Time)
	case "event_type":
		kind, err := r.Scalar()
		r.event.Alert = string(kind) == r.eventType
		if err == nil && !r.event.Alert && !r.event.Time.IsZero() {
			return errOther
		}
		return err
	case "src_ip":
		return r.addresses.of(&r.Object, "src_ip", &r.ends.src)
	case "dest_ip":
		return r.addresses.of(&r.Object, "dest_ip", &r.ends.dst)
	case "src_port":
		return jsonline.Number(&r.Object, "src_port", &r.ends.srcPort)
	case "dest_port":
		return jsonline.Number(&r.Object, "dest_port", &r.ends.dstPort)
	case "proto":
		return r.Keep(&r.proto)
	case "icmp_type":
		return jsonline.Number(&r.Object, "icmp_type", &r.ends.icmpType)
	case "icmp_code":
		return jsonline.Number(&r.Object, "icmp_code", &r.ends.icmpCode)
	case "community_id":
		return r.Keep(&r.event.CommunityID)
	}
	return r.other(name)
}

// suricata reads eve.json's alerts.
type suricata struct {
	*EVE
	start    time.Time
	text     []byte
	gid, sid uint64
	frame    []byte // in base64
	link     uint64 // of the frame
	visit    func(name []byte) error
}

func newSuricata() *suricata {
	p := &suricata{}
	p.EVE = NewEVE("alert", p.part)
	p.visit = p.member
	return p
}

// Parse implements Parser.
func (p *suricata) Parse(line []byte, e *Event) (bool, error) {
	p.start, p.text, p.gid, p.sid = time.Time{}, p.text[:0], 1, 0
	p.frame, p.link = p.frame[:0], linkEthernet
	if err := p.Read(line, e); err != nil {
		return false, err
	}
	if e.Alert {
		e.Start = p.start
		e.Fingerprint, e.Mirrored = p.fingerprint()
		e.Text = append(e.Text, p.text...)
		e.ID = strconv.AppendUint(append(strconv.AppendUint(e.ID, p.gid, 10), ':'), p.sid, 10)
	}
	return true, nil
}

// part reads the record's "alert", "flow" and "packet_info", which have no
// member in common, and its "packet".
func (p *suricata) part(name []byte) error {
	switch string(name) {
	case "alert", "flow", "packet_info":
		if p.IsObject() {
			return p.Members(p.visit)
		}
	case "packet":
		return p.Keep(&p.frame)
	}
	return p.Skip()
}

// Link types of pcap.
const (
	linkEthernet = 1
	linkRaw      = 101
)

// fingerprint is that of the packet, where the line has it and it can be read.
func (p *suricata) fingerprint() (digest uint32, mirrored bool) {
	n, err := base64.StdEncoding.Decode(p.frame, p.frame) // in its own place: it gets shorter
	if err != nil || n == 0 {
		return 0, false
	}
	ip := p.frame[:n]
	switch p.link {
	case linkEthernet:
		if ip, err = packet.IPOf(ip); err != nil {
			return 0, false
		}
	case linkRaw:
	default:
		return 0, false
	}
	parsed, err := packet.ParseIP(ip)
	if err != nil {
		return 0, false
	}
	return packet.FingerprintOf(parsed)
}

func (p *suricata) member(name []byte) error {
	switch string(name) {
	case "gid":
		return jsonline.Number(&p.Object, "alert.gid", &p.gid)
	case "signature_id":
		return jsonline.Number(&p.Object, "alert.signature_id", &p.sid)
	case "signature":
		return p.Keep(&p.text)
	case "linktype":
		return jsonline.Number(&p.Object, "packet_info.linktype", &p.link)
	case "start":
		return timeOf(&p.Object, "flow.start", &p.start)
	}
	return p.Skip()
}
