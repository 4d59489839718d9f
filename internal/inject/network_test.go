package inject_test

import (
	"context"
	"io"
	"net/netip"
	"testing"
	"time"

	"pacgan-appliance/internal/inject"
	"pacgan-appliance/internal/lab/labtest"
	"pacgan-appliance/internal/verify"
)

// The test network: the gateway (the test's own namespace) between a client's
// cable, lan0, and the servers', wan0.
const (
	clientNet  = "10.77.1.0/24"
	serverNet  = "10.77.2.0/24"
	pingServer = "10.77.2.80"
	dnsServer  = "10.77.2.53"
	webServer  = "10.77.2.81"
	nobody     = "10.77.2.99" // in the servers' prefix, but nobody has it
)

// network is a gateway with verifier and injector open, and hosts on both sides.
type network struct {
	servers  *labtest.Host
	clients  *labtest.Host
	verifier *verify.Verifier
	injector *inject.Injector
	scribe   *scribe // nil: unrecorded
	closed   bool    // by the test: there are no counts to compare the records with
	labels   []verify.Label

	unrecorded bool
}

// options of newNetwork, for the tests that need others.
type networkOptions struct {
	allow, named  []netip.Prefix
	timeout       time.Duration
	expectations  int
	conversations int
	labels        []verify.Label
	engine        inject.Engine
	unrecorded    bool // nobody listens to what becomes of each packet
	asShipped     bool // EngineXDP leaves few frames to the packet socket: else all go live, for the tests' sake
}

func defaultLabels() []verify.Label {
	return []verify.Label{
		{Name: "ping", Answer: verify.AnswerICMPEcho},
		{Name: "dns", Answer: verify.AnswerDNS},
		{Name: "http", Answer: verify.AnswerHTTP},
		{Name: "reply", Answer: verify.AnswerReply},
		{Name: "none", Answer: verify.AnswerNone},
	}
}

const (
	ping = iota
	dns
	web
	reply
	none
)

func newNetwork(tb testing.TB, o networkOptions) *network {
	tb.Helper()
	labtest.RequireRoot(tb)
	if o.allow == nil {
		o.allow = []netip.Prefix{netip.MustParsePrefix(serverNet)}
	}
	if o.timeout == 0 {
		o.timeout = 20 * time.Second // so that a busy machine's servers answer in time
	}
	if o.labels == nil {
		o.labels = defaultLabels()
	}
	n := &network{labels: o.labels, unrecorded: o.unrecorded}
	n.servers, n.clients = makeRouted(tb)
	n.open(tb, verify.Options{Interface: "wan0", Labels: o.labels, Timeout: o.timeout, Expectations: o.expectations},
		inject.Options{Wire: "wan0", Allow: o.allow, Named: o.named, Timeout: o.timeout, Conversations: o.conversations, Engine: o.engine})
	if o.engine == inject.EngineXDP && !o.asShipped {
		inject.SendAllLive(tb, n.injector)
	}
	return n
}

// open opens verifier and injector with the network's labels.
func (n *network) open(tb testing.TB, v verify.Options, in inject.Options) {
	tb.Helper()
	var err error
	if !n.unrecorded {
		n.scribe = newScribe(tb, v.Timeout, n.labels)
		v.Tell, in.Recorder = n.scribe.Tell, n.scribe
	}
	if n.verifier, err = verify.Open(v); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { mustClose(tb, n.verifier) })
	if n.scribe != nil {
		n.scribe.Untold = n.verifier.Untold
	}
	in.Maps = inject.Maps(n.verifier.Maps())
	for _, l := range n.labels {
		in.Labels = append(in.Labels, inject.Label{Name: l.Name, Expects: l.Answer != verify.AnswerNone})
	}
	if n.injector, err = inject.Open(in); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { mustClose(tb, n.injector) })
	n.run(tb)
}

// run keeps the verifier going until the test ends.
func (n *network) run(tb testing.TB) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- n.verifier.Run(ctx, func(s verify.Segment) { n.injector.Deliver(inject.Segment(s)) })
	}()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("verifier: %v", err)
		}
		if !n.closed && n.scribe != nil {
			sent, err := n.injector.Counts()
			if err != nil {
				tb.Fatal(err)
			}
			n.scribe.check(tb, sent, n.peek(tb))
		}
	})
}

func mustClose(tb testing.TB, c io.Closer) {
	tb.Helper()
	if err := c.Close(); err != nil {
		tb.Error(err)
	}
}

// labelled is one generated packet.
type labelled struct {
	label int
	ip    []byte
}

// packets is a Source over a list.
type packets struct {
	list []labelled
	next int
}

func (p *packets) Next() (inject.Packet, error) {
	if p.next == len(p.list) {
		return inject.Packet{}, io.EOF
	}
	l := p.list[p.next]
	p.next++
	return inject.Packet{Label: l.label, IP: l.ip, Tag: uint64(p.next - 1)}, nil
}

// inject sends the packets and waits until none is inflight.
func (n *network) inject(tb testing.TB, list []labelled, o inject.RunOptions) []account {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := n.injector.Run(ctx, &packets{list: list}, o); err != nil {
		tb.Fatal(err)
	}
	return n.settled(tb)
}

// settled waits until nothing is inflight and returns the accounts, whose
// identity it checks.
func (n *network) settled(tb testing.TB) []account {
	tb.Helper()
	eventually(tb, "nothing is inflight", func() bool {
		var inflight uint64
		for _, a := range n.peek(tb) {
			inflight += a.Inflight
		}
		return inflight == 0
	})
	return n.accounts(tb)
}
