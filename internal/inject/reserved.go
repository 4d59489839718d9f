package inject

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Reserved are the destinations that no allow-list opens by itself, whatever
// the machine: this network, loopback, multicast, broadcast.
func Reserved() []netip.Prefix {
	var out []netip.Prefix
	for _, p := range []string{"0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32", "::/128", "::1/128", "ff00::/8"} {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

// surroundings are this machine's addresses and networks as far as they decide
// where packets may go.
type surroundings struct {
	own    []netip.Prefix // what the kernel takes in itself or broadcasts
	tested []netip.Prefix // networks of the interfaces under test
	others []netip.Prefix // networks of all other interfaces: management
}

// dumpTries is how often a dump of a table is tried that changes meanwhile.
const dumpTries = 5

// surroundings reads the kernel's tables.
func (in *Injector) surroundings() (surroundings, error) {
	var err error
	for range dumpTries {
		var s surroundings
		if s, err = in.readSurroundings(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return s, err
		}
	}
	return surroundings{}, err
}

func (in *Injector) readSurroundings() (surroundings, error) {
	s := surroundings{own: Reserved()}
	local, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_LOCAL}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return s, fmt.Errorf("read this machine's own addresses: %w", err)
	}
	for _, r := range local {
		if p, ok := prefixOf(r.Dst); ok && slices.Contains([]int{unix.RTN_LOCAL, unix.RTN_BROADCAST, unix.RTN_ANYCAST}, r.Type) {
			s.own = append(s.own, p)
		}
	}
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return s, fmt.Errorf("read this machine's networks: %w", err)
	}
	tested := in.testedLinks()
	for _, a := range addrs {
		p, ok := prefixOf(a.IPNet)
		switch {
		case !ok || p.Addr().IsLinkLocalUnicast(): // every interface has the same
		case slices.Contains(tested, a.LinkIndex):
			s.tested = append(s.tested, p)
		default:
			s.others = append(s.others, p)
		}
	}
	return s, nil
}

// testedLinks are the indexes of the interfaces whose networks are no
// management's. One that is gone has none.
func (in *Injector) testedLinks() []int {
	links := []int{in.wire.Index, in.exit.index}
	for _, name := range in.options.Sides {
		if link, err := net.InterfaceByName(name); err == nil {
			links = append(links, link.Index)
		}
	}
	return links
}

// prefixOf is the network that n lies in.
func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	addr, ok := netip.AddrFromSlice(n.IP)
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(addr.Unmap(), ones).Masked(), ok
}

// destination is a rule for the addresses of a prefix that have no rule of a
// longer one.
type destination struct {
	prefix  netip.Prefix
	allowed bool
}

// destinations are the rules that follow from an allow-list, what is named of
// the reserved, and the machine. An address that none of them holds is not
// allowed.
func (s surroundings) destinations(allow, named []netip.Prefix) []destination {
	var out []destination
	seen := map[netip.Prefix]bool{}
	for _, p := range slices.Concat(allow, named, s.own, s.tested, s.others) {
		p = p.Masked()
		if seen[p] || !within(p, allow) {
			continue
		}
		seen[p] = true
		out = append(out, destination{p, within(p, named) || !within(p, s.own) && !s.management(p)})
	}
	return out
}

// management reports whether the longest prefix around p is another
// interface's and not one under test.
func (s surroundings) management(p netip.Prefix) bool {
	return longest(p, s.others) > longest(p, s.tested)
}

// within reports whether one of the prefixes holds all of p.
func within(p netip.Prefix, prefixes []netip.Prefix) bool { return longest(p, prefixes) >= 0 }

// longest is the length in bits of the longest prefix that holds all of p; -1:
// none does.
func longest(p netip.Prefix, prefixes []netip.Prefix) int {
	bits := -1
	for _, q := range prefixes {
		if q.Bits() <= p.Bits() && q.Contains(p.Addr()) {
			bits = max(bits, q.Bits())
		}
	}
	return bits
}

// permits is the guard's decision for an address.
func permits(rules []destination, dst netip.Addr) bool {
	bits, allowed := -1, false
	for _, d := range rules {
		if d.prefix.Bits() > bits && d.prefix.Contains(dst) {
			bits, allowed = d.prefix.Bits(), d.allowed
		}
	}
	return allowed
}
