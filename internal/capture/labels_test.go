package capture

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/lab/labtest"
)

// TestSetLabelsWhileFramesPass changes the labels all the time while frames
// come: each frame is handed over once, under a label that was in force.
func TestSetLabelsWhileFramesPass(t *testing.T) {
	host := labtest.NewHost(t, clients())
	mustListenUDP(t, "10.77.1.1")
	query := mustCompile(t, "udp dst port 53")
	both := []Label{{"dns", query}, {"ping", mustCompile(t, "icmp")}}
	c := mustOpen(t, Options{Interface: "lan0", Labels: both[:1]})
	sent := make(chan struct{})
	const queries = 4000
	go func() {
		defer close(sent)
		mustSendUDP(t, host, "10.77.1.1", queries, 100)
	}()
	changes := 0
	for more := true; more; changes++ {
		select {
		case <-sent:
			more = false
		default:
		}
		next := [][]Label{both[:1], {both[1], both[0]}, {{"query", query}}}[changes%3]
		if err := c.SetLabels(next); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]int{}
	for _, p := range mustRead(t, c, queries) {
		got[p.Label]++
	}
	if got["dns"]+got["query"] != queries || got["dns"] == 0 || len(got) > 2 {
		t.Errorf("%d changes while %d queries came; handed over: %v", changes, queries, got)
	}
	counters := mustCounters(t, c).Labels
	want := []LabelCounters{{Label: "dns", Labelled: uint64(got["dns"])}, {Label: "ping"}, {Label: "query", Labelled: uint64(got["query"])}}
	if diff := cmp.Diff(want[:len(counters)], counters); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
	if changes < 3 {
		t.Errorf("only %d changes: nothing is tested", changes)
	}
}

// TestSetLabelsErrors leaves the old labels in force.
func TestSetLabelsErrors(t *testing.T) {
	host := labtest.NewHost(t, clients())
	c := mustOpen(t, Options{Interface: "lan0", Labels: mustLabels(t, "udp dst port 53")})
	if err := c.SetLabels(nil); errorText(err) != "capture: 0 labels: 1 to 32 are possible" {
		t.Errorf("error %v", err)
	}
	ip := mustCompile(t, "ip6")
	var last error
	for i := 0; last == nil && i < 100; i++ { // another name each time
		last = c.SetLabels([]Label{{"l0", mustCompile(t, "udp dst port 53")}, {fmt.Sprintf("extra%d", i), ip}})
	}
	if want := "capture: 65 names of labels since the start: at most 64 are possible: restart"; errorText(last) != want {
		t.Errorf("error %v, want %s", last, want)
	}
	mustListenUDP(t, "10.77.1.1")
	mustSendUDP(t, host, "10.77.1.1", 10, 100)
	for _, p := range mustRead(t, c, 10) {
		if p.Label != "l0" {
			t.Errorf("label %q", p.Label)
		}
	}
}
