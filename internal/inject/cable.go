package inject

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"

	"pacgan-appliance/internal/hook"
)

// addrGenNone keeps IPv6 from giving an interface a link-local address.
const addrGenNone = 1

// cable is the veth pair that frames are written to (near) and guarded at (far).
type cable struct {
	near, far netlink.Link
}

// newCable makes the pair, both ends down. mtu is the wire's, so that the
// kernel refuses what could not leave.
func newCable(near, far string, mtu int) (*cable, error) {
	if err := removeStale(near); err != nil {
		return nil, err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = near
	attrs.MTU = mtu
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: far, PeerMTU: uint32(mtu)}
	if err := netlink.LinkAdd(pair); err != nil {
		return nil, fmt.Errorf("make injection cable %s-%s: %w", near, far, err)
	}
	c := &cable{}
	if err := c.configure(near, far); err != nil {
		return nil, errors.Join(fmt.Errorf("injection cable %s-%s: %w", near, far, err), netlink.LinkDel(pair))
	}
	return c, nil
}

// removeStale deletes the cable of a process that was killed.
func removeStale(near string) error {
	link, err := netlink.LinkByName(near)
	if _, missing := errors.AsType[netlink.LinkNotFoundError](err); missing {
		return nil
	}
	if err != nil {
		return fmt.Errorf("interface %s: %w", near, err)
	}
	if link.Attrs().Alias != hook.CableAlias {
		return fmt.Errorf("interface %q exists and is not ours: rename or delete it", near)
	}
	if err := netlink.LinkDel(link); err != nil {
		return fmt.Errorf("remove stale injection cable %s: %w", near, err)
	}
	return nil
}

// configure makes both ends mute: no ARP, no IPv6 address, no offloads.
func (c *cable) configure(near, far string) error {
	for _, end := range []struct {
		name string
		link *netlink.Link
	}{{near, &c.near}, {far, &c.far}} {
		link, err := netlink.LinkByName(end.name)
		if err != nil {
			return err
		}
		*end.link = link
		if err := netlink.LinkSetAlias(link, hook.CableAlias); err != nil {
			return fmt.Errorf("alias: %w", err)
		}
		if err := netlink.LinkSetARPOff(link); err != nil {
			return fmt.Errorf("arp off: %w", err)
		}
		// A kernel without IPv6 has nothing to turn off.
		_ = netlink.LinkSetIP6AddrGenMode(link, addrGenNone)
		if err := offloadsOff(end.name); err != nil {
			return err
		}
	}
	return nil
}

// offloads are the kernel's names, by their beginnings, of what would change
// frames between the two ends.
var offloads = []string{"tx-checksum-", "tx-tcp", "tx-udp-segmentation", "tx-generic-segmentation", "tx-gso-list", "rx-gro"}

func offloadsOff(name string) error {
	tool, err := ethtool.NewEthtool()
	if err != nil {
		return fmt.Errorf("ethtool: %w", err)
	}
	defer tool.Close()
	features, err := tool.Features(name)
	if err != nil {
		return fmt.Errorf("read offloads: %w", err)
	}
	off := map[string]bool{}
	for feature, on := range features {
		for _, prefix := range offloads {
			if on && strings.HasPrefix(feature, prefix) {
				off[feature] = false
			}
		}
	}
	if len(off) == 0 {
		return nil
	}
	if err := tool.Change(name, off); err != nil {
		return fmt.Errorf("offloads off: %w", err)
	}
	return nil
}

// attach puts the guard at both ends of the cable: at the far one first.
func (in *Injector) attach() error {
	for _, end := range []struct {
		program   *ebpf.Program
		link      netlink.Link
		direction hook.Direction
	}{{in.guard.Guard, in.cable.far, hook.Ingress}, {in.guard.Near, in.cable.near, hook.Egress}} {
		l, err := hook.Attach(end.program, end.link.Attrs().Index, end.direction)
		if err != nil {
			return err
		}
		in.links = append(in.links, l)
	}
	return nil
}

func (c *cable) up() error {
	for _, end := range []netlink.Link{c.far, c.near} {
		if err := netlink.LinkSetUp(end); err != nil {
			return fmt.Errorf("injection cable: %s up: %w", end.Attrs().Name, err)
		}
	}
	return nil
}

// remove deletes the pair, if it is still there.
func (c *cable) remove() error {
	err := netlink.LinkDel(c.near)
	if err == nil {
		return nil
	}
	if _, lookup := netlink.LinkByIndex(c.near.Attrs().Index); lookup != nil {
		return nil
	}
	return fmt.Errorf("remove injection cable: %w", err)
}
