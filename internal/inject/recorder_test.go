package inject_test

import (
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/inject"
	writer "pacgan-appliance/internal/scribe"
	"pacgan-appliance/internal/truth"
	"pacgan-appliance/internal/verify"
)

// scribe keeps a truth record of all that a network's tests inject.
type scribe struct {
	writer.Scribe
	log *truth.Log
	dir string
}

func newScribe(tb testing.TB, timeout time.Duration, labels []verify.Label) *scribe {
	tb.Helper()
	s := &scribe{dir: tb.TempDir()}
	var err error
	if s.log, err = truth.Open(s.dir, truth.Options{}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { mustClose(tb, s.log) })
	s.Book = truth.NewBook(s.log, truth.BookOptions{Timeout: timeout, Pending: 1 << 20, Bytes: 1 << 28})
	for i, l := range labels {
		s.Book.SetLabel(i, truth.Label{Name: l.Name})
	}
	return s
}

// check compares the records, by label, verdict and reason, with the counts:
// each packet has one but those that the log counts as lost, and one without a
// verdict only where tidings were lost.
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
	untold, err := s.Untold()
	if err != nil {
		tb.Fatal(err)
	}
	s.Book.Close(inflight == 0)
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
	tb.Logf("%d tidings lost, %d records without a verdict, %d not written", untold, s.Book.Unknown(), s.log.Stats().Lost)
	missing := s.log.Stats().Lost // that the disk was too slow for
	for e, n := range maps.Clone(want) {
		short := n - min(n, got[e])
		unwritten := min(short, missing)
		missing -= unwritten
		if short -= unwritten; untold > 0 && e.verdict != truth.Unknown { // its verdict did not fit into the ring, which its record says
			want[end{e.label, truth.Unknown, truth.ReasonDetail}] += short
			unwritten += short
		}
		want[e] -= unwritten
	}
	maps.DeleteFunc(want, func(_ end, n uint64) bool { return n == 0 })
	if missing > 0 {
		tb.Errorf("%d records are said to be lost, and are there", missing)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(end{})); diff != "" {
		tb.Errorf("records (-counts +records):\n%s", diff)
	}
}
