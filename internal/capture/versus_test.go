package capture

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/lab/labtest"
	"pacgan-appliance/internal/packet"
)

const (
	offeredRate  = 300_000 // packets a second
	offeredEach  = 300_000 // packets of a round
	offeredBurst = 300     // of a millisecond
	versusBuffer = 64 << 20
	versusFilter = "udp dst port 53"
)

// BenchmarkVersus captures and labels what one filter matches into a pcap file,
// as tcpdump -w does with the same filter and as large a buffer: packets a
// second of CPU time, without what it takes to send them to nobody.
func BenchmarkVersus(b *testing.B) {
	b.Run("capture/tcpdump", func(b *testing.B) {
		host := labtest.NewHost(b, clients())
		// What no program takes the stack drops at once: nobody has this address there.
		frame := mustSerialize(b, ethernet(0x0800), ipv4(17), udp(50000, 53), payload(33))
		var rates [2][]float64
		var lost [2]uint64
		for b.Loop() {
			alone := labtest.CPU(b, func() { offer(b, host, frame) })
			for side, capture := range []func(*testing.B, func()) (time.Duration, uint64){ours, tcpdump} {
				used, n := capture(b, func() { offer(b, host, frame) })
				rates[side] = append(rates[side], offeredEach/(used-alone).Seconds())
				lost[side] += n
			}
		}
		if lost[0] > lost[1] {
			b.Errorf("lost %d, tcpdump %d", lost[0], lost[1])
		}
		for side, name := range []string{"ours", "theirs"} {
			slices.Sort(rates[side])
			b.ReportMetric(rates[side][len(rates[side])/2], name)
			b.ReportMetric(float64(lost[side]), name+"-lost")
		}
		b.ReportMetric(0, "ns/op")
	})
}

// offer sends frames from the host at offeredRate.
func offer(b *testing.B, host *labtest.Host, frame []byte) {
	b.Helper()
	err := host.Do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		iface, err := net.InterfaceByName(host.Cable.Far)
		if err != nil {
			return err
		}
		if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: iface.Index}); err != nil {
			return err
		}
		begin := time.Now()
		for sent := 0; sent < offeredEach; {
			for range offeredBurst {
				if err := unix.Send(fd, frame, 0); err != nil {
					return err
				}
				sent++
			}
			time.Sleep(time.Until(begin.Add(time.Duration(sent) * time.Second / offeredRate)))
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// ours is the CPU time while traffic passes, and how many packets were lost.
func ours(b *testing.B, traffic func()) (time.Duration, uint64) {
	b.Helper()
	c, err := Open(Options{Interface: "lan0", Labels: mustLabels(b, versusFilter), RingBytes: versusBuffer})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	file, err := os.Create(filepath.Join(b.TempDir(), "ours.pcap"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	buffer := bufio.NewWriterSize(file, 1<<16)
	w := pcapgo.NewWriterNanos(buffer)
	if err := w.WriteFileHeader(DefaultSnapBytes, layers.LinkTypeEthernet); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	used := labtest.CPU(b, func() {
		go func() {
			done <- c.Run(ctx, func(p packet.Packet) error {
				n := len(p.Frame)
				return w.WritePacket(gopacket.CaptureInfo{Timestamp: p.Time, CaptureLength: n, Length: n}, p.Frame)
			})
		}()
		traffic()
		cancel()
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		if err := buffer.Flush(); err != nil {
			b.Fatal(err)
		}
	})
	counters, err := c.Counters()
	if err != nil {
		b.Fatal(err)
	}
	got := counters.Labels[0]
	if got.Labelled+got.Dropped != offeredEach {
		b.Fatalf("%d of %d seen: %+v", got.Labelled+got.Dropped, offeredEach, counters)
	}
	return used, got.Dropped
}

var tcpdumpCaught = regexp.MustCompile(`([0-9]+) packets captured`)

// tcpdump is the same of tcpdump.
func tcpdump(b *testing.B, traffic func()) (time.Duration, uint64) {
	b.Helper()
	cmd := exec.Command("tcpdump", "-i", "lan0", "-n", "-s", "2048", "-B", strconv.Itoa(versusBuffer>>10),
		"-w", filepath.Join(b.TempDir(), "theirs.pcap"), versusFilter)
	said := &saying{}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	if !poll(func() bool { return strings.Contains(said.String(), "listening on") }) {
		b.Fatalf("tcpdump does not listen: %s", said)
	}
	used := labtest.CPU(b, func() {
		traffic()
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			b.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			b.Fatalf("tcpdump: %v: %s", err, said)
		}
	})
	found := tcpdumpCaught.FindStringSubmatch(said.String())
	if found == nil {
		b.Fatalf("tcpdump says no count: %s", said)
	}
	caught, err := strconv.ParseUint(found[1], 10, 64)
	if err != nil || caught > offeredEach {
		b.Fatalf("%d caught of %d: %v", caught, offeredEach, err)
	}
	return used + cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), offeredEach - caught
}

// saying is what a program says while it runs.
type saying struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (s *saying) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *saying) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
