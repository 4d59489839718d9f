package inject_test

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/inject"
)

// TestMTUChanges: what the wire does not take any more is counted as such, and
// requests are cut for what it takes; as before once it takes more again.
func TestMTUChanges(t *testing.T) {
	n := newNetwork(t, networkOptions{})
	startHTTP(t, n.servers, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	long := mustPing(t, "10.77.1.11", pingServer, 1, 1, strings.Repeat("x", 1000))
	request := mustRequest(t, 30001, "GET /"+strings.Repeat("x", 1000)+" HTTP/1.1\r\nHost: a\r\n\r\n")
	send := func(p labelled) account {
		t.Helper()
		before := n.accounts(t)[p.label]
		got := n.inject(t, []labelled{p}, inject.RunOptions{})[p.label].since(before)
		got.Label, got.Generated = "", 0
		return got
	}
	answered := account{Answered: 1, OnWire: 1}
	for _, step := range []struct {
		mtu  string
		ping account
	}{
		{"1500", answered},
		{"600", account{Failed: map[string]uint64{inject.ReasonMTU: 1}}},
		{"1500", answered},
	} {
		mustRun(t, exec.Command("ip", "link", "set", "wan0", "mtu", step.mtu))
		mustRun(t, n.servers.Command("ip", "link", "set", n.servers.Cable.Far, "mtu", step.mtu))
		eventually(t, "the MTU is taken up", func() bool { return cmp.Equal(step.ping, send(long), emptyIsNil) })
		if diff := cmp.Diff(answered, send(request), emptyIsNil); diff != "" {
			t.Errorf("request at an MTU of %s (-want +got):\n%s", step.mtu, diff)
		}
	}
}
