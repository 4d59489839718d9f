package appliance

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/packet"
)

const (
	// recentPackets is how many packets of a label are kept to be injected
	// again, and at most so many that are too young for that.
	recentPackets = 256
	// ripeAge is how old a captured packet must be before it is injected again:
	// the reply to its client, which has the same key, must have come long ago.
	ripeAge = 5 * time.Second
	// ripeSpacing is how far apart young packets are kept once half of their
	// room is used, so that what is kept is not all of one burst.
	ripeSpacing = ripeAge / recentPackets
)

// recent keeps packets that were captured lately, to be injected again: what
// the network answers of them is the most that a model can reach. Its methods
// may be called from several goroutines.
type recent struct {
	now func() time.Time

	mu     sync.Mutex
	labels map[string]*recentLabel
}

// recentLabel is one label's packets.
type recentLabel struct {
	young []recentPacket // the oldest first
	ripe  []recentPacket // a ring once it is full
	next  int            // of ripe, to be replaced
	drawn int            // of ripe, to be drawn
}

// recentPacket is an IP packet and when it was captured.
type recentPacket struct {
	at time.Time
	ip []byte
}

func newRecent() *recent { return &recent{now: time.Now, labels: map[string]*recentLabel{}} }

// load takes up the newest stored packets of labels.
func (r *recent) load(store *dataset.Store, labels []string) error {
	for _, label := range labels {
		captured, err := store.Read(label, recentPackets)
		if err != nil {
			return err
		}
		for _, p := range captured {
			r.offer(p)
		}
	}
	return nil
}

// offer takes up a captured packet where there is room for it. What a generator
// does not learn is passed over.
func (r *recent) offer(p packet.Packet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.labels[p.Label]
	if l == nil {
		l = &recentLabel{}
		r.labels[p.Label] = l
	}
	l.ripen(r.now().Add(-ripeAge))
	ripe := p.Time.Before(r.now().Add(-ripeAge))
	if !ripe && !l.hasRoom(p.Time) {
		return
	}
	ip, _ := ipPackets([]packet.Packet{p}) // as a generator would learn it
	if len(ip) == 0 {
		return
	}
	kept := recentPacket{p.Time, ip[0]}
	if ripe {
		l.keep(kept)
		return
	}
	l.young = append(l.young, kept)
}

// hasRoom reports whether a packet captured at this time may join the young.
func (l *recentLabel) hasRoom(at time.Time) bool {
	n := len(l.young)
	return n < recentPackets/2 || n < recentPackets && at.Sub(l.young[n-1].at) >= ripeSpacing
}

// ripen moves what was captured before a time to the ripe ones.
func (l *recentLabel) ripen(before time.Time) {
	n := 0
	for n < len(l.young) && l.young[n].at.Before(before) {
		l.keep(l.young[n])
		n++
	}
	l.young = slices.Delete(l.young, 0, n)
}

func (l *recentLabel) keep(p recentPacket) {
	if len(l.ripe) < recentPackets {
		l.ripe = append(l.ripe, p)
		return
	}
	l.ripe[l.next] = p
	l.next = (l.next + 1) % recentPackets
}

// has reports whether a label has packets to inject.
func (r *recent) has(label string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.labels[label]
	if l == nil {
		return false
	}
	l.ripen(r.now().Add(-ripeAge))
	return len(l.ripe) > 0
}

// draw appends the next of a label's packets to buf: all the others come before
// it comes again, since two equal packets on their way are in each other's way.
func (r *recent) draw(label string, buf []byte) ([]byte, error) {
	if !r.has(label) {
		return buf, fmt.Errorf("label %q: no captured packets to replay", label)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.labels[label]
	l.drawn = (l.drawn + 1) % len(l.ripe)
	return append(buf, l.ripe[l.drawn].ip...), nil
}

// since are a label's packets that were captured after a time, at most
// recentPackets of them, the newest.
func (r *recent) since(label string, at time.Time) [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.labels[label]
	if l == nil {
		return nil
	}
	var found []recentPacket
	for _, p := range slices.Concat(l.ripe, l.young) {
		if p.at.After(at) {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b recentPacket) int { return a.at.Compare(b.at) })
	packets := make([][]byte, 0, recentPackets)
	for _, p := range found[max(0, len(found)-recentPackets):] {
		packets = append(packets, p.ip)
	}
	return packets
}

// recentDrawer draws captured packets by the place of their label.
type recentDrawer struct {
	recent *recent
	names  []string
}

// ready reports whether every label has packets.
func (d recentDrawer) ready() bool {
	return !slices.ContainsFunc(d.names, func(name string) bool { return !d.recent.has(name) })
}

// draw implements drawer.
func (d recentDrawer) draw(label int, buf []byte) ([]byte, error) {
	return d.recent.draw(d.names[label], buf)
}
