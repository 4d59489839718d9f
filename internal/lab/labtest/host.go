package labtest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/lab/sandbox"
	"pacgan-appliance/internal/lab/veth"
)

// Cable describes a veth pair between the test's namespace (near) and a host's (far).
type Cable struct {
	Near, Far           string   // interface names, at most 15 bytes
	NearAddrs, FarAddrs []string // addresses with prefix length, "10.77.2.1/24"
	Via                 string   // the far side's default route, "10.77.2.1"; "": none
}

// Host is a network namespace of its own at the far end of a cable, gone when its test ends.
type Host struct {
	Cable Cable
	ns    *os.File
	id    string
}

// NewHost makes a host and its cable, offloads off, both ends up and configured. It needs root.
func NewHost(tb testing.TB, c Cable) *Host {
	tb.Helper()
	RequireRoot(tb)
	h := &Host{Cable: c}
	if err := h.open(); err != nil {
		tb.Fatalf("host %s: %v", c.Far, err)
	}
	tb.Cleanup(func() {
		if err := h.close(); err != nil {
			tb.Errorf("host %s: %v", c.Far, err)
		}
	})
	if err := h.plug(); err != nil {
		tb.Fatalf("host %s: %v", c.Far, err)
	}
	return h
}

// NewCable makes a veth pair with both ends in the test's namespace, up, offloads off, gone when
// the test ends. It needs root.
func NewCable(tb testing.TB, c Cable) {
	tb.Helper()
	RequireRoot(tb)
	if err := veth.Pair(c.Near, c.Far, nil); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := veth.Remove(c.Near); err != nil {
			tb.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(tb.Context(), 5*time.Second)
	defer cancel()
	err := errFirst(up(c.Near, c.NearAddrs), up(c.Far, c.FarAddrs))
	if err = errFirst(err, veth.Ready(ctx, c.Near), veth.Ready(ctx, c.Far)); err != nil {
		tb.Fatal(err)
	}
}

// Command is exec.Command inside the host's namespace.
func (h *Host) Command(name string, args ...string) *exec.Cmd {
	ns := fmt.Sprintf("--net=/proc/%d/fd/%d", os.Getpid(), h.ns.Fd())
	return exec.Command("nsenter", append([]string{ns, "--", name}, args...)...)
}

// Do calls f on a thread in the host's namespace. A socket, or a netlink or ethtool handle, that f
// opens stays in that namespace; goroutines that f starts do not begin there.
func (h *Host) Do(f func() error) error {
	return inNetNS(func() error { return unix.Setns(int(h.ns.Fd()), unix.CLONE_NEWNET) }, f)
}

// MAC is the hardware address of the host's end of the cable.
func (h *Host) MAC(tb testing.TB) net.HardwareAddr {
	tb.Helper()
	var mac net.HardwareAddr
	err := h.Do(func() error {
		link, err := netlink.LinkByName(h.Cable.Far)
		if err == nil {
			mac = link.Attrs().HardwareAddr
		}
		return err
	})
	if err != nil {
		tb.Fatalf("host %s: %v", h.Cable.Far, err)
	}
	return mac
}

// open makes the namespace, which the open file keeps alive.
func (h *Host) open() error {
	return inNetNS(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, func() error {
		var err error
		if h.ns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		if h.id, err = os.Readlink("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		return sandbox.QuietNetwork()
	})
}

func (h *Host) plug() error {
	if err := veth.Pair(h.Cable.Near, h.Cable.Far, netlink.NsFd(h.ns.Fd())); err != nil {
		return err
	}
	if err := up(h.Cable.Near, h.Cable.NearAddrs); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := h.Do(func() error {
		if err := up(h.Cable.Far, h.Cable.FarAddrs); err != nil {
			return err
		}
		if err := veth.Ready(ctx, h.Cable.Far); err != nil || h.Cable.Via == "" {
			return err
		}
		via, err := netip.ParseAddr(h.Cable.Via)
		if err != nil {
			return err
		}
		return veth.DefaultRoute(via)
	})
	if err != nil {
		return err
	}
	return veth.Ready(ctx, h.Cable.Near)
}

// close kills what still runs in the host and removes its cable, which a namespace that is only
// closed keeps for a moment longer.
func (h *Host) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errFirst(sandbox.KillNetNS(ctx, h.id), veth.Remove(h.Cable.Near), h.ns.Close())
}

// inNetNS calls enter and then f on a thread of their own, and takes it back afterwards. A thread
// that cannot come back stays locked, so that it ends with its goroutine.
func inNetNS(enter, f func() error) error {
	done := make(chan error, 1)
	go func() {
		done <- func() error {
			runtime.LockOSThread()
			home, err := os.Open("/proc/thread-self/ns/net")
			if err != nil {
				return err
			}
			defer home.Close()
			if err := enter(); err != nil {
				return err
			}
			err = f()
			if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
				runtime.UnlockOSThread()
			}
			return err
		}()
	}()
	return <-done
}

func up(name string, addrs []string) error {
	prefixes := make([]netip.Prefix, len(addrs))
	for i, a := range addrs {
		var err error
		if prefixes[i], err = netip.ParsePrefix(a); err != nil {
			return err
		}
	}
	return veth.Up(name, prefixes...)
}

func errFirst(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
