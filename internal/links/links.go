// Package links tells what becomes of the interfaces that the daemon's programs
// are attached to. It attaches nothing and changes no interface.
package links

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ErrGone says that an interface is no more, and with it what was attached to
// it: another one of its name is another interface.
var ErrGone = errors.New("has gone, and the programs on it: the daemon has to start again")

// Change is what happened to an interface that is still there.
type Change struct {
	Interface string // its name when watching began
	What      string // in words
	Bad       bool   // frames do not pass for now
}

// state is what is watched of an interface.
type state struct {
	name    string
	running bool // up, and so is the other end of its wire
	mtu     int
}

// Watch follows some interfaces by their indexes.
type Watch struct {
	names map[int]string // as they were at first
	seen  map[int]state
}

// New begins with the interfaces as they are now.
func New(names ...string) (*Watch, error) {
	w := &Watch{names: map[int]string{}, seen: map[int]state{}}
	for _, name := range names {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return nil, fmt.Errorf("interface %q: %w", name, err)
		}
		index := link.Attrs().Index
		w.names[index], w.seen[index] = name, stateOf(link)
	}
	return w, nil
}

func stateOf(link netlink.Link) state {
	a := link.Attrs()
	return state{a.Name, a.RawFlags&unix.IFF_UP != 0 && a.RawFlags&unix.IFF_RUNNING != 0, a.MTU}
}

// Run calls say for each change until ctx ends, which is no error, or until one
// of the interfaces is gone: ErrGone. It is for one goroutine, and may be run
// again: what changed meanwhile is said first.
func (w *Watch) Run(ctx context.Context, say func(Change)) error {
	for ctx.Err() == nil {
		if err := w.follow(ctx, say); err != nil {
			return err
		}
	}
	return nil
}

// follow is Run until the kernel had more news than there was room for.
func (w *Watch) follow(ctx context.Context, say func(Change)) error {
	stop := make(chan struct{})
	defer close(stop)
	updates := make(chan netlink.LinkUpdate, 64)
	if err := netlink.LinkSubscribe(updates, stop); err != nil {
		return fmt.Errorf("watch interfaces: %w", err)
	}
	for index, name := range w.names { // as it is, since before the subscription
		link, err := netlink.LinkByIndex(index)
		if _, missing := errors.AsType[netlink.LinkNotFoundError](err); missing {
			return fmt.Errorf("interface %q %w", name, ErrGone)
		}
		if err != nil {
			return fmt.Errorf("interface %q: %w", name, err)
		}
		w.take(link, say)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case u, ok := <-updates:
			if !ok {
				return nil
			}
			name, ours := w.names[int(u.Index)]
			switch {
			case !ours || u.Family == unix.AF_BRIDGE: // a bridge tells of its ports in the same words
			case u.Header.Type == unix.RTM_DELLINK:
				return fmt.Errorf("interface %q %w", name, ErrGone)
			default:
				w.take(u.Link, say)
			}
		}
	}
}

// take compares an interface with what was seen of it.
func (w *Watch) take(link netlink.Link, say func(Change)) {
	index := link.Attrs().Index
	was, now, name := w.seen[index], stateOf(link), w.names[index]
	w.seen[index] = now
	if now.name != was.name {
		say(Change{name, fmt.Sprintf("is called %q now: the config's name is wrong at the next start", now.name), false})
	}
	if now.mtu != was.mtu {
		say(Change{name, fmt.Sprintf("has an MTU of %d now, %d before", now.mtu, was.mtu), false})
	}
	switch {
	case was.running && !now.running:
		say(Change{name, "is down: nothing passes it", true})
	case !was.running && now.running:
		say(Change{name, "is up again", false})
	}
}
