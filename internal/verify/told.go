package verify

import (
	"fmt"
	"math"
	"os"
	"time"
	"unsafe"

	"pacgan-appliance/internal/ktime"
	"pacgan-appliance/internal/ring"
)

// Tiding is the kind of a Told.
type Tiding uint32

// The tidings.
const (
	TidingSettled = Tiding(matchTidingTIDING_SETTLED) // a verdict: answered where Reason is empty, else rejected
	TidingExpired = Tiding(matchTidingTIDING_EXPIRED) // no response in time; N equal packets at once
	TidingUnasked = Tiding(matchTidingTIDING_UNASKED) // sent on by the guard, no answer is expected
	TidingBlocked = Tiding(matchTidingTIDING_BLOCKED) // refused by the guard: where it would go
	TidingFull    = Tiding(matchTidingTIDING_FULL)    // refused by the guard: no room for the expectation
	TidingBusy    = Tiding(matchTidingTIDING_BUSY)    // refused by the guard: another label's packet is expected under its key
	TidingJoined  = Tiding(matchTidingTIDING_JOINED)  // pending together with the equal packet Other: a reply may be either's
)

// Told is what the kernel programs tell of one packet, by the id that its frame
// carried (inject's). An expectation that equal packets share has the id of
// the newest: which of them a reply belongs to cannot be known.
type Told struct {
	ID     uint32
	Label  int
	Tiding Tiding
	Reason string        // TidingSettled: why the response is not valid; "": it is
	RTT    time.Duration // TidingSettled
	// Left is when the packet passed the guard, of a conversation its SYN, by the
	// kernel's clock; of TidingJoined when Other did. Zero: it never did.
	Left  time.Time
	Span  time.Duration // TidingSettled: from Left to the reply
	N     int           // how many packets; 1 but for TidingExpired
	Other uint32        // TidingJoined; TidingBlocked: why, see inject.BlockedReason
}

// Bounds of the ring, in bytes: room for 2,000 packets that leave or are
// refused between two sweeps, whatever the table; and for what a million packets
// a second bring.
const (
	leastTidings = 1 << 16
	mostTidings  = 1 << 23
)

// tidingsBytes is the ring's size: the least where nobody listens, else room for
// a quarter of the table, which is all that can be pending at the rate that it
// is made for: one sweep may find it expired. The ring is resident, twice, once
// it was used.
func (o Options) tidingsBytes() uint32 {
	const record = 8 + int(unsafe.Sizeof(matchTold{})) // with the ring's header
	if o.Tell == nil {
		return uint32(os.Getpagesize())
	}
	size := leastTidings
	for size < o.Expectations/4*record && size < mostTidings {
		size <<= 1
	}
	return uint32(size)
}

// openTidings begins to listen.
func (v *Verifier) openTidings() error {
	if v.options.Tell == nil {
		return nil
	}
	var err error
	if v.tidings, err = ring.NewReader(v.match.Tidings, 0); err != nil {
		return err
	}
	for reason := range v.reasons {
		v.reasons[reason] = matchReason(reason).String()
	}
	v.reasons[matchReasonREASON_ANSWERED] = ""
	return nil
}

// tell hands on what the programs have told up to now. All verdicts that fell
// before the time since are among it and what was told before, but for those
// that Untold counts.
func (v *Verifier) tell(since time.Time) error {
	if v.tidings == nil {
		return nil
	}
	v.told = v.told[:0]
	v.boot = bootTime()
	for {
		found, err := v.tidings.Next(&v.record)
		if err != nil {
			return fmt.Errorf("verify: tidings: %w", err)
		}
		if !found {
			break
		}
		if t, ok := v.toldOf(v.record.RawSample); ok {
			v.told = append(v.told, t)
		}
	}
	v.options.Tell(v.told, since)
	return nil
}

// bootTime is when the clock of bpf_ktime_get_ns was 0. It is the same until
// the time of day is set, so of several readings the quickest is nearest to it.
func bootTime() time.Time {
	var best time.Time
	least := time.Duration(math.MaxInt64)
	for range 3 {
		before := ktime.Now()
		now := time.Now()
		if took := ktime.Now() - before; took < least {
			least, best = took, now.Round(0).Add(-before-took/2)
		}
	}
	return best
}

// toldOf reads the kernel's struct told.
func (v *Verifier) toldOf(raw []byte) (Told, bool) {
	if len(raw) < int(unsafe.Sizeof(matchTold{})) {
		return Told{}, false
	}
	e := (*matchTold)(unsafe.Pointer(&raw[0]))
	t := Told{ID: e.Id, Label: int(e.Label), Tiding: Tiding(e.What), N: 1, Span: time.Duration(e.SpanNs)}
	if e.LeftNs != 0 {
		t.Left = v.boot.Add(time.Duration(e.LeftNs))
	}
	switch t.Tiding {
	case TidingSettled:
		t.RTT = time.Duration(e.RttNs)
		if e.Other < uint32(len(v.reasons)) {
			t.Reason = v.reasons[e.Other]
		}
	case TidingExpired:
		t.N = int(e.Other)
	case TidingJoined, TidingBlocked:
		t.Other = e.Other
	}
	return t, true
}

// Untold is how many Tolds the ring had no room for.
func (v *Verifier) Untold() (uint64, error) {
	v.sweeping.Lock()
	defer v.sweeping.Unlock()
	if v.closed { // the map is, perhaps while a Run ends
		return 0, errClosed
	}
	var n uint64
	if err := v.match.Untold.Lookup(uint32(0), &n); err != nil {
		return 0, fmt.Errorf("verify: read what was not told: %w", err)
	}
	return n, nil
}
