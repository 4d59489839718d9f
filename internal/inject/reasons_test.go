package inject_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/inject"
)

// TestReasonsOfRealServers: what unbound, nginx and a router say is given as
// the reason, in words that a person can act on.
func TestReasonsOfRealServers(t *testing.T) {
	n := newNetwork(t, networkOptions{timeout: 2 * time.Second, allow: []netip.Prefix{netip.MustParsePrefix("10.77.0.0/16")}, named: []netip.Prefix{netip.MustParsePrefix("10.77.1.0/24")}})
	startSystemServers(t, n.servers, dnsServer, webServer)
	// The servers' host is a router, too, for networks that it cannot reach.
	mustRun(t, n.servers.Command("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward && echo 0 >/proc/sys/net/ipv4/icmp_ratelimit"))
	for _, route := range []string{"unreachable 10.77.8.0/24", "prohibit 10.77.9.0/24", "10.77.10.0/24 via 10.77.2.1"} {
		mustRun(t, n.servers.Command("sh", "-c", "ip route add "+route))
	}
	mustRun(t, gatewayCommand("ip", "route", "add", "10.77.8.0/22", "via", pingServer))
	stranger := mustQuery(t, 3, 20003, "www.lab.test")
	stranger.ip[15] = 12
	short := mustPing(t, "10.77.1.11", "10.77.10.1", 1, 3, "x")
	short.ip[8] = 1 // TTL
	beyond := mustRequest(t, 20007, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	copy(beyond.ip[16:20], []byte{10, 77, 8, 1})
	tests := []struct {
		name string
		p    labelled
		want map[string]uint64 // nil: answered
	}{
		{"known name", mustQuery(t, 1, 20001, "www.lab.test"), nil},
		{"unknown name", mustQuery(t, 2, 20002, "gone.lab.test"), map[string]uint64{"nxdomain": 1}},
		{"client that may not ask", stranger, map[string]uint64{"refused": 1}},
		{"more than an answer holds", mustQuery(t, 4, 20004, "many.lab.test"), map[string]uint64{"truncated reply": 1}},
		{"no page there", mustRequest(t, 20005, "GET /missing HTTP/1.1\r\nHost: a\r\n\r\n"), map[string]uint64{"http 404": 1}},
		{"no request", mustRequest(t, 20006, "hello\r\n\r\n"), map[string]uint64{"http 400": 1}},
		{"no host behind the router", mustPing(t, "10.77.1.11", "10.77.8.1", 1, 1, "x"), map[string]uint64{"icmp host-unreachable": 1}},
		{"a conversation with it", beyond, map[string]uint64{"icmp host-unreachable": 1}},
		{"network that the router keeps", mustPing(t, "10.77.1.11", "10.77.9.1", 1, 2, "x"), map[string]uint64{"icmp prohibited": 1}},
		{"too many hops", short, map[string]uint64{"icmp ttl-exceeded": 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := n.accounts(t)[tt.p.label]
			got := n.inject(t, []labelled{tt.p}, inject.RunOptions{})[tt.p.label].since(before)
			want := account{Label: got.Label, Generated: 1, OnWire: got.OnWire, Rejected: tt.want}
			if tt.want == nil {
				want.Answered = 1
			}
			if diff := cmp.Diff(want, got, emptyIsNil); diff != "" {
				t.Errorf("account (-want +got):\n%s", diff)
			}
		})
	}
}
