package inject_test

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/inject"
	"pacgan-appliance/internal/lab/labtest"
	"pacgan-appliance/internal/packet"
	"pacgan-appliance/internal/verify"
)

// shape is a way for a gateway to be built. make gives the servers' host and
// what verifier and injector are opened with.
type shape struct {
	name   string
	make   func(tb testing.TB) (servers, clients *labtest.Host)
	verify verify.Options
	inject inject.Options
}

var serverCable = labtest.Cable{
	Near: "wan0", NearAddrs: []string{"10.77.2.1/24"}, Far: "srv0",
	FarAddrs: []string{dnsServer + "/24", pingServer + "/24", webServer + "/24"}, Via: "10.77.2.1",
}

var clientCable = labtest.Cable{
	Near: "lan0", NearAddrs: []string{"10.77.1.1/24"}, Far: "cli0",
	FarAddrs: []string{"10.77.1.11/24", "10.77.1.12/24"}, Via: "10.77.1.1",
}

func shapes() []shape {
	return []shape{
		{
			name:   "routed",
			make:   makeRouted,
			verify: verify.Options{Interface: "wan0"},
			inject: inject.Options{Wire: "wan0"},
		}, {
			name:   "masquerading",
			make:   makeMasquerading,
			verify: verify.Options{Interface: "lan0", Leaving: true},
			inject: inject.Options{Wire: "wan0", Behind: "lan0"},
		}, {
			name:   "one-armed",
			make:   makeOneArmed,
			verify: verify.Options{Interface: "wan0"},
			inject: inject.Options{Wire: "wan0", OwnSource: true},
		}, {
			name:   "VLAN",
			make:   makeVLAN,
			verify: verify.Options{Interface: "wan0.10"},
			inject: inject.Options{Wire: "wan0.10"},
		}, {
			name:   "behind a router",
			make:   makeDefaultRoute,
			verify: verify.Options{Interface: "wan0"},
			inject: inject.Options{Wire: "wan0"},
		},
	}
}

func makeRouted(tb testing.TB) (servers, clients *labtest.Host) {
	servers, clients = labtest.NewHost(tb, serverCable), labtest.NewHost(tb, clientCable)
	forward(tb)
	routedIPv6(tb, servers, clients, "wan0", "srv0")
	return servers, clients
}

// makeMasquerading is the gateway of a home: servers know nothing of clients.
func makeMasquerading(tb testing.TB) (servers, clients *labtest.Host) {
	cable := serverCable
	cable.Via = ""
	servers, clients = labtest.NewHost(tb, cable), labtest.NewHost(tb, clientCable)
	forward(tb)
	nft := exec.Command("nft", "-f", "-")
	nft.Stdin = strings.NewReader("add table inet nat\nadd chain inet nat post { type nat hook postrouting priority srcnat; }\nadd rule inet nat post oifname wan0 masquerade\n")
	mustRun(tb, nft)
	tb.Cleanup(func() { mustRun(tb, exec.Command("nft", "flush", "ruleset")) })
	routedIPv6(tb, servers, clients, "wan0", "srv0")
	mustRun(tb, servers.Command("ip", "-6", "route", "del", "default"))
	return servers, clients
}

// makeOneArmed has clients, servers and the appliance in one network, in which
// the servers answer clients directly.
func makeOneArmed(tb testing.TB) (servers, clients *labtest.Host) {
	cable := serverCable
	cable.Via = ""
	cable.FarAddrs = append(cable.FarAddrs[:len(cable.FarAddrs):len(cable.FarAddrs)], "10.77.1.11/32")
	servers = labtest.NewHost(tb, cable)
	withIPv6(tb, exec.Command, "wan0", "fd77:2::1/64")
	withIPv6(tb, servers.Command, "srv0", serverAddrs6...)
	return servers, nil
}

// makeVLAN has the servers behind a tagged interface.
func makeVLAN(tb testing.TB) (servers, clients *labtest.Host) {
	servers = labtest.NewHost(tb, labtest.Cable{Near: "wan0", Far: "srv0"})
	if out, err := exec.Command("ip", "link", "add", "link", "wan0", "name", "probe", "type", "vlan", "id", "9").CombinedOutput(); err != nil {
		tb.Skipf("this kernel has no VLAN interfaces (CONFIG_VLAN_8021Q); TestOldKernel has them: %s", out)
	}
	clients = labtest.NewHost(tb, clientCable)
	forward(tb)
	vlan := func(command func(string, ...string) *exec.Cmd, parent string, addrs ...string) {
		mustRun(tb, command("ip", "link", "add", "link", parent, "name", parent+".10", "type", "vlan", "id", "10"))
		for _, a := range addrs {
			mustRun(tb, command("ip", "addr", "add", a, "dev", parent+".10"))
		}
		mustRun(tb, command("ip", "link", "set", parent+".10", "up"))
	}
	vlan(exec.Command, "wan0", serverCable.NearAddrs...)
	vlan(servers.Command, "srv0", serverCable.FarAddrs...)
	mustRun(tb, servers.Command("ip", "route", "add", "default", "via", "10.77.2.1"))
	routedIPv6(tb, servers, clients, "wan0.10", "srv0.10")
	return servers, clients
}

// makeDefaultRoute has the servers two routers away; the first one's address
// needs ARP.
func makeDefaultRoute(tb testing.TB) (servers, clients *labtest.Host) {
	servers = labtest.NewHost(tb, labtest.Cable{
		Near: "wan0", NearAddrs: []string{"198.18.0.1/24"}, Far: "srv0", FarAddrs: []string{"198.18.0.2/24"}, Via: "198.18.0.1",
	})
	clients = labtest.NewHost(tb, clientCable)
	forward(tb)
	for _, a := range []string{dnsServer, pingServer, webServer} {
		mustRun(tb, servers.Command("ip", "addr", "add", a+"/32", "dev", "lo"))
	}
	mustRun(tb, exec.Command("ip", "route", "add", "default", "via", "198.18.0.2"))
	withIPv6(tb, exec.Command, "lan0", "fd77:1::1/64")
	withIPv6(tb, clients.Command, "cli0", "fd77:1::11/64")
	withIPv6(tb, exec.Command, "wan0", "fd98::1/64")
	withIPv6(tb, servers.Command, "lo", "fd77:2::53/128", "fd77:2::80/128", "fd77:2::81/128")
	withIPv6(tb, servers.Command, "srv0", "fd98::2/64")
	mustRun(tb, exec.Command("ip", "-6", "route", "add", "default", "via", "fd98::2"))
	mustRun(tb, servers.Command("ip", "-6", "route", "add", "default", "via", "fd98::1"))
	mustRun(tb, clients.Command("ip", "-6", "route", "add", "default", "via", "fd77:1::1"))
	return servers, clients
}

// newShape opens verifier and injector on a gateway of that shape.
func newShape(tb testing.TB, s shape, timeout time.Duration) *network {
	tb.Helper()
	labtest.RequireRoot(tb)
	n := &network{labels: defaultLabels()}
	n.servers, n.clients = s.make(tb)
	s.verify.Labels, s.verify.Timeout = n.labels, timeout
	s.inject.Timeout = timeout
	s.inject.Allow = []netip.Prefix{
		netip.MustParsePrefix(serverNet), netip.MustParsePrefix("10.77.9.0/24"), netip.MustParsePrefix("fd77:2::/64"),
	}
	n.open(tb, s.verify, s.inject)
	return n
}

// TestShapes: against the kernel's ping, unbound and nginx every packet that
// should be is answered, whatever the gateway looks like.
func TestShapes(t *testing.T) {
	for _, s := range shapes() {
		t.Run(s.name, func(t *testing.T) {
			n := newShape(t, s, time.Second)
			startSystemServers(t, n.servers, dnsServer, webServer, dnsServer6, webServer6)
			w := newWitness(t, s.inject.Wire)
			list := append(pings(t, 300, pingServer), mustPing(t, "10.77.1.11", "10.77.3.1", 1, 1, "outside"),
				mustPing6(t, "fd77:3::1", 1, 1, "outside"))
			for i := range 300 {
				name, path := "www.lab.test", "/"
				if i%3 == 0 {
					name, path = "gone.lab.test", "/missing"
				}
				id, port := uint16(i), uint16(20000+i)
				request := "GET " + path + " HTTP/1.1\r\nHost: www.lab.test\r\n\r\n"
				list = append(list, mustQuery(t, id, port, name), mustRequest(t, port, request),
					mustPing6(t, pingServer6, 7, id, "an echo request"), mustQuery6(t, id, port, name), mustRequest6(t, port, request))
			}
			got := n.inject(t, list, inject.RunOptions{Rate: 1000})
			want := []account{
				{Label: "ping", Generated: 602, Answered: 600, OnWire: 600, Blocked: 2},
				{Label: "dns", Generated: 600, Answered: 400, OnWire: 600, Rejected: map[string]uint64{"nxdomain": 200}},
				{Label: "http", Generated: 600, Answered: 400, OnWire: 600, Rejected: map[string]uint64{"http 404": 200}},
			}
			if diff := cmp.Diff(want, got[:reply], emptyIsNil); diff != "" {
				t.Errorf("accounts (-want +got):\n%s", diff)
			}
			s.check(t, n, w.frames(t, true))
			n.checkNoConnectionIsLeft(t)
			n.checkClient(t)
		})
	}
}

// check looks at the sources of what left.
func (s shape) check(tb testing.TB, n *network, frames [][]byte) {
	tb.Helper()
	want := map[string]int{"10.77.1.11": 0, "fd77:1::11": 0}
	if s.inject.OwnSource || s.inject.Behind != "" {
		want = map[string]int{"10.77.2.1": 0, "fd77:2::1": 0}
	}
	for _, f := range frames {
		ip, err := packet.IPOf(f)
		if err != nil {
			tb.Fatalf("%v: %x", err, f)
		}
		source := packet.IP(ip).Src().String()
		if _, known := want[source]; !known {
			tb.Fatalf("a frame left with source %s, want %v: %x", source, want, f)
		}
		want[source]++
	}
	for source, n := range want {
		if n < 900 {
			tb.Errorf("%d frames left from %s, want 900 at least", n, source)
		}
	}
	counts, err := n.injector.Counts()
	if err != nil {
		tb.Fatal(err)
	}
	var readdressed uint64
	if s.inject.OwnSource {
		readdressed = 602
	}
	if got := counts[ping].Readdressed; got != readdressed {
		tb.Errorf("%d pings counted as readdressed, want %d", got, readdressed)
	}
}

// checkClient: a client of the gateway is served as before.
func (n *network) checkClient(tb testing.TB) {
	tb.Helper()
	if n.clients == nil {
		return
	}
	n.mustSay(tb, "3 received", "ping", "-n", "-c", "3", "-i", "0.05", "-W", "5", "-I", "10.77.1.11", pingServer)
	n.mustSay(tb, "10.77.2.81", "dig", "+short", "+timeout=5", "-b", "10.77.1.11", "@"+dnsServer, "www.lab.test")
	n.mustSay(tb, siteText, "curl", "-sS", "--max-time", "10", "--interface", "10.77.1.11", fmt.Sprintf("http://%s/", webServer))
	n.mustSay(tb, "3 received", "ping", "-n", "-c", "3", "-i", "0.05", "-W", "5", "-I", "fd77:1::11", pingServer6)
	n.mustSay(tb, "fd77:2::81", "dig", "+short", "+timeout=5", "-b", "fd77:1::11", "@"+dnsServer6, "www.lab.test", "AAAA")
	n.mustSay(tb, siteText, "curl", "-sS", "--max-time", "10", "--interface", "fd77:1::11", fmt.Sprintf("http://[%s]/", webServer6))
}

// TestMasqueradeTellsWhy: what the kernel says of packets that it could not
// forward is heard. It gives ARP three seconds.
func TestMasqueradeTellsWhy(t *testing.T) {
	n := newShape(t, shapes()[1], 30*time.Second)
	lost := mustPing(t, "10.77.1.11", nobody, 1, 1, "abc")
	noRoute := mustPing(t, "10.77.1.11", "10.77.9.1", 1, 1, "abc")
	got := n.inject(t, []labelled{lost, noRoute, mustDatagram(t, pingServer, 9, "x")}, inject.RunOptions{})
	want := []account{
		{Label: "ping", Generated: 2, OnWire: 1, Rejected: map[string]uint64{"icmp host-unreachable": 1}, Failed: map[string]uint64{inject.ReasonNoRoute: 1}},
		{Label: "reply", Generated: 1, OnWire: 1, Rejected: map[string]uint64{"icmp port-unreachable": 1}},
	}
	if diff := cmp.Diff(want, []account{got[ping], got[reply]}, emptyIsNil); diff != "" {
		t.Errorf("accounts (-want +got):\n%s", diff)
	}
}
