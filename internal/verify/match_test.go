package verify

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pacgan-appliance/internal/lab/labtest"
)

// Labels of the tests, by index.
const (
	ping = iota
	dns
	nx
	web
	reply
)

func testLabels() []Label {
	return []Label{
		{Name: "ping", Answer: AnswerICMPEcho},
		{Name: "dns", Answer: AnswerDNS},
		{Name: "nx", Answer: AnswerDNS, AcceptRcodes: []uint8{3}},
		{Name: "web", Answer: AnswerHTTP},
		{Name: "reply", Answer: AnswerReply},
	}
}

// What a TCX program returns.
const (
	pass  = 0xffffffff
	steal = 2
)

func mustOpen(tb testing.TB, o Options) *Verifier {
	tb.Helper()
	labtest.RequireRoot(tb)
	o.Interface = "lo"
	if o.Labels == nil {
		o.Labels = testLabels()
	}
	v, err := Open(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := v.Close(); err != nil {
			tb.Error(err)
		}
	})
	return v
}

// mustExpect writes an expectation that is age old.
func mustExpect(tb testing.TB, v *Verifier, key matchExpectKey, e matchExpectation, age time.Duration) {
	tb.Helper()
	e.FirstNs = uint64(kernelTime() - age)
	e.SentNs = e.FirstNs
	if err := v.match.Expectations.Put(key, e); err != nil {
		tb.Fatal(err)
	}
	if err := v.match.Awaited.Put(awaitedSlot(key), e.FirstNs); err != nil {
		tb.Fatal(err)
	}
	if key.Hash != 0 {
		if err := v.match.Hints.Put(hintSlot(key), key.Hash); err != nil {
			tb.Fatal(err)
		}
	}
}

func pending(label uint8) matchExpectation {
	return matchExpectation{State: 1, Label: label, Id: 0x12345}
}

// ends is what the tests compare of LabelCounts.
type ends struct {
	Answered, Expired, Inflight, Late, Duplicate, Stolen uint64
	Rejected                                             map[string]uint64
}

func mustEnds(tb testing.TB, v *Verifier, label int) ends {
	tb.Helper()
	counts, err := v.Counts()
	if err != nil {
		tb.Fatal(err)
	}
	c := counts[label]
	return ends{c.Answered, c.Expired, c.Inflight, c.Late, c.Duplicate, c.Stolen, c.Rejected}
}

// mustMatch runs the matcher on a frame.
func mustMatch(tb testing.TB, v *Verifier, frame []byte) uint32 {
	tb.Helper()
	action, out, err := v.match.Match.Test(frame)
	if err != nil {
		tb.Fatal(err)
	}
	if diff := cmp.Diff(frame, out); diff != "" {
		tb.Errorf("the matcher changed the frame (-want +got):\n%s", diff)
	}
	return action
}

// matchCase is one frame that meets one expectation.
type matchCase struct {
	name   string
	key    matchExpectKey
	expect matchExpectation
	age    time.Duration
	frame  []byte
	action uint32
	want   ends
}

// Short, so that tooLate is less than a virtual machine has been up for.
const (
	caseTimeout = 4 * time.Second
	tooLate     = 5 * time.Second
)

var (
	answered = ends{Answered: 1, Stolen: 1}
	missed   = ends{Inflight: 1}
)

func rejected(reason string) ends {
	return ends{Stolen: 1, Rejected: map[string]uint64{reason: 1}}
}

func runMatchCases(t *testing.T, cases []matchCase) {
	t.Helper()
	var told []Told
	v := mustOpen(t, Options{Timeout: caseTimeout, Tell: func(t []Told, _ time.Time) { told = append(told, t...) }})
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			before := mustEnds(t, v, int(tt.expect.Label))
			mustExpect(t, v, tt.key, tt.expect, tt.age)
			if action := mustMatch(t, v, tt.frame); action != tt.action {
				t.Errorf("action %#x, want %#x", action, tt.action)
			}
			got := since(mustEnds(t, v, int(tt.expect.Label)), before)
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("ends (-want +got):\n%s", diff)
			}
			told = nil
			if err := v.tell(time.Now()); err != nil {
				t.Fatal(err)
			}
			want := ends{Answered: got.Answered, Expired: got.Expired, Rejected: got.Rejected}
			if diff := cmp.Diff(want, toldEnds(t, told, tt.expect), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
			if err := v.match.Expectations.Delete(tt.key); err != nil {
				t.Error(err)
			}
		})
	}
}

// toldEnds counts what the programs told, all of which must be about e.
func toldEnds(tb testing.TB, told []Told, e matchExpectation) ends {
	tb.Helper()
	got := ends{Rejected: map[string]uint64{}}
	for _, t := range told {
		if t.ID != e.Id || t.Label != int(e.Label) {
			tb.Errorf("told %+v of the packet %#x of label %d", t, e.Id, e.Label)
		}
		switch {
		case t.Tiding == TidingExpired:
			got.Expired += uint64(t.N)
		case t.Tiding != TidingSettled || t.RTT <= 0:
			tb.Errorf("told %+v", t)
		case t.Reason == "":
			got.Answered++
		default:
			got.Rejected[t.Reason]++
		}
	}
	return got
}

// since is what has been counted between two readings.
func since(after, before ends) ends {
	d := ends{
		after.Answered - before.Answered, after.Expired - before.Expired, after.Inflight, after.Late - before.Late,
		after.Duplicate - before.Duplicate, after.Stolen - before.Stolen, map[string]uint64{},
	}
	for reason, n := range after.Rejected {
		if n > before.Rejected[reason] {
			d.Rejected[reason] = n - before.Rejected[reason]
		}
	}
	return d
}

func TestOpenErrors(t *testing.T) {
	labels := testLabels()
	tests := []struct {
		name    string
		options Options
		want    string
	}{
		{"no such interface", Options{Interface: "wan9", Labels: labels}, `verify: interface "wan9" does not exist: "ip link" lists those that do`},
		{"no labels", Options{Interface: "lo"}, `verify: 0 labels: 1 to 96 are possible`},
		{"timeout", Options{Interface: "lo", Labels: labels, Timeout: time.Hour}, `verify: timeout 1h0m0s: must be more than 0 and at most 1m0s`},
		{"answer", Options{Interface: "lo", Labels: []Label{{Name: "x", Answer: "yes"}}},
			`verify: label "x": answer "yes": must be icmp-echo, dns, http, reply or none`},
		{"rcode", Options{Interface: "lo", Labels: []Label{{Name: "x", Answer: AnswerDNS, AcceptRcodes: []uint8{16}}}},
			`verify: label "x": accepted RCODE 16: must be 0 to 15`},
		{"status", Options{Interface: "lo", Labels: []Label{{Name: "x", Answer: AnswerHTTP, AcceptStatus: []StatusRange{{200, 700}}}}},
			`verify: label "x": accepted statuses 200 to 700: must lie in 100 to 599`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := Open(tt.options)
			if err == nil {
				v.Close()
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}
