package inject_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pacgan-appliance/internal/inject"
)

// endless repeats packets, each time as others: pings with new payloads,
// queries with new ids, requests from new ports of the client's range.
type endless struct {
	list []labelled
	n    int
}

func (e *endless) Next() (inject.Packet, error) {
	p := e.list[e.n%len(e.list)]
	e.n++
	switch at := p.ip[20:]; p.label {
	case ping:
		binary.BigEndian.PutUint32(at[8:], uint32(e.n))
	case dns:
		binary.BigEndian.PutUint16(at[8:], uint16(e.n))
	case web:
		binary.BigEndian.PutUint16(at, uint16(32768+e.n%28000))
	}
	return inject.Packet{Label: p.label, IP: p.ip, Tag: uint64(e.n)}, nil
}

// TestClientIsUndisturbed: a client does its own ping, dig and curl while
// packets are injected under its address, from the ports that its kernel
// takes, too.
func TestClientIsUndisturbed(t *testing.T) {
	n := newNetwork(t, networkOptions{})
	startDNS(t, n.servers, "www.lab.test")
	startHTTP(t, n.servers, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "hello") }))
	ctx, cancel := context.WithCancel(t.Context())
	source := &endless{list: []labelled{
		mustPing(t, "10.77.1.11", pingServer, 1, 1, "12345678"),
		mustQuery(t, 1, 40000, "www.lab.test"),
		mustRequest(t, 40000, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
	}}
	done := make(chan error, 1)
	go func() {
		_, err := n.injector.Run(ctx, source, inject.RunOptions{Rate: 1500})
		done <- err
	}()
	eventually(t, "packets are answered", func() bool { return n.answered(t) > 100 })
	for i := range 50 {
		n.mustSay(t, "1 received", "ping", "-n", "-c", "1", "-W", "1", "-I", "10.77.1.11", pingServer)
		n.mustSay(t, "10.77.2.81", "dig", "+short", "+tries=1", "+timeout=1", "-b", "10.77.1.11", "@"+dnsServer, "www.lab.test")
		n.mustSay(t, "hello", "curl", "-sS", "--max-time", "1", "--interface", "10.77.1.11", fmt.Sprintf("http://%s/%d", webServer, i))
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for _, a := range n.settled(t)[:reply] {
		// The client may hold a flow that we take: then it keeps it.
		if a.Generated < 100 || a.success().Rate < 0.995 {
			t.Errorf("label %s: %+v", a.Label, a)
		}
	}
}

// answered is how many packets have been, of all labels.
func (n *network) answered(tb testing.TB) uint64 {
	tb.Helper()
	counts, err := n.verifier.Counts()
	if err != nil {
		tb.Fatal(err)
	}
	var sum uint64
	for _, c := range counts {
		sum += c.Answered
	}
	return sum
}

// mustSay runs a command on the clients' host, whose output must have want in it.
func (n *network) mustSay(tb testing.TB, want, name string, args ...string) {
	tb.Helper()
	start := time.Now()
	out, err := n.clients.Command(name, args...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), want) {
		tb.Errorf("%s %v, after %v: %v\n%s", name, args, time.Since(start).Round(time.Millisecond), err, out)
	}
}
