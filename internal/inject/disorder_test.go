package inject_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/inject"
	"pacgan-appliance/internal/lab/labtest"
	"pacgan-appliance/internal/verify"
)

// relay carries frames from one interface to another as a bad network does: of IPv4's some are lost, come twice, or
// after later ones. ARP passes.
type relay struct {
	from, to                *witness // their sockets serve as well
	rng                     *rand.Rand
	held                    []byte
	lost, repeated, swapped int
}

// relayTick is how long a frame is held back where none follows.
const relayTick = 5 * time.Millisecond

// startRelay joins two interfaces until the test ends, and returns both directions.
func startRelay(tb testing.TB, a, b string) [2]*relay {
	tb.Helper()
	ends := [2]*witness{newWitness(tb, a), newWitness(tb, b)}
	timeout := unix.NsecToTimeval(int64(relayTick))
	for _, w := range ends {
		for _, err := range []error{
			unix.SetNonblock(w.fd, false),
			unix.SetsockoptInt(w.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
			unix.SetsockoptTimeval(w.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout),
		} {
			if err != nil {
				tb.Fatal(err)
			}
		}
	}
	both := [2]*relay{
		{from: ends[0], to: ends[1], rng: rand.New(rand.NewPCG(1, 1))},
		{from: ends[1], to: ends[0], rng: rand.New(rand.NewPCG(2, 1))},
	}
	stop, done := make(chan struct{}), make(chan error, len(both))
	for _, r := range both {
		go func() { done <- r.run(stop) }()
	}
	tb.Cleanup(func() {
		close(stop)
		for range both {
			if err := <-done; err != nil {
				tb.Errorf("relay: %v", err)
			}
		}
	})
	return both
}

func (r *relay) run(stop <-chan struct{}) error {
	buf := make([]byte, 65536)
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		n, _, err := unix.Recvfrom(r.from.fd, buf, 0)
		switch {
		case err == unix.EAGAIN || err == unix.EINTR:
			err = r.release()
		case err == nil:
			err = r.frame(buf[:n])
		}
		if err != nil {
			return err
		}
	}
}

// frame decides what becomes of a frame.
func (r *relay) frame(b []byte) error {
	chance := r.rng.IntN(100)
	switch {
	case !isTraffic(b):
		return r.send(b)
	case chance < 2:
		r.lost++
		return nil
	case chance < 6:
		r.repeated++
		if err := r.send(b); err != nil {
			return err
		}
	case chance < 14 && r.held == nil:
		r.swapped++
		r.held = append([]byte{}, b...)
		return nil
	}
	if err := r.send(b); err != nil {
		return err
	}
	return r.release()
}

func (r *relay) release() error {
	if r.held == nil {
		return nil
	}
	b := r.held
	r.held = nil
	return r.send(b)
}

func (r *relay) send(b []byte) error { return unix.Send(r.to.fd, b, 0) }

// TestDisorder: over a network that loses, repeats and swaps, every verdict is what the server's response deserves, or
// there is none in time.
func TestDisorder(t *testing.T) {
	if testing.Short() {
		t.Skip("long: runs without the race detector")
	}
	labtest.RequireRoot(t)
	cable := serverCable
	cable.Near, cable.NearAddrs = "mid0", nil
	servers := labtest.NewHost(t, cable)
	clients := labtest.NewHost(t, clientCable)
	labtest.NewCable(t, labtest.Cable{Near: "wan0", NearAddrs: serverCable.NearAddrs, Far: "mid1"})
	forward(t)
	relays := startRelay(t, "mid0", "mid1")
	labels := defaultLabels()
	labels[web].Contains = siteText
	n := &network{labels: labels, servers: servers, clients: clients}
	const timeout = 12 * time.Second // half a megabyte took 6 s, of which each loss is 0.2 s and more
	n.open(t, verify.Options{Interface: "wan0", Labels: labels, Timeout: timeout},
		inject.Options{Wire: "wan0", Allow: []netip.Prefix{netip.MustParsePrefix(serverNet)}, Timeout: timeout})
	startSystemServers(t, n.servers, webServer)
	const each = 50
	var list []labelled
	for i := range each {
		for j, path := range []string{"/", "/other", "/long", "/missing"} {
			list = append(list, mustRequest(t, uint16(20000+4*i+j), "GET "+path+" HTTP/1.1\r\nHost: www.lab.test\r\n\r\n"))
		}
	}
	got := n.inject(t, list, inject.RunOptions{Rate: 100})[web]
	most := map[string]uint64{"text missing": each, "http 404": each}
	for reason, n := range got.Rejected {
		if n > most[reason] {
			t.Errorf("%d packets rejected with %q, at most %d can be", n, reason, most[reason])
		}
	}
	if got.Answered > 2*each || got.Answered+sum(got.Rejected) < 3*each {
		t.Errorf("%d answered of %d that may be, %v rejected: %+v", got.Answered, 2*each, got.Rejected, got)
	}
	for _, r := range relays {
		if r.lost == 0 || r.repeated == 0 || r.swapped == 0 {
			t.Errorf("the network lost %d, repeated %d, swapped %d", r.lost, r.repeated, r.swapped)
		}
	}
}

// TestSlowResponse: a server that is silent in the middle of a response for longer than others take for all of it, and
// abandons it, as nginx does, where its client closes meanwhile.
func TestSlowResponse(t *testing.T) {
	labels := defaultLabels()
	labels[web].Contains = siteText
	n := newNetwork(t, networkOptions{labels: labels, timeout: 4 * time.Second})
	var listener net.Listener
	mustDo(t, n.servers, func() (err error) {
		listener, err = net.Listen("tcp4", webServer+":80")
		return err
	})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := strings.Repeat("half ", 500) + siteText
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		io.WriteString(w, body[:1000])
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done(): // the client has closed its side
			panic(http.ErrAbortHandler)
		case <-time.After(1500 * time.Millisecond):
		}
		io.WriteString(w, body[1000:])
	})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		mustClose(t, server)
		<-done
	})
	var list []labelled
	for i := range 10 {
		list = append(list, mustRequest(t, uint16(20000+i), "GET / HTTP/1.1\r\nHost: www.lab.test\r\n\r\n"))
	}
	got := n.inject(t, list, inject.RunOptions{Rate: 100})[web]
	if got.Answered != 10 {
		t.Errorf("%+v", got)
	}
}
