package server

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/lab/plan"
)

func TestTailCountsByStatusFromWhereItBegan(t *testing.T) {
	for _, c := range []struct {
		name   string
		status func(string) (string, bool)
		log    string
		want   map[string]int
	}{
		{"unbound", unboundStatus, `[1700000000] unbound[7:0] info: start of service (unbound 1.17.1).
[1700000000] unbound[7:0] reply: 10.77.1.11 www.shop.test. A IN NOERROR 0.000000 1 58
[1700000001] unbound[7:0] reply: 10.77.1.12 www.shop.test. AAAA IN NOERROR 0.000000 1 42
[1700000001] unbound[7:0] reply: 10.77.1.12 x.test. A IN NXDOMAIN 0.000000 1 24
[1700000001] unbound[7:0] reply: 10.77.1.12 cut
`, map[string]int{"NOERROR": 1, "NODATA": 1, "NXDOMAIN": 1}},
		{"nginx", nginxStatus, `{"time":"2026-01-01T00:00:00+00:00","host":"www.shop.test","path":"/","status":200}
{"time":"2026-01-01T00:00:00+00:00","host":"www.shop.test","path":"/x","status":404}
{"time":"2026-01-01T00:00:00+00:00","host":"","path":"","status":400}
{"time":"2026-01-01T00:00:00+00:00","host":"","path":"","status":499}
{"time":"2026-01-01T00:00:00+00:00","host":"","path":"","status":408}
{"time":"2026-01-
`, map[string]int{"200": 1, "404": 1, "400": 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := newTail(filepath.Join(t.TempDir(), "log"), c.status)
			mustTail(t, log, map[string]int{})
			if err := os.WriteFile(log.path, []byte(c.log), 0o644); err != nil {
				t.Fatal(err)
			}
			mustTail(t, log, c.want)
			if err := log.reset(); err != nil {
				t.Fatal(err)
			}
			mustTail(t, log, map[string]int{})
		})
	}
}

func mustTail(tb testing.TB, log *tail, want map[string]int) {
	tb.Helper()
	got, err := log.counts()
	if err != nil {
		tb.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestConfigsHoldThePlan(t *testing.T) {
	unbound, nginx := string(unboundConfig("/d", plan.Names())), string(nginxConfig("/d"))
	for _, n := range plan.Names() {
		for _, a := range n.Addrs {
			if line := `local-data: "` + n.Host + `. 300 IN A ` + a.String() + `"`; !strings.Contains(unbound, line) {
				t.Errorf("unbound.conf lacks %s", line)
			}
		}
	}
	for _, s := range plan.Sites() {
		if n := strings.Count(nginx, "listen "+s.Addr.String()+":80;\n\t\tserver_name "+s.Host+";"); n != 1 {
			t.Errorf("nginx.conf has %s at %s %d times, want once", s.Host, s.Addr, n)
		}
	}
}

func TestHasSocket(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 35024D0A:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 100 2
   1: 50024D0A:0050 0B014D0A:9C40 01 00000000:00000000 00:00000000 00000000     0        0 101 1
`
	for _, c := range []struct {
		addr string
		port uint16
		want bool
	}{
		{"10.77.2.53", 53, true},
		{"10.77.2.53", 54, false},
		{"10.77.2.54", 53, false},
		{"10.77.2.80", 80, false}, // connected, not listening
	} {
		if got := hasSocket([]byte(table), netip.MustParseAddr(c.addr), c.port); got != c.want {
			t.Errorf("%s port %d: %t, want %t", c.addr, c.port, got, c.want)
		}
	}
}

func TestParsePingCounts(t *testing.T) {
	const snmp = `Ip: Forwarding DefaultTTL
Ip: 1 64
Icmp: InMsgs InErrors InEchos OutMsgs OutEchoReps
Icmp: 9 0 5 4 3
IcmpMsg: InType8
`
	got, err := parsePingCounts(snmp)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"request": 5, "reply": 3}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "Icmp: InEchos\n", "Icmp: InEchos\nIcmp: many\n"} {
		if _, err := parsePingCounts(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
