package appliance

import (
	"bufio"
	"io"
	"math"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/packet"
)

// TestAnsweredAgreesWithServerLogs compares what the kernel programs counted
// with what the servers logged: nginx's access log, unbound's query log, the
// embedded servers' own, and the kernel's count of echo replies.
func TestAnsweredAgreesWithServerLogs(t *testing.T) {
	withoutRace(t)
	for _, tt := range []struct {
		servers lab.Servers
		packets int
	}{{lab.Embedded, 1000}, {lab.System, 1000}} {
		t.Run(string(tt.servers), func(t *testing.T) {
			r := mustRig(t, tt.servers, tt.packets)
			must(t, r.lab.ResetCounts(t.Context()))
			counts, _ := r.inject(t, tt.packets, nil)
			for i, c := range []struct{ label, status string }{{"ping", "reply"}, {"dns", "NOERROR"}, {"http", "200"}} {
				answered := int(counts[i].Answered)
				logged := 0
				agree := func() bool { // a server writes its log after its answer
					all, err := r.lab.Counts(t.Context())
					must(t, err)
					logged = all[c.label][c.status]
					return math.Abs(float64(logged-answered)) <= 0.005*float64(answered)
				}
				eventually(t, c.label+": counts and server log do not come to agree within 0.5 %", agree)
				t.Logf("%s: %d answered, %d in the servers' log, of %d", c.label, answered, logged, counts[i].Generated)
				if answered < tt.packets*8/10 {
					t.Errorf("%s: %d of %d answered: too few for the comparison to mean something", c.label, answered, tt.packets)
				}
			}
		})
	}
}

func TestStoppedServersAnswerNothing(t *testing.T) {
	r := mustRig(t, lab.Embedded, 300)
	must(t, r.lab.StopServers(t.Context()))
	counts, _ := r.inject(t, 200, nil)
	for i, c := range counts {
		if got := c.success().Rate; got != 0 {
			t.Errorf("%s: success rate %v of stopped servers", labelNames(r.cfg)[i], got)
		}
		if undelivered := c.Malformed + c.Blocked + c.Failed; c.Expired+undelivered != 200 || c.Expired < 190 {
			t.Errorf("%s: %d of 200 expired: %+v", labelNames(r.cfg)[i], c.Expired, c.Counts)
		}
	}
}

// TestRemovedNameIsRejected takes one name from the servers: exactly the
// queries for it turn to nxdomain.
func TestRemovedNameIsRejected(t *testing.T) {
	r := mustRig(t, lab.Embedded, 600)
	names := r.lab.Names()
	removed := names[len(names)/2]
	must(t, r.lab.RemoveName(t.Context(), removed))
	known := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == removed })
	counts, source := r.inject(t, 600, nil)

	asked, unknown := 0, 0
	for _, p := range source.kept[1] {
		name, ok := queryName(p)
		if !ok {
			continue
		}
		if name == removed {
			asked++
		}
		if !slices.Contains(known, name) {
			unknown++
		}
	}
	if asked == 0 {
		t.Fatalf("no query for %s among 600: the test proves nothing", removed)
	}
	if got := counts[1].Rejected["nxdomain"]; got != uint64(unknown) {
		t.Errorf("%d queries rejected as nxdomain, want %d, of which %d for %s", got, unknown, asked, removed)
	}
	if got := counts[1].Answered; got < 500 {
		t.Errorf("%d of the 600 queries answered: %+v", got, counts[1].Counts)
	}
}

// queryName is the name that a generated query asks for, without its last dot.
func queryName(ip []byte) (string, bool) {
	p, err := packet.ParseIP(ip)
	if err != nil {
		return "", false
	}
	var parser dnsmessage.Parser
	if _, err := parser.Start(p.L4Data()); err != nil {
		return "", false
	}
	q, err := parser.Question()
	if err != nil {
		return "", false
	}
	return strings.ToLower(strings.TrimSuffix(q.Name.String(), ".")), true
}

// TestForbiddenDestinationsNeverLeave allows a network in which no server is:
// every packet is blocked, and tcpdump on the wire sees none of them.
func TestForbiddenDestinationsNeverLeave(t *testing.T) {
	r := mustRig(t, lab.Embedded, 300)
	r.cfg.Safety.Allow = []netip.Prefix{netip.MustParsePrefix("10.77.3.0/24")}
	seen := mustWitness(t, lab.GatewayWAN, "ip and dst net 10.77.2.0/24")
	counts, _ := r.inject(t, 300, nil)
	for i, c := range counts {
		if c.Blocked+c.Malformed != 300 || c.OnWire != 0 {
			t.Errorf("%s: %d of 300 blocked, %d on the wire", labelNames(r.cfg)[i], c.Blocked, c.OnWire)
		}
	}
	// A client's ping ends the witness's report, and proves that it sees.
	if ok, err := r.lab.Client(t.Context(), "ping", 1); err != nil || ok != 1 {
		t.Fatalf("the client's own ping: %d answered, %v", ok, err)
	}
	first := <-seen
	if !strings.Contains(first, "ICMP echo request") {
		t.Errorf("tcpdump saw %q before the client's own ping", first)
	}
	for {
		select {
		case line := <-seen:
			t.Errorf("tcpdump saw %q beside the client's own ping", line)
			continue
		default:
		}
		break
	}
}

// mustWitness runs tcpdump on an interface and returns its lines, once it
// listens.
func mustWitness(t *testing.T, iface, filter string) <-chan string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "tcpdump", "-i", iface, "-nn", "-l", "--immediate-mode", filter)
	stderr, err := cmd.StderrPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		must(t, cmd.Process.Kill())
		_ = cmd.Wait() // killed
	})
	listening := bufio.NewScanner(stderr)
	for listening.Scan() && !strings.Contains(listening.Text(), "listening on") {
	}
	go func() { _, _ = io.Copy(io.Discard, stderr) }()
	lines := make(chan string, 4096)
	go func() {
		for s := bufio.NewScanner(stdout); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return lines
}

// TestClientsAreUndisturbed has ping, dig and curl work from the very
// addresses that packets are injected under, at the same time.
func TestClientsAreUndisturbed(t *testing.T) {
	r := mustRig(t, lab.System, 300)
	type outcome struct{ Made, OK int }
	want := map[string]outcome{"ping": {100, 100}, "dns": {40, 40}, "http": {40, 40}}
	got := map[string]outcome{}
	counts, _ := r.inject(t, 1500, func(*wire) {
		for label, w := range want {
			ok, err := r.lab.Client(t.Context(), label, w.Made)
			if err != nil {
				t.Errorf("%s: %v", label, err)
			}
			got[label] = outcome{w.Made, ok}
		}
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("clients while injecting (-want +got):\n%s", diff)
	}
	for i, c := range counts {
		if c.Answered < 750 { // learned from 300 packets each: how many is not this test's question
			t.Errorf("%s: %d of 1500 injected packets answered beside the clients' own", labelNames(r.cfg)[i], c.Answered)
		}
	}
}

// TestLabGoesOn: with --resume what an earlier run captured and trained is taken as it is.
func TestLabGoesOn(t *testing.T) {
	r := mustRig(t, lab.Embedded, 64)
	again := &labRun{p: r.p, o: r.o, state: r.state, cfg: r.cfg, store: r.store}
	again.o.resume = true
	must(t, again.capturePhase(t.Context())) // without a network of its own it could capture nothing
	must(t, again.trainPhase(t.Context()))
	if again.model != r.labRun.model || !cmp.Equal(again.train.Packets, r.train.Packets) {
		t.Errorf("model %s of %v, want %s of %v", again.model, again.train.Packets, r.labRun.model, r.train.Packets)
	}
}
