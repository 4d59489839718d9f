// Package veth makes and configures the cables of test networks: veth pairs without offloads, their
// addresses and routes, in the calling thread's network namespace.
package veth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Namespace says where the far end of a pair goes: netlink.NsPid, netlink.NsFd, or nil for here.
type Namespace any

// Pair makes a veth pair: near here, far in ns. Both ends are down and have no address.
func Pair(near, far string, ns Namespace) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = near
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: far, PeerNamespace: ns}); err != nil {
		return fmt.Errorf("veth %s-%s: %w", near, far, err)
	}
	return nil
}

// Remove deletes a pair by the end that is here. A pair that is gone already is no error: the kernel
// removes it, some time after, when the last process in the far end's namespace ends.
func Remove(near string) error {
	link, err := netlink.LinkByName(near)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove veth %s: %w", near, err)
	}
	return nil
}

// Up turns one end's offloads off, gives it addresses and takes it up.
func Up(name string, addrs ...netip.Prefix) error {
	if err := OffloadsOff(name); err != nil {
		return err
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("veth %s: %w", name, err)
	}
	for _, a := range addrs {
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: ipNet(a)}); err != nil {
			return fmt.Errorf("veth %s: address %s: %w", name, a, err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("veth %s up: %w", name, err)
	}
	return nil
}

// Ready waits until an end whose pair is up at both ends carries packets: before the kernel's link
// watcher has seen that, it drops them without an error, and the first ARP request costs a second.
func Ready(ctx context.Context, name string) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("veth %s: %w", name, err)
		}
		if link.Attrs().OperState == netlink.OperUp {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("veth %s: state %s, not up: %w", name, link.Attrs().OperState, ctx.Err())
		case <-tick.C:
		}
	}
}

// DefaultRoute sends everything that is not on a cable to via.
func DefaultRoute(via netip.Addr) error {
	if err := netlink.RouteAdd(&netlink.Route{Gw: via.AsSlice()}); err != nil {
		return fmt.Errorf("default route via %s: %w", via, err)
	}
	return nil
}

// offloads by the prefixes of their names in the kernel (what `ethtool -K tx off tso off gso off gro off` means).
var offloads = []string{
	"tx-checksum-", "tx-tcp-", "tx-tcp6-", "tx-udp-segmentation", "tx-generic-segmentation", "tx-gso-list", "rx-gro",
}

// OffloadsOff turns checksum and segmentation offloads off. With them on, a veth carries segments of
// up to 43 KB whose L4 checksums are unfinished; nothing of the sort is ever on a real wire.
func OffloadsOff(name string) error {
	tool, err := ethtool.NewEthtool()
	if err != nil {
		return fmt.Errorf("ethtool: %w", err)
	}
	defer tool.Close()
	features, err := tool.Features(name)
	if err != nil {
		return fmt.Errorf("offloads of %s: %w", name, err)
	}
	off := map[string]bool{}
	for feature, on := range features {
		if on && hasPrefix(feature, offloads) {
			off[feature] = false
		}
	}
	if len(off) == 0 {
		return nil
	}
	if err := tool.Change(name, off); err != nil {
		return fmt.Errorf("offloads off on %s: %w", name, err)
	}
	return nil
}

// Sysctls writes keys below /proc/sys/net of the calling thread's namespace, such as
// "ipv4/ip_forward": "1". A key that the kernel does not have is an error.
func Sysctls(values map[string]string) error {
	for key, value := range values {
		if err := os.WriteFile("/proc/sys/net/"+key, []byte(value), 0); err != nil {
			return fmt.Errorf("sysctl net/%s = %s: %w", key, value, err)
		}
	}
	return nil
}

func hasPrefix(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
