package inject_test

import (
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/lab/labtest"
)

// nameServer answers queries for the names it has with one address, and all
// others with NXDOMAIN.
type nameServer struct {
	names   map[string]bool
	queries atomic.Uint64
}

// startDNS serves on the servers' host until the test ends.
func startDNS(tb testing.TB, host *labtest.Host, names ...string) *nameServer {
	tb.Helper()
	s := &nameServer{names: map[string]bool{}}
	for _, name := range names {
		s.names[name+"."] = true
	}
	var conn net.PacketConn
	mustDo(tb, host, func() (err error) {
		conn, err = (&net.ListenConfig{Control: roomy}).ListenPacket(tb.Context(), "udp4", dnsServer+":53")
		return err
	})
	done := make(chan struct{})
	go s.serve(conn, done)
	tb.Cleanup(func() {
		mustClose(tb, conn)
		<-done
	})
	return s
}

// roomy has a socket hold all queries of a test: on a busy machine a server waits long for the processor.
func roomy(_, _ string, raw syscall.RawConn) (err error) {
	if e := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20) }); e != nil {
		return e
	}
	return err
}

func (s *nameServer) serve(conn net.PacketConn, done chan<- struct{}) {
	defer close(done)
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		s.queries.Add(1)
		if response, err := s.respond(buf[:n]); err == nil {
			conn.WriteTo(response, from)
		}
	}
}

func (s *nameServer) respond(query []byte) ([]byte, error) {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil { // as servers do: the header alone
		b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: h.ID, Response: true, RCode: dnsmessage.RCodeFormatError})
		return b.Finish()
	}
	known := s.names[q.Name.String()]
	header := dnsmessage.Header{ID: h.ID, Response: true, RecursionDesired: true, RecursionAvailable: true}
	if !known {
		header.RCode = dnsmessage.RCodeNameError
	}
	b := dnsmessage.NewBuilder(nil, header)
	b.EnableCompression()
	if err := errors.Join(b.StartQuestions(), b.Question(q), b.StartAnswers()); err != nil {
		return nil, err
	}
	if known {
		rh := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 60}
		if err := b.AResource(rh, dnsmessage.AResource{A: [4]byte{10, 77, 2, 81}}); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}

// startHTTP serves on the servers' host until the test ends.
func startHTTP(tb testing.TB, host *labtest.Host, handler http.Handler) {
	tb.Helper()
	var listener net.Listener
	mustDo(tb, host, func() (err error) {
		listener, err = net.Listen("tcp4", webServer+":80")
		return err
	})
	server := &http.Server{Handler: handler, ReadTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	tb.Cleanup(func() {
		mustClose(tb, server)
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			tb.Errorf("HTTP server: %v", err)
		}
	})
}

func mustDo(tb testing.TB, host *labtest.Host, f func() error) {
	tb.Helper()
	if err := host.Do(f); err != nil {
		tb.Fatal(err)
	}
}
