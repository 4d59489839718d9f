package hook

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// oldKernel answers as a kernel before 6.6 does.
func oldKernel(*ebpf.Program, int, Direction) (Attachment, error) {
	return nil, fmt.Errorf("create link: %w", ebpf.ErrNotSupported)
}

// mustVerdict loads a program that gives every packet the same verdict.
func mustVerdict(tb testing.TB, verdict int32) *ebpf.Program {
	tb.Helper()
	return mustProgram(tb, "verdict", verdict)
}

func mustProgram(tb testing.TB, name string, verdict int32) *ebpf.Program {
	tb.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: name, Type: ebpf.SchedCLS, License: "Dual BSD/GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, verdict), asm.Return()},
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { prog.Close() })
	return prog
}

func mustIndex(tb testing.TB, name string) int {
	tb.Helper()
	link, err := netlink.LinkByName(name)
	if err != nil {
		tb.Fatal(err)
	}
	return link.Attrs().Index
}

// arrives reports whether a datagram sent to the far end comes through.
func arrives(tb testing.TB, from net.PacketConn, to *net.UDPConn) bool {
	tb.Helper()
	if _, err := from.WriteTo([]byte("x"), to.LocalAddr()); err != nil {
		return false // an egress drop is told to the sender
	}
	if err := to.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		tb.Fatal(err)
	}
	_, err := to.Read(make([]byte, 1))
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		tb.Fatal(err)
	}
	return err == nil
}

func mustListen(tb testing.TB, addr string) *net.UDPConn {
	tb.Helper()
	conn, err := net.ListenPacket("udp4", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	return conn.(*net.UDPConn)
}

// TestAttachDropsAndLetsGo drops packets in each direction and by each
// mechanism, and lets them pass again once the hook is closed.
func TestAttachDropsAndLetsGo(t *testing.T) {
	host := labtest.NewHost(t, labtest.Cable{
		Near: "near0", Far: "far0", NearAddrs: []string{"10.77.9.1/24"}, FarAddrs: []string{"10.77.9.2/24"},
	})
	near := mustListen(t, "10.77.9.1:0")
	var far *net.UDPConn
	if err := host.Do(func() error { far = mustListen(t, "10.77.9.2:0"); return nil }); err != nil {
		t.Fatal(err)
	}
	for _, mechanism := range []struct {
		name string
		via  attachFunc
	}{{"tcx", attachTCX}, {"clsact", oldKernel}} {
		for _, dir := range []Direction{Ingress, Egress} {
			t.Run(mechanism.name+" "+dir.String(), func(t *testing.T) {
				from, to := near, far
				if dir == Ingress {
					from, to = far, near
				}
				if !arrives(t, from, to) {
					t.Fatal("nothing arrives before the program is attached")
				}
				c, err := attach(mechanism.via, mustVerdict(t, 2), mustIndex(t, "near0"), dir)
				if err != nil {
					t.Fatal(err)
				}
				if arrives(t, from, to) {
					t.Error("the program drops everything, and yet a packet arrives")
				}
				if err := c.Replace(mustVerdict(t, -1)); err != nil {
					t.Fatal(err)
				}
				if !arrives(t, from, to) {
					t.Error("nothing arrives though the new program passes everything")
				}
				if err := c.Replace(mustVerdict(t, 2)); err != nil {
					t.Fatal(err)
				}
				if arrives(t, from, to) {
					t.Error("the newest program drops everything, and yet a packet arrives")
				}
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
				if !arrives(t, from, to) {
					t.Error("nothing arrives after the hook is closed")
				}
			})
		}
	}
}

// TestClsactReplacesLeftover attaches a program twice, as after a kill, and
// another beside it: two filters are there.
func TestClsactReplacesLeftover(t *testing.T) {
	labtest.NewCable(t, labtest.Cable{Near: "near0", Far: "far0"})
	index := mustIndex(t, "near0")
	for _, name := range []string{"one", "other", "one"} {
		if _, err := attach(oldKernel, mustProgram(t, name, -1), index, Ingress); err != nil {
			t.Fatal(err)
		}
	}
	link, err := netlink.LinkByIndex(index)
	if err != nil {
		t.Fatal(err)
	}
	filters, err := netlink.FilterList(link, netlink.HANDLE_MIN_INGRESS)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range filters {
		got = append(got, f.(*netlink.BpfFilter).Name)
	}
	if diff := cmp.Diff([]string{"pacgan_one", "pacgan_other"}, got); diff != "" {
		t.Errorf("filters (-want +got):\n%s", diff)
	}
}

func TestClsactOfGoneInterfaceCloses(t *testing.T) {
	labtest.RequireRoot(t)
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "gone0"}, PeerName: "gone1"}
	if err := netlink.LinkAdd(pair); err != nil {
		t.Fatal(err)
	}
	c, err := attach(oldKernel, mustVerdict(t, -1), mustIndex(t, "gone0"), Ingress)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkDel(pair); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestOldKernelIsSaid(t *testing.T) {
	labtest.NewCable(t, labtest.Cable{Near: "near0", Far: "far0"})
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	if _, err := attach(oldKernel, mustVerdict(t, -1), mustIndex(t, "near0"), Ingress); err != nil {
		t.Fatal(err)
	}
	const want = `msg="this kernel has no TCX (6.6 has): attached through clsact, which a killed process leaves behind"`
	if got := log.String(); !strings.Contains(got, want) {
		t.Errorf("log %q lacks %q", got, want)
	}
}

func TestAttachNowhere(t *testing.T) {
	labtest.RequireRoot(t)
	_, err := Attach(mustVerdict(t, -1), 99999, Ingress)
	if !errors.Is(err, unix.ENODEV) || !strings.HasPrefix(err.Error(), "interface 99999: ") {
		t.Errorf("error %v", err)
	}
}
