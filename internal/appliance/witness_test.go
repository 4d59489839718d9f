package appliance

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/lab"
)

// sighting is an IPv4 packet that left the WAN interface, whoever sent it.
type sighting struct {
	at    time.Time // as the kernel saw it
	to    netip.Addr
	reset bool // a TCP reset
}

// isReset tells a TCP segment with RST from other IPv4 packets.
func isReset(frame []byte) bool {
	flags := 14 + 4*int(frame[14]&15) + 13
	return frame[23] == unix.IPPROTO_TCP && flags < len(frame) && frame[flags]&4 != 0
}

// witness sees every frame on the WAN interface, by a socket of its own.
type witness struct {
	fd    int
	until atomic.Int64 // nanoseconds; 0: not ended yet
	seen  chan []sighting
	err   error
}

func mustWatchWire(t *testing.T) *witness {
	t.Helper()
	link, err := net.InterfaceByName(lab.GatewayWAN)
	must(t, err)
	const allFrames = 0x0300 // ETH_P_ALL in network order: only then outgoing ones are seen
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, allFrames)
	must(t, err)
	must(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1))
	must(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20))
	must(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000}))
	must(t, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: allFrames, Ifindex: link.Index}))
	w := &witness{fd: fd, seen: make(chan []sighting, 1)}
	go w.watch()
	return w
}

// watch reads until it has all that was there when it was ended.
func (w *witness) watch() {
	var seen []sighting
	defer func() { w.seen <- seen }()
	frame, control := make([]byte, 2048), make([]byte, 128)
	for {
		until := w.until.Load()
		n, oob, _, from, err := unix.Recvmsg(w.fd, frame, control, 0)
		switch {
		case errors.Is(err, unix.EAGAIN) && until != 0:
			return
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			w.err = err
			return
		}
		at := kernelTimeOf(control[:oob])
		if until != 0 && at.UnixNano() > until {
			return
		}
		link, ok := from.(*unix.SockaddrLinklayer)
		if ok && link.Pkttype == unix.PACKET_OUTGOING && n >= 34 && frame[12] == 8 && frame[13] == 0 {
			seen = append(seen, sighting{at, netip.AddrFrom4([4]byte(frame[30:34])), isReset(frame[:n])})
		}
	}
}

// kernelTimeOf reads SCM_TIMESTAMPNS.
func kernelTimeOf(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(messages) == 0 || len(messages[0].Data) < int(unsafe.Sizeof(unix.Timespec{})) {
		return time.Time{}
	}
	return time.Unix((*unix.Timespec)(unsafe.Pointer(&messages[0].Data[0])).Unix())
}

// mustHaveStopped ends it and wants it to have seen packets, none of them more than a second after all were told to pause.
func (w *witness) mustHaveStopped(t *testing.T, asked time.Time) {
	t.Helper()
	seen, late := w.stop(t), 0
	for _, s := range seen {
		if s.at.After(asked.Add(time.Second)) {
			late++
		}
	}
	if len(seen) == 0 || late > 0 {
		t.Errorf("%d of %d packets left more than a second after the hub told to pause", late, len(seen))
	}
}

// stop returns what was seen, after making sure that all was.
func (w *witness) stop(t *testing.T) []sighting {
	t.Helper()
	w.until.Store(time.Now().UnixNano())
	seen := <-w.seen
	must(t, w.err)
	stats, err := unix.GetsockoptTpacketStats(w.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	must(t, err)
	if stats.Drops > 0 {
		t.Fatalf("the witness missed %d frames", stats.Drops)
	}
	must(t, unix.Close(w.fd))
	return seen
}

// witnessSecond is what leaves within a second from now on.
func witnessSecond(t *testing.T) []sighting {
	t.Helper()
	w := mustWatchWire(t)
	wait(t.Context(), time.Second)
	return w.stop(t)
}

// mustKeepWithin fails where a packet for elsewhere was seen from a time on,
// or where none was seen at all.
func mustKeepWithin(t *testing.T, seen []sighting, from time.Time, within netip.Prefix) {
	t.Helper()
	before, inside := 0, 0
	for _, s := range seen {
		switch {
		case s.at.Before(from):
			before++
		case within.Contains(s.to):
			inside++
		default:
			t.Fatalf("a packet for %s was on the wire %v after the reply", s.to, s.at.Sub(from))
		}
	}
	if before == 0 || inside == 0 {
		t.Errorf("the witness saw %d packets before and %d after: too few to tell", before, inside)
	}
}
