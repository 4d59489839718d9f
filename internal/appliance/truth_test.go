package appliance

import (
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/truth"
)

// truthEnd is what records are counted by.
type truthEnd struct {
	Label   string
	Verdict truth.Verdict
	Reason  string
}

// mustMatchTruth compares the records in dir with the kernel's counts, by
// label, verdict and reason; of malformed packets the counts have no reason.
func mustMatchTruth(t *testing.T, dir string, counts []labelCounts) []truth.Record {
	t.Helper()
	want := map[truthEnd]uint64{}
	for _, c := range counts {
		want[truthEnd{c.name, truth.Malformed, ""}] += c.Malformed
		want[truthEnd{c.name, truth.Blocked, ""}] += c.Blocked
		want[truthEnd{c.name, truth.Answered, ""}] += c.Answered
		want[truthEnd{c.name, truth.Expired, ""}] += c.Expired
		want[truthEnd{c.name, truth.Unasked, ""}] += c.Unasked
		for reason, n := range c.Rejected {
			want[truthEnd{c.name, truth.Rejected, reason}] += n
		}
		for reason, n := range c.FailedReasons {
			want[truthEnd{c.name, truth.Failed, reason}] += n
		}
	}
	maps.DeleteFunc(want, func(_ truthEnd, n uint64) bool { return n == 0 })
	got := map[truthEnd]uint64{}
	var records []truth.Record
	var last time.Time
	for r, err := range truth.Read(dir) {
		must(t, err)
		end := truthEnd{r.Pacgan.Label, r.Pacgan.Verdict, r.Pacgan.Reason}
		if end.Verdict == truth.Malformed || end.Verdict == truth.Blocked {
			end.Reason = ""
		}
		got[end]++
		if r.Timestamp.Before(last) {
			t.Errorf("record %s is before the one before it", r.UUID)
		}
		last = r.Timestamp.Time
		records = append(records, *r)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-counts +records):\n%s", diff)
	}
	return records
}
