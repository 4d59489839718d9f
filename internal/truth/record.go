// Package truth writes down what became of every injected packet, one JSON
// line each in the shape of Suricata's EVE, and reads it again: what an IDS is
// scored against. It judges nothing (internal/verify does) and sends nothing
// (internal/inject does). docs/truth.md says where each field comes from.
package truth

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"time"
)

// EventType is event_type of every record.
const EventType = "pacgan"

// Record is one injected packet, or one TCP conversation about a generated
// segment, and what became of it.
type Record struct {
	Timestamp   Time       `json:"timestamp"`  // when it was handed over to be sent; of a conversation, its SYN
	EventType   string     `json:"event_type"` // EventType
	FlowID      uint64     `json:"flow_id"`    // the same for all packets of a 5-tuple, both directions
	UUID        UUID       `json:"uuid"`
	SrcIP       netip.Addr `json:"src_ip,omitzero"` // no address: what was generated is no IP packet
	SrcPort     uint16     `json:"src_port,omitempty"`
	DestIP      netip.Addr `json:"dest_ip,omitzero"`
	DestPort    uint16     `json:"dest_port,omitempty"`
	Proto       string     `json:"proto,omitempty"` // EVE's spelling: TCP, UDP, ICMP, IPv6-ICMP; others by number
	ICMPType    uint8      `json:"icmp_type,omitempty"`
	ICMPCode    uint8      `json:"icmp_code,omitempty"`
	CommunityID string     `json:"community_id,omitempty"` // version 1, seed 0
	Pacgan      Pacgan     `json:"pacgan"`
}

// Pacgan is what nobody but the appliance knows of a packet.
type Pacgan struct {
	Label     string  `json:"label"`
	Malicious bool    `json:"malicious"` // as the label's config says
	Source    Source  `json:"source"`
	Model     string  `json:"model,omitempty"`      // its id: the name of its directory
	ModelHash string  `json:"model_hash,omitempty"` // SHA-256 of its generator.safetensors, in hex
	Seed      uint64  `json:"seed"`                 // of the sampler
	Index     uint64  `json:"index"`                // of the packet among those of its label from that seed; the first is 0
	Verdict   Verdict `json:"verdict"`
	Reason    string  `json:"reason"` // of a packet that was not answered
	RTT       int64   `json:"rtt_ns"` // of one that was, in nanoseconds
	Bytes     int     `json:"bytes"`  // of the generated IP packet
	// Left is when the packet passed the guard, of a conversation its SYN, by the
	// kernel's clock, in nanoseconds after the timestamp; 0: it did not, or nobody
	// could say.
	Left        int64  `json:"left_ns,omitempty"`
	Span        int64  `json:"span_ns,omitempty"`     // from then to the reply that decided it; 0: none did
	Fingerprint uint32 `json:"fingerprint,omitempty"` // packet.FingerprintOf; 0: it has none
}

// Source says where a packet came from.
type Source string

// The sources.
const (
	SourceModel   Source = "model"
	SourceCapture Source = "capture"
)

// Verdict says where a packet ended.
type Verdict string

// The verdicts: the terms of the accounting, and Unknown where the kernel
// counted a verdict and could not say whose it was.
const (
	Malformed Verdict = "malformed" // no IP packet, or lengths that disagree: never sent
	Blocked   Verdict = "blocked"   // refused by the guard: never sent
	Failed    Verdict = "failed"    // not taken by the kernel, or given up: never sent
	Answered  Verdict = "answered"
	Rejected  Verdict = "rejected"
	Expired   Verdict = "expired"
	Unasked   Verdict = "unasked" // sent; no answer is expected
	Unknown   Verdict = "unknown"
)

// Sent reports whether the packet left for the wire: what an IDS can have seen.
func (v Verdict) Sent() bool {
	return v == Answered || v == Rejected || v == Expired || v == Unasked
}

// timeLayout is EVE's, with nanoseconds in the place of microseconds.
const timeLayout = "2006-01-02T15:04:05.000000000-0700"

// Time is an instant as EVE writes it.
type Time struct{ time.Time }

// AppendText implements encoding.TextAppender: always in UTC.
func (t Time) AppendText(b []byte) ([]byte, error) {
	return t.UTC().AppendFormat(b, timeLayout), nil
}

// MarshalJSON is in the place of time.Time's.
func (t Time) MarshalJSON() ([]byte, error) {
	b, err := t.AppendText([]byte{'"'})
	return append(b, '"'), err
}

// UnmarshalJSON reads EVE's form, with any number of decimals.
func (t *Time) UnmarshalJSON(b []byte) error {
	if len(b) < 2 || b[0] != '"' {
		return fmt.Errorf("timestamp %s: must be a string such as %q", b, timeLayout)
	}
	return t.UnmarshalText(b[1 : len(b)-1])
}

// UnmarshalText reads EVE's form, with any number of decimals.
func (t *Time) UnmarshalText(b []byte) error {
	at, err := time.Parse("2006-01-02T15:04:05-0700", string(b)) // Parse takes decimals that the layout lacks
	if err != nil {
		return fmt.Errorf("timestamp %q: must have the form of %s", b, timeLayout)
	}
	t.Time = at
	return nil
}

// UUID is a record's name: version 7 of RFC 9562, so that names sort by time.
type UUID [16]byte

// String is the form with dashes, in lower case.
func (u UUID) String() string {
	b, _ := u.AppendText(nil)
	return string(b)
}

// AppendText implements encoding.TextAppender.
func (u UUID) AppendText(b []byte) ([]byte, error) {
	for i, n := range [5]int{4, 2, 2, 2, 6} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, u[:n])
		copy(u[:], u[n:]) // u is ours: a copy
	}
	return b, nil
}

// MarshalText implements encoding.TextMarshaler.
func (u UUID) MarshalText() ([]byte, error) { return u.AppendText(make([]byte, 0, 36)) }

// UnmarshalText reads the form with dashes.
func (u *UUID) UnmarshalText(b []byte) error {
	bad := func() error { return fmt.Errorf("uuid %q: must look like 018f1e2d-3c4b-7a69-8877-665544332211", b) }
	if len(b) != 36 || b[8] != '-' || b[13] != '-' || b[18] != '-' || b[23] != '-' {
		return bad()
	}
	var digits [32]byte
	at := digits[:0]
	for _, part := range [5][]byte{b[:8], b[9:13], b[14:18], b[19:23], b[24:]} {
		at = append(at, part...)
	}
	if _, err := hex.Decode(u[:], at); err != nil {
		return bad()
	}
	return nil
}

// ParseUUID reads a UUID from a command line.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	err := u.UnmarshalText([]byte(s))
	return u, err
}
