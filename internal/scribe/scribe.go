// Package scribe has the truth record written: it tells a truth.Book what the
// injector hands over and what the verifier is told, each in the other's words.
// It decides nothing and keeps nothing.
package scribe

import (
	"time"

	"pacgan-appliance/internal/inject"
	"pacgan-appliance/internal/truth"
	"pacgan-appliance/internal/verify"
)

// Scribe is an inject.Recorder, and its Tell a verify.Options.Tell.
type Scribe struct {
	Book *truth.Book
	// Untold is how many tidings were lost: verify.Verifier.Untold.
	Untold func() (uint64, error)
}

// Malformed takes down a packet that cannot be framed.
func (s *Scribe) Malformed(p inject.Packet, why error) { s.Book.Malformed(truth.Packet(p), why) }

// Failed takes down a packet that was not handed over.
func (s *Scribe) Failed(p inject.Packet, reason string) { s.Book.Failed(truth.Packet(p), reason) }

// Refused takes down a packet that the kernel did not take.
func (s *Scribe) Refused(id uint32, reason string) { s.Book.Refused(id, reason) }

// Handed takes down a packet that is about to be sent.
func (s *Scribe) Handed(p inject.Packet, conversation uint32) uint32 {
	return s.Book.Handed(truth.Packet(p), conversation)
}

// Tell takes down what the kernel says of packets.
func (s *Scribe) Tell(told []verify.Told, _ time.Time) {
	for i := range told {
		t := &told[i]
		if t.Tiding == verify.TidingJoined {
			s.Book.Joined(t.ID, t.Other, t.Left)
			continue
		}
		s.Book.Decide(t.ID, t.N, endOf(t))
	}
	if untold, err := s.Untold(); err == nil { // else it was closed
		s.Book.Swept(untold)
	}
}

// endOf is what a tiding says became of a packet.
func endOf(t *verify.Told) truth.End {
	end := truth.End{Reason: t.Reason, RTT: t.RTT, Left: t.Left, Span: t.Span}
	switch t.Tiding {
	case verify.TidingSettled:
		end.Verdict = truth.Answered
		if t.Reason != "" {
			end.Verdict = truth.Rejected
		}
	case verify.TidingExpired:
		end.Verdict = truth.Expired
	case verify.TidingUnasked:
		end.Verdict = truth.Unasked
	case verify.TidingBlocked:
		end.Verdict, end.Reason = truth.Blocked, inject.BlockedReason(t.Other)
	case verify.TidingFull:
		end.Verdict, end.Reason = truth.Failed, inject.ReasonFull
	case verify.TidingBusy:
		end.Verdict, end.Reason = truth.Failed, inject.ReasonBusy
	}
	return end
}
