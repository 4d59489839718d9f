package hook

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// clsactPriority is the tc priority of our first filter on an interface and
// direction; each further program gets the next one.
const clsactPriority = 0x7067 // "pg"

// clsactPrefix begins the name of every filter of ours.
const clsactPrefix = "pacgan_"

// attachClsact is Attach for kernels older than 6.6. It replaces a filter of
// ours that a killed process left behind, and leaves all others alone.
func attachClsact(prog *ebpf.Program, ifindex int, dir Direction) (Attachment, error) {
	if err := netlink.QdiscAdd(clsactQdisc(ifindex)); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("interface %d: add clsact qdisc: %w", ifindex, err)
	}
	info, err := prog.Info()
	if err != nil {
		return nil, fmt.Errorf("interface %d: read program info: %w", ifindex, err)
	}
	name := clsactPrefix + info.Name
	priority, err := clsactSlot(ifindex, dir, name)
	if err != nil {
		return nil, fmt.Errorf("interface %d: list %s filters: %w", ifindex, dir, err)
	}
	filter := &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: ifindex,
			Parent:    clsactParent(dir),
			Handle:    1,
			Protocol:  unix.ETH_P_ALL,
			Priority:  priority,
		},
		Fd:           prog.FD(),
		Name:         name,
		DirectAction: true,
	}
	if err := netlink.FilterReplace(filter); err != nil {
		return nil, fmt.Errorf("interface %d: add %s filter: %w", ifindex, dir, err)
	}
	return clsactFilter{filter}, nil
}

// clsactSlot is the priority of the filter of that name, or the first that is
// free: programs of different names stand side by side.
func clsactSlot(ifindex int, dir Direction, name string) (uint16, error) {
	filters, err := netlink.FilterList(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: ifindex}}, clsactParent(dir))
	if err != nil {
		return 0, err
	}
	taken := map[uint16]bool{}
	for _, f := range filters {
		taken[f.Attrs().Priority] = true
		if bpf, ok := f.(*netlink.BpfFilter); ok && bpf.Name == name {
			return f.Attrs().Priority, nil
		}
	}
	for priority := uint16(clsactPriority); ; priority++ {
		if !taken[priority] {
			return priority, nil
		}
	}
}

func clsactParent(dir Direction) uint32 {
	if dir == Egress {
		return netlink.HANDLE_MIN_EGRESS
	}
	return netlink.HANDLE_MIN_INGRESS
}

// clsactFilter is an attached filter.
type clsactFilter struct {
	filter *netlink.BpfFilter
}

// Replace implements Attachment: the kernel swaps the filter's program.
func (c clsactFilter) Replace(prog *ebpf.Program) error {
	next := *c.filter
	next.Fd = prog.FD()
	if err := netlink.FilterReplace(&next); err != nil {
		return fmt.Errorf("replace program: %w", err)
	}
	return nil
}

// Close takes the filter off, and the qdisc with the last one: an empty one
// does nothing for anybody. An interface that has gone took both along.
func (c clsactFilter) Close() error {
	err := netlink.FilterDel(c.filter)
	if err != nil && !isGone(err) {
		return err
	}
	link := &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: c.filter.LinkIndex}}
	for _, dir := range []Direction{Ingress, Egress} {
		filters, err := netlink.FilterList(link, clsactParent(dir))
		if err != nil && !isGone(err) {
			return err
		}
		if len(filters) > 0 {
			return nil
		}
	}
	if err := netlink.QdiscDel(clsactQdisc(c.filter.LinkIndex)); err != nil && !isGone(err) {
		return err
	}
	return nil
}

// isGone tells the errors of what is not there any more.
func isGone(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.EINVAL)
}

func clsactQdisc(ifindex int) *netlink.GenericQdisc {
	return &netlink.GenericQdisc{
		QdiscAttrs: netlink.QdiscAttrs{
			LinkIndex: ifindex,
			Handle:    netlink.MakeHandle(0xffff, 0),
			Parent:    netlink.HANDLE_CLSACT,
		},
		QdiscType: "clsact",
	}
}
