package lab_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/lab"
)

// capture reads all frames of an interface until stopped.
type capture struct {
	fd      int
	stopped atomic.Bool
	frames  chan [][]byte
}

func mustCapture(tb testing.TB, name string) *capture {
	tb.Helper()
	iface, err := net.InterfaceByName(name)
	if err != nil {
		tb.Fatal(err)
	}
	const all = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8 // big endian
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { unix.Close(fd) })
	for _, err := range []error{
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000}),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: iface.Index}),
	} {
		if err != nil {
			tb.Fatal(err)
		}
	}
	c := &capture{fd: fd, frames: make(chan [][]byte, 1)}
	go c.read()
	return c
}

// read ends when stop was called and nothing has come for a time-out.
func (c *capture) read() {
	var frames [][]byte
	buf := make([]byte, 65536)
	for {
		n, _, err := unix.Recvfrom(c.fd, buf, 0)
		switch {
		case err == nil:
			frames = append(frames, bytes.Clone(buf[:n]))
		case errors.Is(err, unix.EAGAIN) && !c.stopped.Load(), errors.Is(err, unix.EINTR):
		default:
			c.frames <- frames
			return
		}
	}
}

func (c *capture) stop() [][]byte {
	c.stopped.Store(true)
	return <-c.frames
}

// seen is what the clients' requests look like on the gateway's LAN side.
type seen struct {
	Pings, Queries, EDNS, Gets, Timestamps, UserAgents int
	Longest                                            int // IP packet, bytes
	OtherProtocols                                     int
	BadChecksums                                       []string // the packets, for the reader of a failed test
}

func TestRequestsOnTheWire(t *testing.T) {
	const n = 60
	for _, c := range []struct {
		servers lab.Servers
		want    seen
	}{
		{lab.Embedded, seen{Pings: n, Queries: n, Gets: n}},
		{lab.System, seen{Pings: n, Queries: n, EDNS: n, Gets: n, Timestamps: n, UserAgents: n}},
	} {
		t.Run(string(c.servers), func(t *testing.T) {
			l := mustLab(t, lab.Options{Servers: c.servers, Seed: 5})
			wire := mustCapture(t, lab.GatewayLAN)
			mustTraffic(t, l, n)
			var got seen
			for _, frame := range wire.stop() {
				got.add(frame)
			}
			if most := map[lab.Servers]int{lab.Embedded: 98, lab.System: 160}[c.servers]; got.Longest > most {
				t.Errorf("the longest request is %d bytes of IP packet, want at most %d", got.Longest, most)
			}
			for _, bad := range got.BadChecksums {
				t.Log(bad)
			}
			got.Longest = 0
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func (s *seen) add(frame []byte) {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	if p.Layer(layers.LayerTypeARP) != nil {
		return
	}
	ip, ok := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	if !ok {
		s.OtherProtocols++
		return
	}
	if !checksumsAreRight(p, ip) {
		s.BadChecksums = append(s.BadChecksums, p.Dump())
	}
	if ip.SrcIP[2] != 1 { // an answer
		return
	}
	switch l := p.TransportLayer().(type) {
	case *layers.UDP:
		s.Queries++
		s.EDNS += int(binary.BigEndian.Uint16(l.Payload[10:])) // additional records
	case *layers.TCP:
		if !bytes.HasPrefix(l.Payload, []byte("GET ")) {
			return
		}
		s.Gets++
		for _, o := range l.Options {
			if o.OptionType == layers.TCPOptionKindTimestamps {
				s.Timestamps++
			}
		}
		s.UserAgents += bytes.Count(l.Payload, []byte("User-Agent: curl/"))
	default:
		if p.Layer(layers.LayerTypeICMPv4) == nil || len(ip.Payload) != 64 {
			s.OtherProtocols++
			return
		}
		s.Pings++
	}
	s.Longest = max(s.Longest, int(ip.Length))
}

// checksumsAreRight compares a packet with what gopacket makes of its layers.
func checksumsAreRight(p gopacket.Packet, ip *layers.IPv4) bool {
	again := []gopacket.SerializableLayer{ip}
	switch l := p.TransportLayer().(type) {
	case *layers.UDP:
		_ = l.SetNetworkLayerForChecksum(ip)
		again = append(again, l, gopacket.Payload(l.Payload))
	case *layers.TCP:
		_ = l.SetNetworkLayerForChecksum(ip)
		again = append(again, l, gopacket.Payload(l.Payload))
	default:
		icmp, ok := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
		if !ok {
			return false
		}
		again = append(again, icmp, gopacket.Payload(icmp.Payload))
	}
	buf := gopacket.NewSerializeBuffer()
	original := append(bytes.Clone(ip.Contents), ip.Payload...)
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{ComputeChecksums: true}, again...); err != nil {
		return false
	}
	// One segment in 65,536 sums up to zero, which Linux sends as all ones (CSUM_MANGLED_0): RFC 768 has it so for
	// UDP, and for TCP the two are the same number in ones' complement. gopacket writes the zero.
	l4 := buf.Bytes()[len(ip.Contents):]
	switch l := p.TransportLayer().(type) {
	case *layers.UDP:
		if l.Checksum == 0 {
			binary.BigEndian.PutUint16(l4[6:], 0xffff)
		}
	case *layers.TCP:
		if l.Checksum == 0 {
			binary.BigEndian.PutUint16(l4[16:], 0xffff)
		}
	}
	return bytes.Equal(buf.Bytes(), original)
}

// TestAllLabelsAtOnce has traffic of every label and a client of each beside it.
func TestAllLabelsAtOnce(t *testing.T) {
	const n = 500
	l := mustLab(t, lab.Options{Seed: 9})
	errs := make(chan error)
	for _, label := range lab.Labels() {
		go func() { errs <- l.Traffic(t.Context(), label, n, nil) }()
		go func() {
			ok, err := l.Client(t.Context(), label, n)
			if err == nil && ok != n {
				err = errors.New(label + ": a client went without an answer")
			}
			errs <- err
		}()
	}
	timeout := time.After(60 * time.Second)
	for range 2 * len(lab.Labels()) {
		select {
		case err := <-errs:
			if err != nil {
				t.Error(err)
			}
		case <-timeout:
			t.Fatal("still busy after 60 s")
		}
	}
	mustCounts(t, l, lab.Counts{
		"ping": {"request": 2 * n, "reply": 2 * n}, "dns": {"NOERROR": 2 * n}, "http": {"200": 2 * n},
	})
}
