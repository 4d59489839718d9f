package inject

import (
	"errors"
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
	asked    time.Time // when the kernel was last told to find or confirm it
	deadline time.Time // of an answer to that; zero: none is awaited
}

// resolver knows the way to destinations: it asks the kernel for routes and
// mirrors its neighbour table. It sends nothing; the kernel does ARP.
type resolver struct {
	index   int // of the wire interface
	handle  *netlink.Handle
	done    chan struct{}
	changed chan struct{} // has a token after neighbours or routes have changed

	mu     sync.Mutex
	routes map[netip.Addr]route
	hops   map[netip.Addr]*hop
}

func newResolver(wireIndex int) (*resolver, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	r := &resolver{
		index: wireIndex, handle: handle, done: make(chan struct{}), changed: make(chan struct{}, 1),
		routes: map[netip.Addr]route{}, hops: map[netip.Addr]*hop{},
	}
	if err := r.subscribe(); err != nil {
		r.close()
		return nil, fmt.Errorf("watch routes and neighbours: %w", err)
	}
	return r, nil
}

func (r *resolver) close() {
	close(r.done)
	r.handle.Close()
}

// subscribe follows the kernel's neighbour, route and link tables until close.
func (r *resolver) subscribe() error {
	neighbours := make(chan netlink.NeighUpdate, updateQueue)
	routes := make(chan netlink.RouteUpdate, updateQueue)
	links := make(chan netlink.LinkUpdate, updateQueue)
	err := errors.Join(
		netlink.NeighSubscribeWithOptions(neighbours, r.done, netlink.NeighSubscribeOptions{ListExisting: true}),
		netlink.RouteSubscribeWithOptions(routes, r.done, netlink.RouteSubscribeOptions{}),
		netlink.LinkSubscribeWithOptions(links, r.done, netlink.LinkSubscribeOptions{}),
	)
	go r.follow(neighbours, routes, links)
	return err
}

// follow ends when all three channels are closed, or one was never opened.
func (r *resolver) follow(neighbours <-chan netlink.NeighUpdate, routes <-chan netlink.RouteUpdate, links <-chan netlink.LinkUpdate) {
	for {
		select {
		case <-r.done:
			return
		case u, ok := <-neighbours:
			if !ok {
				neighbours = nil
				continue
			}
			r.learn(u)
		case _, ok := <-routes:
			if !ok {
				routes = nil
				continue
			}
			r.forget()
		case _, ok := <-links:
			if !ok {
				links = nil
				continue
			}
			r.forget()
		}
		r.signal()
	}
}

// signal wakes whoever waits for a next hop.
func (r *resolver) signal() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// learn takes a change of the neighbour table over.
func (r *resolver) learn(u netlink.NeighUpdate) {
	addr, ok := netip.AddrFromSlice(u.IP.To4())
	if !ok || u.LinkIndex != r.index {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.hopLocked(addr)
	switch {
	case u.Type == unix.RTM_NEWNEIGH && u.State&usable != 0 && len(u.HardwareAddr) == 6:
		h.mac, h.usable, h.deadline = [6]byte(u.HardwareAddr), true, time.Time{}
	case u.Type == unix.RTM_DELNEIGH || u.State&netlink.NUD_FAILED != 0:
		h.usable = false
	}
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
			clear(r.routes)
		}
		r.routes[dst] = way
	}
	if way.reason != "" {
		return mac, false, way.reason
	}
	return r.neighbour(way.hop, now)
}

// neighbour gives a hop's address, or has the kernel look for it.
func (r *resolver) neighbour(h *hop, now time.Time) (mac [6]byte, ready bool, reason string) {
	if h.usable {
		if now.Sub(h.asked) > arpRefresh {
			h.asked = now
			r.ask(h.addr) // an error shows when the neighbour table says so
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
		h.asked, h.deadline = now, now.Add(arpTimeout)
		if err := r.ask(h.addr); err != nil {
			h.deadline = now
			return mac, false, ReasonARP
		}
	}
	return mac, false, reasonNoFailure
}

// ask makes the kernel find or confirm a neighbour, as if it had a packet for it.
func (r *resolver) ask(addr netip.Addr) error {
	return r.handle.NeighSet(&netlink.Neigh{
		LinkIndex: r.index, Family: unix.AF_INET, State: netlink.NUD_NONE,
		Flags: netlink.NTF_USE, IP: addr.AsSlice(),
	})
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
	case way.Type != unix.RTN_UNICAST:
		return none(ReasonUnicast)
	case way.LinkIndex != r.index:
		return none(ReasonNoRoute)
	case way.Gw != nil:
		gateway, ok := netip.AddrFromSlice(way.Gw.To4())
		if !ok {
			return none(ReasonNoRoute)
		}
		return route{hop: r.hopLocked(gateway)}
	}
	return route{hop: r.hopLocked(dst)}
}
