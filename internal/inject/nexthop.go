package inject

import (
	"cmp"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	arpTimeout  = time.Second      // how long a next hop has to answer
	arpRetry    = 5 * time.Second  // a next hop that did not is asked again after this
	arpRefresh  = 10 * time.Second // a next hop in use is confirmed this often
	routeRetry  = 2 * time.Second  // a destination without a route is looked up again after this
	maxRoutes   = 1 << 16          // destinations remembered
	updateQueue = 256
	updateBytes = 1 << 18 // of each netlink socket

	resubscribeAfter = 100 * time.Millisecond
)

// usable are the neighbour states whose address the kernel itself would use.
const usable = netlink.NUD_REACHABLE | netlink.NUD_STALE | netlink.NUD_DELAY |
	netlink.NUD_PROBE | netlink.NUD_PERMANENT | netlink.NUD_NOARP

// route is where packets for one destination go.
type route struct {
	hop    *hop
	reason string    // why there is none
	until  time.Time // for a reason: when to look again
}

// hop is a next hop on the wire interface.
type hop struct {
	addr     netip.Addr
	mac      [6]byte
	usable   bool
	fixed    bool      // by somebody's hand: never asked for, which would end that
	asked    time.Time // when the kernel was last told to find or confirm it
	deadline time.Time // of an answer to that; zero: none is awaited
}

// resolver knows the way to destinations: it asks the kernel for routes and
// mirrors its neighbour table. It sends nothing; the kernel does ARP and
// neighbour discovery.
type resolver struct {
	index   int // of the wire interface
	table   *neighbours
	fixed   *[6]byte // where frames go whose destination has a route; nil: to its next hop
	handle  *netlink.Handle
	done    chan struct{}
	moved   func()        // called when this machine's addresses may have changed
	resized func(mtu int) // called when the wire's MTU may have changed
	changed func()        // called after neighbours or routes have changed

	mu     sync.Mutex
	routes map[netip.Addr]route
	hops   map[netip.Addr]*hop
}

func newResolver(wireIndex int, fixed *[6]byte, moved func(), resized func(mtu int), changed func()) (*resolver, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	table, err := openNeighbours(wireIndex, handle)
	if err != nil {
		handle.Close()
		return nil, err
	}
	r := &resolver{
		index: wireIndex, table: table, fixed: fixed, handle: handle, moved: moved, resized: resized, done: make(chan struct{}), changed: changed,
		routes: map[netip.Addr]route{}, hops: map[netip.Addr]*hop{},
	}
	tables, err := r.subscribe()
	if err != nil {
		table.close()
		handle.Close()
		return nil, fmt.Errorf("watch routes and neighbours: %w", err)
	}
	go r.follow(tables)
	return r, nil
}

func (r *resolver) close() {
	close(r.done)
	r.table.close()
	r.handle.Close()
}

// tables are subscriptions to the kernel's tables. A channel closes when the
// kernel had more news than the socket had room for.
type tables struct {
	neighbours chan netlink.NeighUpdate
	routes     chan netlink.RouteUpdate
	links      chan netlink.LinkUpdate
	stop       chan struct{}
}

func (r *resolver) subscribe() (*tables, error) {
	t := &tables{
		make(chan netlink.NeighUpdate, updateQueue), make(chan netlink.RouteUpdate, updateQueue),
		make(chan netlink.LinkUpdate, updateQueue), make(chan struct{}),
	}
	err := cmp.Or(
		netlink.NeighSubscribeWithOptions(t.neighbours, t.stop, netlink.NeighSubscribeOptions{ListExisting: true, ReceiveBufferSize: updateBytes}),
		netlink.RouteSubscribeWithOptions(t.routes, t.stop, netlink.RouteSubscribeOptions{ReceiveBufferSize: updateBytes}),
		netlink.LinkSubscribeWithOptions(t.links, t.stop, netlink.LinkSubscribeOptions{ReceiveBufferSize: updateBytes}),
	)
	if err != nil {
		close(t.stop)
		return nil, err
	}
	return t, nil
}

// drain ends subscriptions: their senders may be waiting for a reader.
func (t *tables) drain() {
	close(t.stop)
	for range t.neighbours {
	}
	for range t.routes {
	}
	for range t.links {
	}
}

// follow keeps the mirror right until close. Where news were lost it begins
// anew, as at first.
func (r *resolver) follow(t *tables) {
	for t != nil {
		for r.take(t) {
			r.changed()
		}
		go t.drain()
		r.reset()
		if t = r.resubscribe(); t != nil {
			r.moved() // that may have been among what was lost
		}
	}
}

// take waits for one piece of news; it is false when there will be no more.
func (r *resolver) take(t *tables) bool {
	select {
	case <-r.done:
		return false
	case u, ok := <-t.neighbours:
		if ok {
			r.learn(u)
		}
		return ok
	case u, ok := <-t.routes:
		r.forget()
		if ok && u.Table == unix.RT_TABLE_LOCAL { // an address came or went
			r.moved()
		}
		return ok
	case u, ok := <-t.links:
		r.forget()
		if ok && int(u.Index) == r.index && u.Header.Type == unix.RTM_NEWLINK {
			r.resized(u.Attrs().MTU)
		}
		return ok
	}
}

// resubscribe tries until it can; nil after close.
func (r *resolver) resubscribe() *tables {
	for {
		select {
		case <-r.done:
			return nil
		case <-time.After(resubscribeAfter):
		}
		if t, err := r.subscribe(); err == nil {
			return t
		}
	}
}

// reset forgets all: what is still true will be heard again.
func (r *resolver) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.routes)
	clear(r.hops)
}

// learn takes a change of the neighbour table over.
func (r *resolver) learn(u netlink.NeighUpdate) {
	addr, ok := netip.AddrFromSlice(u.IP)
	addr = addr.Unmap()
	if !ok || u.LinkIndex != r.index {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.hopLocked(addr)
	switch {
	case u.Type == unix.RTM_NEWNEIGH && h.take(&u.Neigh):
	case u.Type == unix.RTM_DELNEIGH || u.State&netlink.NUD_FAILED != 0:
		h.usable = false
	}
}

// take has the hop go where the neighbour table says, if it says where.
func (h *hop) take(n *netlink.Neigh) bool {
	if n.State&usable == 0 || len(n.HardwareAddr) != 6 {
		return false
	}
	h.mac, h.usable, h.deadline = [6]byte(n.HardwareAddr), true, time.Time{}
	h.fixed = n.State&(netlink.NUD_PERMANENT|netlink.NUD_NOARP) != 0
	return true
}

// forget drops the routes, which may have changed.
func (r *resolver) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.routes)
}

func (r *resolver) hopLocked(addr netip.Addr) *hop {
	h := r.hops[addr]
	if h == nil {
		h = &hop{addr: addr}
		r.hops[addr] = h
	}
	return h
}

// resolve gives the Ethernet address that packets for dst go to. Where it is
// not known yet, ready is false and reason is "": ask again after changed.
// Otherwise reason says why there is none.
func (r *resolver) resolve(dst netip.Addr, now time.Time) (mac [6]byte, ready bool, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	way, known := r.routes[dst]
	if !known || way.reason != "" && now.After(way.until) {
		way = r.lookUp(dst, now)
		if len(r.routes) >= maxRoutes {
			r.prune()
		}
		r.routes[dst] = way
	}
	if way.reason != "" {
		return mac, false, way.reason
	}
	if r.fixed != nil {
		return *r.fixed, true, ""
	}
	return r.neighbour(way.hop, now)
}

// prune makes room: it forgets the routes, and the hops that nobody has.
func (r *resolver) prune() {
	clear(r.routes)
	for addr, h := range r.hops {
		if !h.usable {
			delete(r.hops, addr)
		}
	}
}

// neighbour gives a hop's address, or has the kernel look for it.
func (r *resolver) neighbour(h *hop, now time.Time) (mac [6]byte, ready bool, reason string) {
	if h.usable {
		if !h.fixed && now.Sub(h.asked) > arpRefresh {
			h.asked = now
			r.table.ask(h.addr) // an error shows when the neighbour table says so
		}
		return h.mac, true, ""
	}
	if !h.deadline.IsZero() && now.After(h.deadline) {
		if now.Sub(h.asked) < arpRetry {
			return mac, false, ReasonARP
		}
		h.deadline = time.Time{}
	}
	if h.deadline.IsZero() {
		// The table may know what we have not heard of yet. To ask for an entry
		// that somebody has made permanent would end that.
		if known, err := r.table.find(h.addr); err == nil && known != nil && h.take(known) {
			return h.mac, true, ""
		}
		h.asked, h.deadline = now, now.Add(arpTimeout)
		if err := r.table.ask(h.addr); err != nil {
			h.deadline = now
			return mac, false, ReasonARP
		}
	}
	return mac, false, reasonNoFailure
}

// lookUp asks the kernel for the route to dst.
func (r *resolver) lookUp(dst netip.Addr, now time.Time) route {
	none := func(reason string) route { return route{reason: reason, until: now.Add(routeRetry)} }
	found, err := r.handle.RouteGet(dst.AsSlice())
	if err != nil || len(found) == 0 {
		return none(ReasonNoRoute)
	}
	switch way := found[0]; {
	case way.Type == unix.RTN_LOCAL:
		return none(ReasonLocal)
	case way.LinkIndex == r.index && (way.Type == unix.RTN_BROADCAST || way.Type == unix.RTN_MULTICAST):
		return route{hop: &hop{addr: dst, mac: groupAddress(dst, way.Type), usable: true, fixed: true}}
	case way.Type != unix.RTN_UNICAST:
		return none(ReasonUnicast)
	case way.LinkIndex != r.index:
		return none(ReasonNoRoute)
	case way.Gw != nil:
		gateway, ok := netip.AddrFromSlice(way.Gw)
		if !ok {
			return none(ReasonNoRoute)
		}
		return route{hop: r.hopLocked(gateway.Unmap())}
	}
	return route{hop: r.hopLocked(dst)}
}

// groupAddress is the Ethernet address of a group of hosts (RFC 1112, 6.4; RFC
// 2464, 7), for those who name one to the guard.
func groupAddress(dst netip.Addr, kind int) [6]byte {
	a := dst.As16()
	switch {
	case kind == unix.RTN_BROADCAST:
		return [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	case dst.Is4():
		return [6]byte{0x01, 0x00, 0x5e, a[13] & 0x7f, a[14], a[15]}
	}
	return [6]byte{0x33, 0x33, a[12], a[13], a[14], a[15]}
}
