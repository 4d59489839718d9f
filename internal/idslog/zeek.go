package idslog

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	"pacgan-appliance/internal/jsonline"
	"pacgan-appliance/internal/packet"
)

// zeek reads notice.log, whose lines are alerts, and conn.log, whose lines say
// when a connection began; each as TSV or as JSON.
type zeek struct {
	jsonline.Object
	addresses addresses
	ends      endpoints
	proto     []byte
	conn      bool              // the line is of conn.log
	names     map[string]string // of the fields that are read, each to itself
	fields    []string          // of a TSV file, from its head
	separator []byte
	unset     []byte
}

func newZeek() *zeek {
	p := &zeek{addresses: addresses{}, names: map[string]string{}, separator: []byte{'\t'}, unset: []byte{'-'}}
	for _, name := range []string{
		"ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "community_id", "note",
		"conn_state", "orig_bytes", "orig_pkts",
	} {
		p.names[name] = name
	}
	return p
}

// Parse implements Parser.
func (p *zeek) Parse(line []byte, e *Event) (bool, error) {
	*e = Event{ID: e.ID[:0], Text: e.Text[:0], CommunityID: e.CommunityID[:0], Connection: e.Connection[:0]}
	p.ends, p.proto, p.conn = endpoints{}, p.proto[:0], false
	var err error
	switch {
	case len(bytes.TrimSpace(line)) == 0:
		return false, nil
	case line[0] == '#':
		return false, p.head(line[1:])
	case line[0] == '{':
		p.Begin(line)
		err = p.Members(func(name []byte) error {
			known := p.names[string(name)]
			if known == "" {
				return p.Skip()
			}
			value, err := p.Scalar()
			if err != nil || string(value) == "null" {
				return err
			}
			return p.member(known, value, e)
		})
		if err == nil {
			err = p.End()
		}
	default:
		err = p.columns(line, e)
	}
	if err != nil {
		return false, fmt.Errorf("zeek: %w", err)
	}
	if e.Time.IsZero() {
		return false, errors.New("zeek: ts is missing: is this notice.log or conn.log?")
	}
	e.Alert = len(e.ID) > 0
	if !e.Alert && p.conn {
		e.Start = e.Time
	}
	p.ends.protocol = p.ends.protocolOf(p.proto)
	if p.ends.protocol == packet.ProtoICMP || p.ends.protocol == packet.ProtoICMPv6 {
		p.ends.icmpType, p.ends.icmpCode = uint8(p.ends.srcPort), uint8(p.ends.dstPort) // Zeek's way
	}
	e.Flow = p.ends.flow()
	return true, nil
}

// head reads a comment at the head of a TSV file.
func (p *zeek) head(comment []byte) error {
	if escaped, ok := bytes.CutPrefix(comment, []byte("separator ")); ok { // such as \x09
		text, err := strconv.Unquote(`"` + string(escaped) + `"`)
		if err != nil || len(text) != 1 {
			return fmt.Errorf(`zeek: #separator %q: must be one character such as \x09`, escaped)
		}
		p.separator = []byte(text)
		return nil
	}
	name, rest, _ := bytes.Cut(comment, p.separator)
	switch string(name) {
	case "unset_field":
		p.unset = bytes.Clone(rest)
	case "fields":
		p.fields = p.fields[:0]
		for field := range bytes.SplitSeq(rest, p.separator) {
			p.fields = append(p.fields, string(field))
		}
	}
	return nil
}

func (p *zeek) columns(line []byte, e *Event) error {
	if p.fields == nil {
		return errors.New("no #fields line before this one")
	}
	i := 0
	for value := range bytes.SplitSeq(line, p.separator) {
		if i < len(p.fields) && !bytes.Equal(value, p.unset) {
			if err := p.member(p.fields[i], value, e); err != nil {
				return err
			}
		}
		i++
	}
	if i != len(p.fields) {
		return fmt.Errorf("%d columns, where #fields names %d", i, len(p.fields))
	}
	return nil
}

// member takes up one field.
func (p *zeek) member(name string, value []byte, e *Event) (err error) {
	switch name {
	case "ts":
		e.Time, err = zeekTime(value)
	case "uid":
		e.Connection = append(e.Connection, value...)
	case "id.orig_h":
		p.ends.src, err = p.addresses.parse(name, value)
	case "id.resp_h":
		p.ends.dst, err = p.addresses.parse(name, value)
	case "id.orig_p":
		p.ends.srcPort, err = jsonline.ParseNumber[uint16](name, value)
	case "id.resp_p":
		p.ends.dstPort, err = jsonline.ParseNumber[uint16](name, value)
	case "proto":
		p.proto = append(p.proto, value...)
	case "community_id":
		e.CommunityID = append(e.CommunityID, value...)
	case "note":
		e.ID = append(e.ID, value...)
	case "conn_state", "orig_bytes", "orig_pkts":
		p.conn = true
	}
	return err
}

// zeekTime reads seconds since 1970, or RFC 3339 where Zeek is told to write it.
func zeekTime(value []byte) (time.Time, error) {
	if bytes.IndexByte(value, 'T') > 0 {
		return parseTime("ts", value)
	}
	whole, fraction, _ := bytes.Cut(value, []byte("."))
	seconds, err := strconv.ParseInt(string(whole), 10, 64)
	nanoseconds, digits := int64(0), 0
	for _, c := range fraction {
		if c < '0' || c > '9' {
			err = strconv.ErrSyntax
		}
		if digits < 9 {
			nanoseconds, digits = 10*nanoseconds+int64(c-'0'), digits+1
		}
	}
	if err != nil {
		return time.Time{}, fmt.Errorf(`ts %q: must be a time such as "1764060667.123456"`, value)
	}
	for ; digits < 9; digits++ {
		nanoseconds *= 10
	}
	return time.Unix(seconds, nanoseconds), nil
}
