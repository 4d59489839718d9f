package inject_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/inject"
	"pacgan-appliance/internal/lab/labtest"
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
	return servers, clients
}

// makeMasquerading is the gateway of a home: servers know nothing of clients.
func makeMasquerading(tb testing.TB) (servers, clients *labtest.Host) {
	cable := serverCable
	cable.Via = ""
	servers, clients = labtest.NewHost(tb, cable), labtest.NewHost(tb, clientCable)
	forward(tb)
	nft := exec.Command("nft", "-f", "-")
	nft.Stdin = strings.NewReader("add table ip nat\nadd chain ip nat post { type nat hook postrouting priority srcnat; }\nadd rule ip nat post oifname wan0 masquerade\n")
	mustRun(tb, nft)
	tb.Cleanup(func() { mustRun(tb, exec.Command("nft", "flush", "ruleset")) })
	return servers, clients
}

// makeOneArmed has clients, servers and the appliance in one network, in which
// the servers answer clients directly.
func makeOneArmed(tb testing.TB) (servers, clients *labtest.Host) {
	cable := serverCable
	cable.Via = ""
	cable.FarAddrs = append(cable.FarAddrs[:len(cable.FarAddrs):len(cable.FarAddrs)], "10.77.1.11/32")
	return labtest.NewHost(tb, cable), nil
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
	s.inject.Allow = []netip.Prefix{netip.MustParsePrefix(serverNet), netip.MustParsePrefix("10.77.9.0/24")}
	n.open(tb, s.verify, s.inject)
	return n
}

// TestShapes: against the kernel's ping, unbound and nginx every packet that
// should be is answered, whatever the gateway looks like.
func TestShapes(t *testing.T) {
	for _, s := range shapes() {
		t.Run(s.name, func(t *testing.T) {
			n := newShape(t, s, time.Second)
			startSystemServers(t, n.servers, dnsServer, webServer)
			w := newWitness(t, s.inject.Wire)
			list := pings(t, 300, pingServer)
			for i := range 300 {
				name, path := "www.lab.test", "/"
				if i%3 == 0 {
					name, path = "gone.lab.test", "/missing"
				}
				list = append(list, mustQuery(t, uint16(i), uint16(20000+i), name),
					mustRequest(t, uint16(20000+i), "GET "+path+" HTTP/1.1\r\nHost: www.lab.test\r\n\r\n"))
			}
			list = append(list, mustPing(t, "10.77.1.11", "10.77.3.1", 1, 1, "outside"))
			got := n.inject(t, list, inject.RunOptions{Rate: 1000})
			want := []account{
				{Label: "ping", Generated: 301, Answered: 300, OnWire: 300, Blocked: 1},
				{Label: "dns", Generated: 300, Answered: 200, OnWire: 300, Rejected: map[string]uint64{"nxdomain": 100}},
				{Label: "http", Generated: 300, Answered: 200, OnWire: 300, Rejected: map[string]uint64{"http 404": 100}},
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
	want := "10.77.1.11"
	if s.inject.OwnSource || s.inject.Behind != "" {
		want = "10.77.2.1"
	}
	for _, f := range frames {
		if len(f) < 34 || binary.BigEndian.Uint16(f[12:]) != unix.ETH_P_IP {
			continue // ARP
		}
		if source := netip.AddrFrom4([4]byte(f[26:30])); source.String() != want {
			tb.Fatalf("a frame left with source %s, want %s: %x", source, want, f)
		}
	}
	counts, err := n.injector.Counts()
	if err != nil {
		tb.Fatal(err)
	}
	var readdressed uint64
	if s.inject.OwnSource {
		readdressed = 301
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
