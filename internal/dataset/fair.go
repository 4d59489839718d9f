package dataset

import (
	"net/netip"
	"time"

	"pacgan-appliance/internal/packet"
)

// What one source may have stored of a label: sourceFloor packets in any
// sourceWindow, and beyond that no more than all others together. So whoever
// sends as fast as the wire takes it has half of what is stored at most, and
// who is alone on a network is stored, too, at a bounded rate.
const (
	sourceFloor  = 2000
	sourceWindow = 10 * time.Minute
	// mostSources are told apart; those that come after them in the same
	// window share one allowance, so that invented addresses cost no memory.
	mostSources = 4096
)

// admission decides which of a label's packets are stored.
type admission struct {
	stored map[netip.Addr]uint32 // in this window; the zero Addr: all that are not told apart
	total  uint32
	since  time.Time
}

// admit counts a packet in if its source has not had its share.
func (a *admission) admit(p packet.Packet, now time.Time) bool {
	if a.stored == nil || now.Sub(a.since) >= sourceWindow || now.Before(a.since) {
		a.begin(now)
	}
	source := sourceOf(p)
	n, known := a.stored[source]
	if !known && len(a.stored) >= mostSources {
		source = netip.Addr{}
		n = a.stored[source]
	}
	if n >= sourceFloor && n >= a.total-n {
		return false
	}
	a.stored[source] = n + 1
	a.total++
	return true
}

// begin starts a window. Half of what the last one counted counts on, or a
// source could have twice its share around every turn.
func (a *admission) begin(now time.Time) {
	if a.stored == nil {
		a.stored = map[netip.Addr]uint32{}
	}
	a.since, a.total = now, 0
	for source, n := range a.stored {
		if n /= 2; n == 0 {
			delete(a.stored, source)
			continue
		}
		a.stored[source] = n
		a.total += n
	}
}

// sourceOf is who sent a packet; the zero Addr where that is not said.
func sourceOf(p packet.Packet) netip.Addr {
	ip, err := packet.IPOf(p.Frame)
	if err != nil {
		return netip.Addr{}
	}
	parsed, err := packet.ParseIP(ip)
	if err != nil {
		return netip.Addr{}
	}
	return parsed.Src()
}
