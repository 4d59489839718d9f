package hook

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// clsactPriority is the tc priority of our filters: one of ours per interface
// and direction, found again by this number and its name.
const clsactPriority = 0x7067 // "pg"

// clsactPrefix begins the name of every filter of ours.
const clsactPrefix = "pacgan_"

// attachClsact is Attach for kernels older than 6.6. It replaces a filter of
// ours that a killed process left behind, and leaves all others alone.
func attachClsact(prog *ebpf.Program, ifindex int, dir Direction) (io.Closer, error) {
	qdisc := &netlink.GenericQdisc{
		QdiscAttrs: netlink.QdiscAttrs{
			LinkIndex: ifindex,
			Handle:    netlink.MakeHandle(0xffff, 0),
			Parent:    netlink.HANDLE_CLSACT,
		},
		QdiscType: "clsact",
	}
	if err := netlink.QdiscAdd(qdisc); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("interface %d: add clsact qdisc: %w", ifindex, err)
	}
	info, err := prog.Info()
	if err != nil {
		return nil, fmt.Errorf("interface %d: read program info: %w", ifindex, err)
	}
	filter := &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: ifindex,
			Parent:    clsactParent(dir),
			Handle:    1,
			Protocol:  unix.ETH_P_ALL,
			Priority:  clsactPriority,
		},
		Fd:           prog.FD(),
		Name:         clsactPrefix + info.Name,
		DirectAction: true,
	}
	if err := netlink.FilterReplace(filter); err != nil {
		return nil, fmt.Errorf("interface %d: add %s filter: %w", ifindex, dir, err)
	}
	return clsactFilter{filter}, nil
}

func clsactParent(dir Direction) uint32 {
	if dir == Egress {
		return netlink.HANDLE_MIN_EGRESS
	}
	return netlink.HANDLE_MIN_INGRESS
}

// clsactFilter is an attached filter. The qdisc stays: it may serve others
// and does nothing by itself.
type clsactFilter struct {
	filter *netlink.BpfFilter
}

// Close takes the filter off. An interface that has gone took it along.
func (c clsactFilter) Close() error {
	err := netlink.FilterDel(c.filter)
	if errors.Is(err, unix.ENODEV) || errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}
