package capture

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/lab/labtest"
	"pacgan-appliance/internal/packet"
)

// deadline bounds every wait of these tests; none takes that long.
const deadline = 20 * time.Second

func clients() labtest.Cable {
	return labtest.Cable{Near: "lan0", NearAddrs: []string{"10.77.1.1/24"},
		Far: "cli0", FarAddrs: []string{"10.77.1.2/24"}, Via: "10.77.1.1"}
}

func mustOpen(tb testing.TB, o Options) *Capture {
	tb.Helper()
	c, err := Open(o)
	if err != nil {
		tb.Fatalf("Open: %+v", err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

// mustRead runs the capture until n packets came, and returns copies of them.
func mustRead(tb testing.TB, c *Capture, n int) []packet.Packet {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), deadline)
	defer cancel()
	var out []packet.Packet
	err := c.Run(ctx, func(p packet.Packet) error {
		p.Frame = bytes.Clone(p.Frame)
		out = append(out, p)
		if len(out) == n {
			cancel()
		}
		return nil
	})
	if err != nil {
		tb.Fatalf("Run: %v", err)
	}
	if len(out) != n {
		tb.Fatalf("%d packets, want %d; counters %+v", len(out), n, mustCounters(tb, c))
	}
	return out
}

// mustSendUDP sends n numbered datagrams of size bytes from the host to port 53 of addr.
func mustSendUDP(tb testing.TB, h *labtest.Host, addr string, n, size int) {
	tb.Helper()
	if err := h.Do(func() error {
		conn, err := net.Dial("udp4", net.JoinHostPort(addr, "53"))
		if err != nil {
			return err
		}
		defer conn.Close()
		datagram := make([]byte, size)
		for i := range n {
			binary.BigEndian.PutUint32(datagram, uint32(i))
			// A refused port answers an earlier datagram: the next one still leaves.
			if _, err := conn.Write(datagram); err != nil && !errors.Is(err, unix.ECONNREFUSED) {
				return err
			} else if err != nil {
				if _, err := conn.Write(datagram); err != nil {
					return err
				}
			}
		}
		return nil
	}); err != nil {
		tb.Fatal(err)
	}
}

// mustListenUDP keeps the kernel from answering port 53 with ICMP errors.
func mustListenUDP(tb testing.TB, addr string) {
	tb.Helper()
	conn, err := net.ListenPacket("udp4", net.JoinHostPort(addr, "53"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
}

// TestRealTraffic: ping, DNS and HTTP of real sockets are labelled, none lost.
func TestRealTraffic(t *testing.T) {
	host := labtest.NewHost(t, clients())
	labels := mustLabels(t, "icmp[icmptype] == icmp-echo", "udp dst port 53",
		"tcp dst port 80 and tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420")
	c := mustOpen(t, Options{Interface: "lan0", Labels: labels, RingBytes: 8 << 20}) // nobody reads before all has come
	start := time.Now()

	if out, err := host.Command("ping", "-n", "-q", "-c", "20", "-i", "0.01", "10.77.1.1").CombinedOutput(); err != nil {
		t.Fatalf("ping: %v\n%s", err, out)
	}
	mustListenUDP(t, "10.77.1.1")
	mustSendUDP(t, host, "10.77.1.1", 3000, 300)
	mustGet(t, host, 50)

	const pings, queries, gets = 20, 3000, 50
	got := map[string]int{}
	for i, p := range mustRead(t, c, pings+queries+gets) {
		got[p.Label]++
		ip, err := packet.IPOf(p.Frame)
		if err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		if p.Time.Before(start.Add(-time.Millisecond)) || p.Time.After(time.Now()) {
			t.Errorf("packet %d at %v, outside of the test", i, p.Time)
		}
		if p.Label == "l1" && binary.BigEndian.Uint32(ip[28:]) != uint32(i-pings) {
			t.Errorf("packet %d is not query %d", i, i-pings)
		}
		if p.Label == "l2" && !bytes.HasSuffix(ip, []byte("\r\n\r\n")) {
			t.Errorf("packet %d does not hold the whole request", i)
		}
	}
	if diff := cmp.Diff(map[string]int{"l0": pings, "l1": queries, "l2": gets}, got); diff != "" {
		t.Errorf("packets of each label (-want +got):\n%s", diff)
	}
	counters := mustCounters(t, c)
	want := []LabelCounters{{Label: "l0", Labelled: pings}, {Label: "l1", Labelled: queries}, {Label: "l2", Labelled: gets}}
	if diff := cmp.Diff(want, counters.Labels); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
	if counters.Seen < pings+queries+gets*4 || counters.Ours != 0 {
		t.Errorf("seen %d, ours %d", counters.Seen, counters.Ours)
	}
}

// mustGet does n HTTP requests from the host, each on a connection of its own
// and so long that its text lies outside of the skb's linear part.
func mustGet(tb testing.TB, h *labtest.Host, n int) {
	tb.Helper()
	listener, err := net.Listen("tcp4", "10.77.1.1:80")
	if err != nil {
		tb.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "hello")
	})}
	go server.Serve(listener)
	defer server.Close()
	for range n {
		var conn net.Conn
		if err := h.Do(func() (err error) {
			conn, err = net.Dial("tcp4", "10.77.1.1:80")
			return err
		}); err != nil {
			tb.Fatal(err)
		}
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Long: %s\r\n\r\n", strings.Repeat("x", 1000))
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			tb.Fatal(err)
		}
		if response.StatusCode != http.StatusOK {
			tb.Fatalf("status %s", response.Status)
		}
		conn.Close()
	}
}

// TestVLAN: a tagged frame is seen and stored with its tag, and goes on as it came.
func TestVLAN(t *testing.T) {
	host := labtest.NewHost(t, clients())
	tagged := testFrame{"tagged", mustSerialize(t, ethernet(0x8100), tag(100, 0x0800), ipv4(17), udp(5, 53), payload(1400))}
	twice := testFrame{"twice", mustSerialize(t, ethernet(0x88a8), tag(7, 0x8100), tag(100, 0x0800), ipv4(17), udp(5, 53), payload(60))}
	plain := testFrame{"plain", mustSerialize(t, ethernet(0x0800), ipv4(17), udp(5, 53), payload(60))}
	frames := []testFrame{tagged, twice, plain}

	without := mustWitness(t, "lan0")
	mustSendFrames(t, host, frames)
	want := without(len(frames))
	c := mustOpen(t, Options{Interface: "lan0", Labels: mustLabels(t, "vlan 7 and vlan 100", "vlan 100 and udp dst port 53", "udp dst port 53")})
	behind := mustWitness(t, "lan0")
	mustSendFrames(t, host, frames)

	wantLabels := []string{"l1", "l0", "l2"}
	for i, p := range mustRead(t, c, len(frames)) {
		if p.Label != wantLabels[i] {
			t.Errorf("%s: label %s, want %s", frames[i].name, p.Label, wantLabels[i])
		}
		if diff := cmp.Diff(frames[i].bytes, p.Frame); diff != "" {
			t.Errorf("%s: stored (-want +got):\n%s", frames[i].name, diff)
		}
	}
	if diff := cmp.Diff(want, behind(len(frames))); diff != "" {
		t.Errorf("what programs behind the capture see (-without +with):\n%s", diff)
	}
	if want[0].VLANPresent != 1 || want[0].VLANTCI != 100 {
		t.Errorf("the test proves nothing: the kernel left the tag in the frame: %+v", want[0])
	}
}

// TestHostileFramesOnTheWire sends all test frames, the shortest included, through a real socket.
func TestHostileFramesOnTheWire(t *testing.T) {
	host := labtest.NewHost(t, clients())
	labels := mustLabels(t, expressions()[1:]...)
	c := mustOpen(t, Options{Interface: "lan0", Labels: labels})
	var frames []testFrame
	for _, f := range append(goodFrames(t), hostileFrames(t)...) {
		isVLAN := binary.BigEndian.Uint16(f.bytes[12:]) == 0x8100 || binary.BigEndian.Uint16(f.bytes[12:]) == 0x88a8
		if !isVLAN || len(f.bytes) >= 20 { // the kernel drops half a tag before any program
			frames = append(frames, f)
		}
	}
	mustSendFrames(t, host, frames)
	var want []testFrame
	var wantLabels []string
	for _, f := range frames {
		if i := oracle(t, labels, f.bytes); i >= 0 {
			want = append(want, f)
			wantLabels = append(wantLabels, labels[i].Name)
		}
	}
	var got []string
	for i, p := range mustRead(t, c, len(want)) {
		got = append(got, p.Label)
		if diff := cmp.Diff(want[i].bytes, p.Frame); diff != "" {
			t.Fatalf("frame %d, %s (-want +got):\n%s", i, want[i].name, diff)
		}
	}
	if diff := cmp.Diff(wantLabels, got); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if seen := mustCounters(t, c).Seen; seen != uint64(len(frames)) {
		t.Errorf("seen %d frames of %d", seen, len(frames))
	}
}

// mustSendFrames writes frames to the host's end of the cable as they are.
func mustSendFrames(tb testing.TB, h *labtest.Host, frames []testFrame) {
	tb.Helper()
	if err := h.Do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		iface, err := net.InterfaceByName(h.Cable.Far)
		if err != nil {
			return err
		}
		for _, f := range frames {
			to := &unix.SockaddrLinklayer{Ifindex: iface.Index}
			if err := unix.Sendto(fd, f.bytes, 0, to); err != nil {
				return fmt.Errorf("%s, %d bytes: %w", f.name, len(f.bytes), err)
			}
		}
		return nil
	}); err != nil {
		tb.Fatal(err)
	}
}

// TestJumbo: a frame of several pages is stored whole, and counted where the snap length forbids it.
func TestJumbo(t *testing.T) {
	host := labtest.NewHost(t, clients())
	mustRun(t, command("ip", "link", "set", "lan0", "mtu", "9000"))
	mustRun(t, host.Command("ip", "link", "set", "cli0", "mtu", "9000"))
	mustListenUDP(t, "10.77.1.1")
	o := Options{Interface: "lan0", Labels: mustLabels(t, "udp dst port 53"), SnapBytes: MaxSnapBytes}
	c := mustOpen(t, o)
	mustSendUDP(t, host, "10.77.1.1", 10, 8900)
	for _, p := range mustRead(t, c, 10) {
		if len(p.Frame) != 8900+42 {
			t.Errorf("stored %d bytes, want %d", len(p.Frame), 8900+42)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	o.SnapBytes = 0
	c = mustOpen(t, o)
	mustSendUDP(t, host, "10.77.1.1", 10, 8900)
	want := []LabelCounters{{Label: "l0", Oversize: 10}}
	if !poll(func() bool { return mustCounters(t, c).Labels[0].Oversize == 10 }) {
		t.Errorf("counters at the default snap length (-want +got):\n%s", cmp.Diff(want, mustCounters(t, c).Labels))
	}
}

// TestEndings: the ways in which Run ends.
func TestEndings(t *testing.T) {
	host := labtest.NewHost(t, clients())
	mustListenUDP(t, "10.77.1.1")
	o := Options{Interface: "lan0", Labels: mustLabels(t, "udp dst port 53")}

	t.Run("context, with what came before", func(t *testing.T) {
		c := mustOpen(t, o)
		mustSendUDP(t, host, "10.77.1.1", 100, 100)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		n := 0
		err := c.Run(ctx, func(packet.Packet) error { n++; return nil })
		if err != nil || n != 100 {
			t.Errorf("Run = %v after %d packets, want nil after 100", err, n)
		}
	})
	t.Run("close", func(t *testing.T) {
		c, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		handled, ended := make(chan struct{}, 1), make(chan error, 1)
		go func() {
			ended <- c.Run(t.Context(), func(packet.Packet) error { handled <- struct{}{}; return nil })
		}()
		mustSendUDP(t, host, "10.77.1.1", 1, 100)
		<-handled
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-ended; !errors.Is(err, ErrClosed) || err.Error() != "capture closed" {
			t.Errorf("Run = %v, want %v", err, ErrClosed)
		}
		if err := c.Run(t.Context(), nil); !errors.Is(err, ErrClosed) {
			t.Errorf("Run after Close = %v, want %v", err, ErrClosed)
		}
		if err := c.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		if out, err := command("tc", "filter", "show", "dev", "lan0", "ingress").Output(); err != nil || len(out) > 0 {
			t.Errorf("left on the interface: %v\n%s", err, out)
		}
	})
	t.Run("handler", func(t *testing.T) {
		c := mustOpen(t, o)
		mustSendUDP(t, host, "10.77.1.1", 2, 100)
		enough := errors.New("enough")
		if err := c.Run(t.Context(), func(packet.Packet) error { return enough }); !errors.Is(err, enough) {
			t.Errorf("Run = %v, want %v", err, enough)
		}
	})
}
