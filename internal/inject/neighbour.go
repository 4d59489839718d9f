package inject

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// neighbours asks the kernel's neighbour table. It is in the network namespace
// of the thread that opened it.
type neighbours struct {
	index  int // of the wire interface
	handle *netlink.Handle
	single *nl.SocketHandle // for what the library only does for whole tables
}

func openNeighbours(index int, handle *netlink.Handle) (*neighbours, error) {
	socket, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	return &neighbours{index, handle, &nl.SocketHandle{Socket: socket}}, nil
}

func (t *neighbours) close() { t.single.Close() }

func family(addr netip.Addr) uint8 {
	if addr.Is6() {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

// find returns the table's entry for an address; nil: there is none.
func (t *neighbours) find(addr netip.Addr) (*netlink.Neigh, error) {
	request := nl.NewNetlinkRequest(unix.RTM_GETNEIGH, 0)
	request.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: t.single}
	request.AddData(&netlink.Ndmsg{Family: family(addr), Index: uint32(t.index)})
	request.AddData(nl.NewRtAttr(netlink.NDA_DST, addr.AsSlice()))
	entries, err := request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWNEIGH)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err == nil && len(entries) == 0 {
		err = errors.New("the kernel's answer is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("look neighbour %v up: %w", addr, err)
	}
	return netlink.NeighDeserialize(entries[0])
}

// ask makes the kernel find or confirm a neighbour, as if it had a packet for
// it: by ARP, or by IPv6's neighbour discovery.
func (t *neighbours) ask(addr netip.Addr) error {
	return t.handle.NeighSet(&netlink.Neigh{
		LinkIndex: t.index, Family: int(family(addr)), State: netlink.NUD_NONE,
		Flags: netlink.NTF_USE, IP: addr.AsSlice(),
	})
}
