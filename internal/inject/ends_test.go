package inject_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"pacgan-appliance/internal/inject"
)

// mustDatagram is a UDP packet of label reply.
func mustDatagram(tb testing.TB, dst string, port uint16, data string) labelled {
	tb.Helper()
	return labelled{reply, mustPacket(tb, "10.77.1.11", dst, layers.IPProtocolUDP,
		&layers.UDP{SrcPort: 30000, DstPort: layers.UDPPort(port)}, gopacket.Payload(data))}
}

// mustSYN is a SYN of label reply.
func mustSYN(tb testing.TB, port, to uint16) labelled {
	tb.Helper()
	return labelled{reply, mustPacket(tb, "10.77.1.11", webServer, layers.IPProtocolTCP,
		&layers.TCP{SrcPort: layers.TCPPort(port), DstPort: layers.TCPPort(to), Seq: 7, SYN: true, Window: 1024})}
}

// TestEveryEnd sends one packet or a few to each end of the accounting that
// the network itself can bring about.
func TestEveryEnd(t *testing.T) {
	n := newNetwork(t, networkOptions{timeout: 400 * time.Millisecond})
	startHTTP(t, n.servers, http.NotFoundHandler())
	closedPort := mustRequest(t, 30001, "GET / HTTP/1.1\r\n\r\n")
	binary.BigEndian.PutUint16(closedPort.ip[22:], 81)
	malformed := mustPing(t, "10.77.1.11", pingServer, 1, 1, "abc")
	malformed.ip[3]++
	big := mustPing(t, "10.77.1.11", pingServer, 1, 1, string(make([]byte, 1473)))
	echoes := mustDatagram(t, pingServer, 7, "x")
	nothing := labelled{none, mustPing(t, "10.77.1.11", pingServer, 9, 9, "abc").ip}
	reset := mustSYN(t, 30002, 81)
	bareACK := labelled{reply, mustPacket(t, "10.77.1.11", webServer, layers.IPProtocolTCP,
		&layers.TCP{SrcPort: 30003, DstPort: 80, Seq: 7, Ack: 9, ACK: true})}
	fragment := mustPing(t, "10.77.1.11", pingServer, 1, 9, "abcdefgh")
	fragment.ip[6] = 0x20
	tests := []struct {
		name string
		p    labelled
		want account
	}{
		{"malformed", malformed, account{Malformed: 1}},
		{"no bytes", labelled{ping, nil}, account{Malformed: 1}},
		{"outside the allow-list", mustPing(t, "10.77.1.11", "10.77.1.12", 1, 1, "abc"), account{Blocked: 1}},
		{"own address", mustPing(t, "10.77.1.11", "10.77.2.1", 1, 1, "abc"), account{Blocked: 1}},
		{"broadcast", mustPing(t, "10.77.1.11", "10.77.2.255", 1, 1, "abc"), account{Blocked: 1}},
		{"nobody there", mustPing(t, "10.77.1.11", nobody, 1, 1, "abc"), account{Failed: map[string]uint64{inject.ReasonARP: 1}}},
		{"longer than the MTU", big, account{Failed: map[string]uint64{inject.ReasonMTU: 1}}},
		{"ping", mustPing(t, "10.77.1.11", pingServer, 1, 1, "abc"), account{Answered: 1, OnWire: 1}},
		{"nobody on the port", echoes, account{Rejected: map[string]uint64{"icmp port-unreachable": 1}, OnWire: 1}},
		{"nothing expected", nothing, account{Unasked: 1, OnWire: 1}},
		{"port closed", closedPort, account{Rejected: map[string]uint64{"rst": 1}}},
		{"SYN to a closed port", reset, account{Rejected: map[string]uint64{"rst": 1}, OnWire: 1}},
		{"SYN to an open port", mustSYN(t, 30004, 80), account{Answered: 1, OnWire: 1}},
		{"ACK out of nothing", bareACK, account{Rejected: map[string]uint64{"rst": 1}, OnWire: 1}},
		{"fragment", fragment, account{Expired: 1, OnWire: 1}},
		{"404", mustRequest(t, 30005, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), account{Rejected: map[string]uint64{"http 404": 1}, OnWire: 1}},
		{"garbage request", mustRequest(t, 30006, "\x00\x01\x02\r\n\r\n"), account{Rejected: map[string]uint64{"http 400": 1}, OnWire: 1}},
		{"unfinished request", mustRequest(t, 30007, "GET / HT"), account{Expired: 1, OnWire: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := n.accounts(t)[tt.p.label]
			got := n.inject(t, []labelled{tt.p}, inject.RunOptions{})[tt.p.label]
			tt.want.Generated, tt.want.Label = 1, got.Label
			if diff := cmp.Diff(tt.want, got.since(before), emptyIsNil); diff != "" {
				t.Errorf("account (-want +got):\n%s", diff)
			}
		})
	}
	n.checkNoConnectionIsLeft(t)
}

// since is what has been counted between two accounts.
func (a account) since(before account) account {
	minus := func(after, before map[string]uint64) map[string]uint64 {
		d := map[string]uint64{}
		for reason, n := range after {
			if n != before[reason] {
				d[reason] = n - before[reason]
			}
		}
		return d
	}
	return account{
		Label: a.Label, Generated: a.Generated - before.Generated, Malformed: a.Malformed - before.Malformed,
		Blocked: a.Blocked - before.Blocked, Failed: minus(a.Failed, before.Failed), Answered: a.Answered - before.Answered,
		Rejected: minus(a.Rejected, before.Rejected), Expired: a.Expired - before.Expired, Inflight: a.Inflight,
		Unasked: a.Unasked - before.Unasked, OnWire: a.OnWire - before.OnWire, Late: a.Late - before.Late, Duplicate: a.Duplicate - before.Duplicate,
	}
}

// checkNoConnectionIsLeft looks for connections that the servers still hold,
// other than in TIME-WAIT.
func (n *network) checkNoConnectionIsLeft(tb testing.TB) {
	tb.Helper()
	var out []byte
	eventually(tb, "the servers hold no connection", func() bool {
		var err error
		out, err = n.servers.Command("ss", "-Htn", "state", "connected", "exclude", "time-wait").Output()
		return err == nil && len(out) == 0
	})
}

// TestServersSilent: no reply comes back, everything expires.
func TestServersSilent(t *testing.T) {
	n := newNetwork(t, networkOptions{timeout: 300 * time.Millisecond})
	mustRun(t, n.servers.Command("ip", "route", "add", "blackhole", clientNet))
	list := pings(t, 200, pingServer)
	for i := range 200 {
		list = append(list, mustQuery(t, uint16(i), uint16(30000+i), "www.lab.test"),
			mustRequest(t, uint16(30000+i), "GET / HTTP/1.1\r\n\r\n"), mustDatagram(t, pingServer, uint16(i), "x"))
	}
	for _, a := range n.inject(t, list, inject.RunOptions{Rate: 2000})[:none] {
		if a.Expired != 200 || a.success().Rate != 0 {
			t.Errorf("label %s: %d of %d expired: %+v", a.Label, a.Expired, a.Generated, a)
		}
	}
}

func mustRun(tb testing.TB, c *exec.Cmd) {
	tb.Helper()
	if out, err := c.CombinedOutput(); err != nil {
		tb.Fatalf("%v: %v\n%s", c, err, out)
	}
}

// TestStoppedRun cancels a run with packets parked and conversations open.
func TestStoppedRun(t *testing.T) {
	n := newNetwork(t, networkOptions{timeout: 300 * time.Millisecond})
	for _, known := range []string{pingServer, webServer} { // only nobody's address is waited for
		mustRun(t, gatewayCommand("ping", "-n", "-c", "1", "-W", "5", known))
	}
	ctx, cancel := context.WithCancel(t.Context())
	list := []labelled{mustPing(t, "10.77.1.11", nobody, 1, 1, "abc")}
	for i := range 50 {
		list = append(list, mustRequest(t, uint16(30000+i%10), "GET / HTTP/1.1\r\n\r\n")) // five for each flow
	}
	list = append(list, pings(t, 1000, pingServer)...)
	source := &hooked{packets: packets{list: list}, at: 100, call: cancel}
	if _, err := n.injector.Run(ctx, source, inject.RunOptions{Rate: 10_000}); err != nil {
		t.Fatal(err)
	}
	if n.injector.Conversations() != 0 {
		t.Errorf("%d conversations are left", n.injector.Conversations())
	}
	accounts := n.settled(t)
	if got := accounts[ping].Failed[inject.ReasonStopped]; got != 1 {
		t.Errorf("%d pings stopped, want 1", got)
	}
	for _, a := range accounts {
		if a.Inflight != 0 {
			t.Errorf("label %s: %d inflight", a.Label, a.Inflight)
		}
	}
}

// gatewayCommand runs in the test's own namespace.
func gatewayCommand(name string, args ...string) *exec.Cmd { return exec.Command(name, args...) }

// TestCloseEndsARun, and both sides say afterwards that they are closed.
func TestCloseEndsARun(t *testing.T) {
	n := newNetwork(t, networkOptions{})
	source := &endless{list: pings(t, 1, pingServer)}
	done := make(chan error, 1)
	go func() {
		_, err := n.injector.Run(context.Background(), source, inject.RunOptions{Rate: 1000})
		done <- err
	}()
	eventually(t, "packets are answered", func() bool { return n.answered(t) > 10 })
	if _, err := n.injector.Run(t.Context(), source, inject.RunOptions{}); err == nil || err.Error() != "inject: a run is under way" {
		t.Errorf("second run: %v", err)
	}
	n.closed = true
	mustClose(t, n.injector)
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Errorf("the run that Close ended: %v", err)
	}
	if _, err := n.injector.Run(t.Context(), source, inject.RunOptions{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a run after Close: %v", err)
	}
	n.settledVerifier(t)
	mustClose(t, n.verifier)
	if _, err := n.verifier.Counts(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("counts after Close: %v", err)
	}
}

// settledVerifier waits until the matcher's side is at rest.
func (n *network) settledVerifier(tb testing.TB) {
	tb.Helper()
	eventually(tb, "nothing is inflight", func() bool {
		counts, err := n.verifier.Counts()
		return err == nil && counts[ping].Inflight == 0
	})
}
