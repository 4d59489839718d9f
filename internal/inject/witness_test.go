package inject_test

import (
	"bytes"
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/packet"
)

// witness sees every IP frame that an interface sends or receives.
type witness struct {
	fd int
}

func htons(v uint16) uint16 { return v>>8 | v<<8 }

func newWitness(tb testing.TB, name string) *witness {
	tb.Helper()
	wire, err := net.InterfaceByName(name)
	if err != nil {
		tb.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK, int(htons(unix.ETH_P_ALL)))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20); err != nil {
		tb.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: wire.Index}); err != nil {
		tb.Fatal(err)
	}
	return &witness{fd}
}

// frames are the frames of traffic seen so far that the interface sent (outgoing) or
// received.
func (w *witness) frames(tb testing.TB, outgoing bool) [][]byte {
	tb.Helper()
	var seen [][]byte
	buf := make([]byte, 65536)
	for {
		n, from, err := unix.Recvfrom(w.fd, buf, 0)
		if errors.Is(err, unix.EAGAIN) {
			return seen
		}
		if err != nil {
			tb.Fatal(err)
		}
		ll := from.(*unix.SockaddrLinklayer)
		if isTraffic(buf[:n]) && (ll.Pkttype == unix.PACKET_OUTGOING) == outgoing {
			seen = append(seen, bytes.Clone(buf[:n]))
		}
	}
}

// isTraffic tells IP packets from what the kernel says by itself: ARP, and
// IPv6's neighbour and multicast listener discovery.
func isTraffic(frame []byte) bool {
	ip, err := packet.IPOf(frame)
	if err != nil {
		return false
	}
	p, err := packet.ParseIP(ip)
	if err != nil || p.Protocol() != packet.ProtoICMPv6 {
		return true
	}
	kind := packet.ICMP(p.Payload()).Type()
	return kind < 130 || kind > 143 // RFC 4861, RFC 3810
}

// eventually polls until the condition holds.
func eventually(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("not after a minute: %s", what)
		}
	}
}
