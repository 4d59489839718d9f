package hook

import (
	"errors"
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"
)

// CableAlias is the alias of interfaces that we made, so that what a killed
// process left behind can be told from somebody else's.
const CableAlias = "pacgan-appliance injection"

// Clean takes away what a killed process of ours has left in the calling
// thread's network namespace: injection cables, and below kernel 6.6 clsact
// filters with their qdiscs. It returns what it took away, a line each.
// Nothing of ours may be running there.
func Clean() ([]string, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	var taken []string
	var errs []error
	gone := map[string]bool{} // the other ends of cables
	for _, link := range links {
		switch name := link.Attrs().Name; {
		case gone[name]:
		case link.Attrs().Alias == CableAlias:
			if peer, ok := otherEnd(link, links); ok {
				gone[peer] = true
			}
			if err := netlink.LinkDel(link); err != nil {
				errs = append(errs, fmt.Errorf("remove injection cable %s: %w", name, err))
				continue
			}
			taken = append(taken, "injection cable "+name)
		default:
			filters, err := cleanFilters(link)
			taken, errs = append(taken, filters...), append(errs, err)
		}
	}
	return taken, errors.Join(errs...)
}

// otherEnd finds the peer of a veth.
func otherEnd(link netlink.Link, all []netlink.Link) (string, bool) {
	for _, other := range all {
		if other.Attrs().Index == link.Attrs().ParentIndex {
			return other.Attrs().Name, true
		}
	}
	return "", false
}

// cleanFilters removes our clsact filters from an interface.
func cleanFilters(link netlink.Link) ([]string, error) {
	var taken []string
	for _, dir := range []Direction{Ingress, Egress} {
		filters, err := netlink.FilterList(link, clsactParent(dir))
		if err != nil {
			return taken, fmt.Errorf("interface %s: list %s filters: %w", link.Attrs().Name, dir, err)
		}
		for _, f := range filters {
			bpf, ok := f.(*netlink.BpfFilter)
			if !ok || !strings.HasPrefix(bpf.Name, clsactPrefix) {
				continue
			}
			if err := (clsactFilter{bpf}).Close(); err != nil {
				return taken, fmt.Errorf("interface %s: remove %s filter %s: %w", link.Attrs().Name, dir, bpf.Name, err)
			}
			taken = append(taken, fmt.Sprintf("%s filter %s on %s", dir, bpf.Name, link.Attrs().Name))
		}
	}
	return taken, nil
}
