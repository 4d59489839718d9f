package idslog

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"pacgan-appliance/internal/jsonline"
	"pacgan-appliance/internal/packet"
)

// snort reads Snort 3's alert_json. It dates alerts in the sensor's own zone
// and without a year, unless the field "seconds" is on.
type snort struct {
	jsonline.Object
	addresses addresses
	near      time.Time
	ends      endpoints
	proto     []byte
	gid, sid  uint64
	seconds   uint64 // since 1970; 0: not given
	typed     bool   // icmp_type was given
}

func newSnort(near time.Time) *snort { return &snort{addresses: addresses{}, near: near} }

// Parse implements Parser.
func (p *snort) Parse(line []byte, e *Event) (bool, error) {
	*e = Event{ID: e.ID[:0], Text: e.Text[:0], CommunityID: e.CommunityID[:0], Alert: true}
	p.ends, p.proto, p.gid, p.sid, p.seconds, p.typed = endpoints{}, p.proto[:0], 1, 0, 0, false
	if len(bytes.TrimSpace(line)) == 0 {
		return false, nil
	}
	p.Begin(line)
	err := p.Members(func(name []byte) error { return p.member(name, e) })
	if err == nil {
		err = p.End()
	}
	if err != nil {
		return false, fmt.Errorf("alert_json: %w", err)
	}
	if p.seconds > 0 {
		e.Time = time.Unix(int64(p.seconds), int64(e.Time.Nanosecond()))
	}
	switch {
	case e.Time.IsZero():
		return false, errors.New("alert_json: neither timestamp nor seconds: is this Snort 3's alert_json?")
	case len(e.ID) == 0 && p.sid == 0:
		return false, errors.New(`alert_json: the signature is missing: add "rule", or "gid" and "sid", to fields`)
	case len(e.ID) == 0:
		e.ID = strconv.AppendUint(append(strconv.AppendUint(e.ID, p.gid, 10), ':'), p.sid, 10)
	}
	p.ends.protocol = p.ends.protocolOf(p.proto)
	if !p.typed && p.ends.protocol == packet.ProtoICMPv6 {
		p.ends.icmpType = 128 // an echo's: as 0, of what nothing is said, is with ICMP
	}
	e.Flow = p.ends.flow()
	return true, nil
}

func (p *snort) member(name []byte, e *Event) error {
	switch string(name) {
	case "timestamp":
		value, err := p.Scalar()
		if err == nil {
			e.Time, err = p.stamp(value)
		}
		return err
	case "seconds":
		return jsonline.Number(&p.Object, "seconds", &p.seconds)
	case "proto":
		return p.Keep(&p.proto)
	case "src_ap":
		return p.end("src_ap", &p.ends.src, &p.ends.srcPort)
	case "dst_ap":
		return p.end("dst_ap", &p.ends.dst, &p.ends.dstPort)
	case "src_addr":
		return p.addresses.of(&p.Object, "src_addr", &p.ends.src)
	case "dst_addr":
		return p.addresses.of(&p.Object, "dst_addr", &p.ends.dst)
	case "src_port":
		return jsonline.Number(&p.Object, "src_port", &p.ends.srcPort)
	case "dst_port":
		return jsonline.Number(&p.Object, "dst_port", &p.ends.dstPort)
	case "icmp_type":
		p.typed = true
		return jsonline.Number(&p.Object, "icmp_type", &p.ends.icmpType)
	case "icmp_code":
		return jsonline.Number(&p.Object, "icmp_code", &p.ends.icmpCode)
	case "rule": // gid:sid:rev
		err := p.Keep(&e.ID)
		if i := bytes.LastIndexByte(e.ID, ':'); i > 0 && bytes.Count(e.ID, []byte(":")) == 2 {
			e.ID = e.ID[:i]
		}
		return err
	case "gid":
		return jsonline.Number(&p.Object, "gid", &p.gid)
	case "sid":
		return jsonline.Number(&p.Object, "sid", &p.sid)
	case "msg":
		return p.Keep(&e.Text)
	}
	return p.Skip()
}

// end reads an address and a port; IPv6 stands there without brackets.
func (p *snort) end(what string, addr *netip.Addr, port *uint16) error {
	value, err := p.Scalar()
	if err != nil {
		return err
	}
	i := bytes.LastIndexByte(value, ':')
	if i < 0 {
		return fmt.Errorf("%s %q: must be an address and a port", what, value)
	}
	if *addr, err = p.addresses.parse(what, bytes.Trim(value[:i], "[]")); err != nil {
		return err
	}
	*port, err = jsonline.ParseNumber[uint16](what, value[i+1:])
	return err
}

// stamp reads "11/25-08:51:07.123456", or with the year (-y) "26/11/25-08:51:07.123456".
// What it takes for UTC may be another zone: an offset of the clock.
func (p *snort) stamp(value []byte) (time.Time, error) {
	text := string(value)
	if t, err := time.Parse("06/01/02-15:04:05", text); err == nil {
		return t, nil
	}
	best := time.Time{}
	for year := p.near.Year() - 1; year <= p.near.Year()+1; year++ {
		t, err := time.Parse("2006/01/02-15:04:05", fmt.Sprintf("%04d/%s", year, text))
		if err != nil {
			continue // 29 February, or no time at all
		}
		if best.IsZero() || t.Sub(p.near).Abs() < best.Sub(p.near).Abs() {
			best = t
		}
	}
	if best.IsZero() {
		return best, fmt.Errorf(`timestamp %q: must be a time such as "11/25-08:51:07.123456"`, value)
	}
	return best, nil
}
