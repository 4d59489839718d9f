package inject_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/inject"
)

// TestNextHop sends to a network behind a router, whose address needs ARP,
// and follows the route when it changes.
func TestNextHop(t *testing.T) {
	const far = "198.18.0.1"
	n := newNetwork(t, networkOptions{allow: []netip.Prefix{netip.MustParsePrefix("198.18.0.0/15")}})
	mustRun(t, n.servers.Command("ip", "addr", "add", far+"/32", "dev", "lo"))
	one := func() []labelled { return []labelled{mustPing(t, "10.77.1.11", far, 1, 1, "abc")} }
	steps := []struct {
		name string
		ip   []string // arguments of ip(8), in the gateway
		want account
	}{
		{"no route", nil, account{Failed: map[string]uint64{inject.ReasonNoRoute: 1}}},
		{"through a router", []string{"route", "add", "198.18.0.0/15", "via", dnsServer}, account{Answered: 1, OnWire: 1}},
		{"through nobody", []string{"route", "replace", "198.18.0.0/15", "via", nobody}, account{Failed: map[string]uint64{inject.ReasonARP: 1}}},
		{"through another interface", []string{"route", "replace", "198.18.0.0/15", "via", "10.77.1.11"}, account{Failed: map[string]uint64{inject.ReasonNoRoute: 1}}},
		{"unreachable", []string{"route", "replace", "unreachable", "198.18.0.0/15"}, account{Failed: map[string]uint64{inject.ReasonNoRoute: 1}}},
		{"through the router again", []string{"route", "replace", "198.18.0.0/15", "via", dnsServer}, account{Answered: 1, OnWire: 1}},
		{"wire down", []string{"link", "set", "wan0", "down"}, account{Failed: map[string]uint64{inject.ReasonNoRoute: 1}}},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			if step.ip != nil {
				mustRun(t, gatewayCommand("ip", step.ip...))
			}
			before := n.accounts(t)[ping]
			step.want.Generated, step.want.Label = 1, "ping"
			var got account
			eventually(t, "the resolver has heard of the change", func() bool {
				before = n.accounts(t)[ping]
				got = n.inject(t, one(), inject.RunOptions{})[ping].since(before)
				return cmp.Equal(step.want, got, emptyIsNil)
			})
		})
	}
}

// TestNeighbourMoves: the address of a next hop changes its card.
func TestNeighbourMoves(t *testing.T) {
	n := newNetwork(t, networkOptions{})
	if got := n.inject(t, pings(t, 1, pingServer), inject.RunOptions{})[ping]; got.Answered != 1 {
		t.Fatalf("before: %+v", got)
	}
	mustRun(t, n.servers.Command("ip", "link", "set", "srv0", "address", "02:00:00:00:77:77"))
	mustRun(t, gatewayCommand("ip", "neigh", "replace", pingServer, "lladdr", "02:00:00:00:77:77", "dev", "wan0"))
	eventually(t, "pings are answered again", func() bool {
		before := n.accounts(t)[ping].Answered
		return n.inject(t, pings(t, 1, pingServer), inject.RunOptions{})[ping].Answered == before+1
	})
}

// TestPermanentNeighbourStays: what somebody wrote into the neighbour table is
// used, and stays there as it is.
func TestPermanentNeighbourStays(t *testing.T) {
	n := newNetwork(t, networkOptions{timeout: 200 * time.Millisecond})
	mac := n.servers.MAC(t).String()
	mustRun(t, gatewayCommand("ip", "neigh", "replace", nobody, "lladdr", mac, "dev", "wan0", "nud", "permanent"))
	got := n.inject(t, pings(t, 100, nobody), inject.RunOptions{})[ping]
	if got.OnWire != 100 {
		t.Errorf("%d of 100 on the wire: %+v", got.OnWire, got)
	}
	out, err := gatewayCommand("ip", "neigh", "show", nobody, "dev", "wan0").Output()
	if err != nil || !strings.Contains(string(out), mac+" PERMANENT") {
		t.Errorf("the entry is now %q (%v)", out, err)
	}
}
