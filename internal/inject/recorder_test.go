package inject_test

import (
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/inject"
	"pacgan-appliance/internal/truth"
	"pacgan-appliance/internal/verify"
)

// scribe keeps a truth record of all that a network's tests inject.
type scribe struct {
	log  *truth.Log
	book *truth.Book
	dir  string
	left func() (uint64, error) // untold
}

func newScribe(tb testing.TB, timeout time.Duration, labels []verify.Label) *scribe {
	tb.Helper()
	s := &scribe{dir: tb.TempDir()}
	var err error
	if s.log, err = truth.Open(s.dir, truth.Options{}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { mustClose(tb, s.log) })
	s.book = truth.NewBook(s.log, truth.BookOptions{Timeout: timeout, Pending: 1 << 20, Bytes: 1 << 28})
	for i, l := range labels {
		s.book.SetLabel(i, truth.Label{Name: l.Name})
	}
	return s
}

// The methods of inject.Recorder.
func (s *scribe) Malformed(p inject.Packet, why error)    { s.book.Malformed(truth.Packet(p), why) }
func (s *scribe) Failed(p inject.Packet, reason string)   { s.book.Failed(truth.Packet(p), reason) }
func (s *scribe) Refused(id uint32, reason string)        { s.book.Refused(id, reason) }
func (s *scribe) Handed(p inject.Packet, t uint32) uint32 { return s.book.Handed(truth.Packet(p), t) }

// tell is verify.Options.Tell.
func (s *scribe) tell(told []verify.Told, _ time.Time) {
	for _, t := range told {
		switch t.Tiding {
		case verify.TidingSettled:
			verdict := truth.Answered
			if t.Reason != "" {
				verdict = truth.Rejected
			}
			s.book.Decide(t.ID, 1, verdict, t.Reason, t.RTT)
		case verify.TidingExpired:
			s.book.Decide(t.ID, t.N, truth.Expired, "", 0)
		case verify.TidingUnasked:
			s.book.Decide(t.ID, 1, truth.Unasked, "", 0)
		case verify.TidingBlocked:
			s.book.Decide(t.ID, 1, truth.Blocked, inject.BlockedReason(t.Other), 0)
		case verify.TidingFull:
			s.book.Decide(t.ID, 1, truth.Failed, inject.ReasonFull, 0)
		case verify.TidingBusy:
			s.book.Decide(t.ID, 1, truth.Failed, inject.ReasonBusy, 0)
		case verify.TidingJoined:
			s.book.Joined(t.ID, t.Other)
		}
	}
	if n, err := s.left(); err == nil { // else it was closed
		s.book.Swept(n)
	}
}

// check compares the records, by label, verdict and reason, with the counts.
// The verifier has ended.
func (s *scribe) check(tb testing.TB, sent []inject.LabelCounts, accounts []account) {
	tb.Helper()
	type end struct {
		label   string
		verdict truth.Verdict
		reason  string
	}
	want, inflight := map[end]uint64{}, uint64(0)
	for i, a := range accounts {
		want[end{a.Label, truth.Malformed, ""}] += a.Malformed
		for reason, n := range sent[i].BlockedBy {
			want[end{a.Label, truth.Blocked, reason}] += n
		}
		want[end{a.Label, truth.Answered, ""}] += a.Answered
		want[end{a.Label, truth.Expired, ""}] += a.Expired
		want[end{a.Label, truth.Unasked, ""}] += a.Unasked
		want[end{a.Label, truth.Unknown, truth.ReasonStopped}] += a.Inflight
		inflight += a.Inflight
		for reason, n := range a.Failed {
			want[end{a.Label, truth.Failed, reason}] += n
		}
		for reason, n := range a.Rejected {
			want[end{a.Label, truth.Rejected, reason}] += n
		}
	}
	maps.DeleteFunc(want, func(_ end, n uint64) bool { return n == 0 })
	s.book.Close(inflight == 0)
	mustClose(tb, s.log)
	got := map[end]uint64{}
	var last time.Time
	if s.log.Stats().Written > 0 {
		for r, err := range truth.Read(s.dir) {
			if err != nil {
				tb.Fatal(err)
			}
			e := end{r.Pacgan.Label, r.Pacgan.Verdict, r.Pacgan.Reason}
			if e.verdict == truth.Malformed {
				e.reason = ""
			}
			got[e]++
			if r.Timestamp.Before(last) {
				tb.Errorf("record %s is before the one before it", r.UUID)
			}
			last = r.Timestamp.Time
			if (e.verdict == truth.Answered) != (r.Pacgan.RTT > 0) {
				tb.Errorf("record %s: %s in %d ns", r.UUID, e.verdict, r.Pacgan.RTT)
			}
		}
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(end{})); diff != "" {
		tb.Errorf("records (-counts +records):\n%s", diff)
	}
}
