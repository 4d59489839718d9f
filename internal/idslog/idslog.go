// Package idslog reads the logs of intrusion detection systems, line by line:
// Suricata's EVE JSON, Zeek's notice.log and conn.log, Snort 3's alert_json.
// It joins nothing and judges nothing (internal/score does) and follows no file
// (internal/tail does).
package idslog

import (
	"fmt"
	"time"

	"pacgan-appliance/internal/packet"
)

// Kind is a program that writes logs.
type Kind string

// The kinds.
const (
	Suricata Kind = "suricata"
	Zeek     Kind = "zeek"
	Snort    Kind = "snort"
)

// Kinds are all kinds.
func Kinds() []Kind { return []Kind{Suricata, Zeek, Snort} }

// Event is what a line of a log says. Its slices are valid until the next line
// is parsed.
type Event struct {
	Alert bool      // a signature fired; anything else is a sign of life only
	Time  time.Time // as the IDS dates it
	// Start is when the flow began as the IDS saw it; zero: the line does not say.
	Start       time.Time
	Flow        packet.FlowKey // zero: the line names no flow
	CommunityID []byte         // version 1; empty: the line does not say
	// ID names the signature: "1:2024897" (generator:signature) of Suricata and
	// Snort, the notice's type of Zeek.
	ID   []byte
	Text []byte // what the signature's author calls it; may be empty
	// Connection is Zeek's uid, by which a notice and a line of conn.log belong together.
	Connection []byte
	// Fingerprint is packet.FingerprintOf of the packet that raised the alert; 0:
	// the line does not hold it. Mirrored says that its answer has the same one.
	Fingerprint uint32
	Mirrored    bool
}

// Parser reads the lines of one log, in their order: it keeps what a log's head
// says of the lines below. One goroutine uses it.
type Parser interface {
	// Parse reads one line, without its end, into e. It is false where the line
	// says nothing, such as a comment.
	Parse(line []byte, e *Event) (bool, error)
}

// NewParser makes a parser for a log of this kind. near is a time that lies
// within half a year of the log's: Snort writes no year.
func NewParser(kind Kind, near time.Time) (Parser, error) {
	switch kind {
	case Suricata:
		return newSuricata(), nil
	case Zeek:
		return newZeek(), nil
	case Snort:
		return newSnort(near), nil
	}
	return nil, fmt.Errorf("IDS kind %q: must be one of %v", kind, Kinds())
}
