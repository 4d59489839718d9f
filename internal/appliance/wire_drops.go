package appliance

import (
	"fmt"

	"github.com/vishvananda/netlink"

	"pacgan-appliance/internal/inject"
)

// DropStatus are frames that were lost or refused, wherever that was.
type DropStatus struct {
	Ring         uint64 `json:"ring"`          // captured frames: the ring was full
	Disk         int    `json:"disk"`          // captured packets: the disk was full
	Cable        uint64 `json:"cable"`         // handed to the kernel, never seen by the guard
	Foreign      uint64 `json:"foreign"`       // on the injection cable, not written by us
	NotIPv4      uint64 `json:"not_ipv4"`      // refused by the guard
	NotAllowed   uint64 `json:"not_allowed"`   // refused by the guard: outside the allow-list
	Unexpected   uint64 `json:"unexpected"`    // refused by the guard: no room for the expectation
	Reserved     uint64 `json:"reserved"`      // refused by the guard: allowed, but this machine's own, broadcast, multicast or management
	Paused       uint64 `json:"paused"`        // refused by the guard: on their way at a pause
	Late         uint64 `json:"late"`          // refused by the guard: nobody had minded it for 2 s
	Fast         uint64 `json:"fast"`          // refused by the guard: above safety.max_rate
	Wire         uint64 `json:"wire"`          // by the wire interface since the start, whoever sent them
	SegmentsLost uint64 `json:"segments_lost"` // that a conversation did not hear of
}

// drops reads what was lost between the source and the verdict.
func (w *wire) drops() (DropStatus, error) {
	counts, err := w.injector.Counts()
	if err != nil {
		return DropStatus{}, err
	}
	guard, err := w.injector.Drops()
	if err != nil {
		return DropStatus{}, err
	}
	oddities, err := w.verifier.Oddities()
	if err != nil {
		return DropStatus{}, err
	}
	d := DropStatus{
		Foreign: guard.Foreign, NotIPv4: guard.NotIP, NotAllowed: guard.NotAllowed, Unexpected: guard.Unexpected,
		Reserved: guard.Reserved, Paused: guard.Paused, Late: guard.Stale, Fast: guard.Fast,
		SegmentsLost: oddities.SegmentsLost,
	}
	for _, c := range counts {
		d.Cable += c.Failed[inject.ReasonLost]
	}
	if now := transmitDrops(w.name); now > w.dropped {
		d.Wire = now - w.dropped
	}
	return d, nil
}

// transmitDrops is how many frames an interface has dropped instead of sending
// them; 0 where it cannot be told.
func transmitDrops(name string) uint64 {
	link, err := netlink.LinkByName(name)
	if err != nil || link.Attrs().Statistics == nil {
		return 0
	}
	s := link.Attrs().Statistics
	return s.TxDropped + s.TxErrors
}

// warnings say at which stage packets were lost, and what to look at. Losses
// that a count of its own tells (blocked, expired) are not among them.
func (d DropStatus) warnings(wan string) []string {
	var out []string
	add := func(n uint64, format string, args ...any) {
		if n > 0 {
			out = append(out, thousands(n)+" "+fmt.Sprintf(format, args...))
		}
	}
	add(d.Ring, "captured frames lost in the ring: more arrive than are stored; narrow the filters")
	add(uint64(d.Disk), "captured packets lost: the disk is full; free some, or lower state.max_bytes")
	add(d.Cable, `packets lost between the socket and the guard: see "ip -s link show %s", and whether the guard is still attached`, inject.DefaultNear)
	add(d.Foreign, "frames on the injection cable that are not ours, dropped: something else writes to %s", inject.DefaultNear)
	add(d.Unexpected, "packets refused by the guard: its table of expected replies is full; lower inject.rate or inject.timeout")
	add(d.Reserved, "frames refused whose destination is this machine's own, broadcast, multicast or of a network that is not under test: name it in safety.allow_reserved where it shall be sent to")
	add(d.Late, "frames refused that had waited too long on the injection cable: the daemon was stopped, or %s has a queue that it should not have", inject.DefaultNear)
	add(d.Fast, "frames refused above safety.max_rate: that is a fault of pacgan-appliance, or something else writes to %s", inject.DefaultNear)
	add(d.Wire, `frames dropped by %s while it was to send them: see "ip -s link show %s"`, wan, wan)
	add(d.SegmentsLost, "segments of TCP conversations lost on their way from the matcher: their packets may expire; lower inject.rate")
	return out
}
