package plan_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pacgan-appliance/internal/lab/plan"
)

func TestTablesAreLargeEnough(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want int
	}{
		{"clients", len(plan.Clients()), 8},
		{"resolvers", len(plan.Resolvers()), 2},
		{"sites", len(plan.Sites()), 8},
		{"paths", len(plan.Paths()), 4},
		{"pinged addresses", len(plan.PingTargets()), 8},
		{"short names", plan.ShortNames, 24},
		{"names", len(plan.Names()), 100},
	} {
		if c.got < c.want {
			t.Errorf("%s: %d, want at least %d", c.name, c.got, c.want)
		}
	}
}

func TestNamesAreUniqueAndPointIntoTheServers(t *testing.T) {
	servers := plan.Servers()
	seen := map[string]bool{}
	for _, n := range append(plan.Names(), plan.Blocked()...) {
		if seen[n.Host] {
			t.Errorf("%s stands twice", n.Host)
		}
		seen[n.Host] = true
		for _, a := range n.Addrs {
			if !slices.Contains(servers.Hosts, a) {
				t.Errorf("%s: %s is no server", n.Host, a)
			}
		}
	}
	for _, s := range plan.Sites() {
		if !slices.ContainsFunc(plan.Names()[:plan.ShortNames], func(n plan.Name) bool { return n.Host == s.Host }) {
			t.Errorf("site %s has no name in the short table", s.Host)
		}
	}
}

func TestEveryGetFitsThePapersPacket(t *testing.T) {
	const ipAndTCP = 40
	for _, s := range plan.Sites() {
		for _, p := range plan.Paths() {
			request := "GET " + p + " HTTP/1.1\r\nHost: " + s.Host + "\r\n\r\n"
			if n := ipAndTCP + len(request); n > 98 {
				t.Errorf("GET http://%s%s: %d bytes of IP packet, want at most 98", s.Host, p, n)
			}
		}
	}
}

func TestAddressesArePrivateAndApart(t *testing.T) {
	private := netip.MustParsePrefix("10.0.0.0/8")
	seen := map[netip.Addr]bool{}
	for _, side := range []plan.Side{plan.LAN(), plan.Servers()} {
		for _, a := range append([]netip.Addr{side.Gateway}, side.Hosts...) {
			if seen[a] || !side.Network.Contains(a) || !private.Contains(a) {
				t.Errorf("address %s: twice, outside %s or not private", a, side.Network)
			}
			seen[a] = true
		}
	}
}

func TestTestersHaveANetworkOfTheirOwn(t *testing.T) {
	for _, a := range plan.LAN().Hosts {
		if tester := slices.Contains(plan.Testers(), a); plan.TestersNetwork().Contains(a) != tester {
			t.Errorf("%s: tester %t, but in %s %t", a, tester, plan.TestersNetwork(), !tester)
		}
	}
}

func TestOnlyBlockedNamesAreInTheBlockedZone(t *testing.T) {
	for _, n := range plan.Names() {
		if strings.HasSuffix(n.Host, plan.BlockedZone) {
			t.Errorf("%s is an ordinary name", n.Host)
		}
	}
	for _, n := range plan.Blocked() {
		if !strings.HasSuffix(n.Host, "."+plan.BlockedZone) {
			t.Errorf("%s is blocked, but not in %s", n.Host, plan.BlockedZone)
		}
	}
}
