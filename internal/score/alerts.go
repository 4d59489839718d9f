package score

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"pacgan-appliance/internal/idslog"
	"pacgan-appliance/internal/packet"
)

// alert is one alert as the join needs it: 40 bytes, of which a million are held.
type alert struct {
	flow      int32 // in alerts.keys' numbers
	signature int32
	at        int64 // ns by the sensor's clock: what says which of the flows with its key it belongs to
	seen      int64 // when it was raised; at, or later
	started   bool  // at is when the flow began as the sensor saw it
}

// signature is a rule that fired.
type signature struct {
	id, text    string
	first, last int64 // ns by the sensor's clock
}

// Bounds of what one sensor's logs may hold.
const (
	mostAlerts     = 20_000_000 // 2.5 GB, with their keys
	mostSignatures = 100_000    // all of a large rule set
)

// alerts are those of one sensor, with what else its logs say.
type alerts struct {
	Source
	keys       map[key]int32 // numbers of the flows that alerts name
	community  bool          // a key is a community id
	list       []alert
	signatures []signature
	known      map[string]int32   // signatures by id
	connection map[string][]int32 // Zeek's: alerts in list by uid
	events     uint64             // lines that say something
	torn       int
}

// readAlerts reads a sensor's logs. near lies within half a year of them.
func readAlerts(ctx context.Context, s Source, near time.Time) (*alerts, error) {
	a := &alerts{Source: s, keys: map[key]int32{}, known: map[string]int32{}, connection: map[string][]int32{}}
	take := func(e *idslog.Event) error {
		a.events++
		if !e.Alert {
			return nil
		}
		return a.add(e)
	}
	if err := a.readFiles(ctx, near, take); err != nil {
		return nil, err
	}
	if len(a.connection) > 0 { // conn.log is of use to notices only, and may come before notice.log
		if err := a.readFiles(ctx, near, func(e *idslog.Event) error { a.connect(e); return nil }); err != nil {
			return nil, err
		}
	}
	a.sort()
	return a, nil
}

func (a *alerts) readFiles(ctx context.Context, near time.Time, take func(*idslog.Event) error) error {
	a.torn = 0
	for _, path := range a.Paths {
		if err := a.readFile(ctx, path, near, take); err != nil {
			return fmt.Errorf("%s %s: %w", a.Kind, path, err)
		}
	}
	return nil
}

// connect has notices know of their connection what conn.log says.
func (a *alerts) connect(e *idslog.Event) {
	k := keyOf(e.Flow)
	if e.Alert || e.Start.IsZero() || k == (key{}) {
		return
	}
	for _, i := range a.connection[string(e.Connection)] {
		one := &a.list[i]
		one.flow = a.number(k)
		if e.Flow.Protocol == packet.ProtoTCP {
			one.at, one.started = e.Start.UnixNano(), true
		}
	}
}

func (a *alerts) readFile(ctx context.Context, path string, near time.Time, take func(*idslog.Event) error) error {
	f, err := os.Open(path)
	if err != nil {
		return errors.Unwrap(err)
	}
	defer f.Close()
	p, err := idslog.NewParser(a.Kind, near)
	if err != nil {
		return err
	}
	var e idslog.Event
	parser := func() func(block) (struct{}, error) {
		return func(b block) (struct{}, error) {
			return struct{}{}, b.eachLine(func(line []byte) error {
				said, err := p.Parse(line, &e)
				if err != nil || !said {
					return err
				}
				return take(&e)
			})
		}
	}
	// One worker: a Zeek log's head says what its lines mean.
	torn, err := eachBlock(ctx, f, 1, parser, func(struct{}) error { return nil })
	if torn > 0 {
		a.torn++
	}
	return err
}

func (a *alerts) add(e *idslog.Event) error {
	if len(a.list) >= mostAlerts {
		return fmt.Errorf("more than %d alerts: score a shorter time", mostAlerts)
	}
	n, err := a.signature(e)
	if err != nil {
		return err
	}
	one := alert{signature: n, seen: e.Time.UnixNano()}
	one.at = one.seen
	// A TCP flow that uses its ports again is a new flow to the IDS too; one of
	// UDP or ICMP is the old one, and its start says nothing of this packet.
	if !e.Start.IsZero() && e.Flow.Protocol == packet.ProtoTCP {
		one.at, one.started = e.Start.UnixNano(), true
	}
	k := keyOf(e.Flow)
	if k == (key{}) {
		k = communityKey(e.CommunityID)
		a.community = a.community || k.protocol == byCommunity
	}
	one.flow = a.number(k)
	if len(e.Connection) > 0 {
		uid := string(e.Connection)
		a.connection[uid] = append(a.connection[uid], int32(len(a.list)))
	}
	a.list = append(a.list, one)
	return nil
}

func (a *alerts) number(k key) int32 {
	n, ok := a.keys[k]
	if !ok {
		n = int32(len(a.keys))
		a.keys[k] = n
	}
	return n
}

func (a *alerts) signature(e *idslog.Event) (int32, error) {
	at := e.Time.UnixNano()
	n, ok := a.known[string(e.ID)]
	if !ok {
		if len(a.signatures) >= mostSignatures {
			return 0, fmt.Errorf("more than %d signatures", mostSignatures)
		}
		n = int32(len(a.signatures))
		s := signature{id: string(e.ID), text: string(e.Text), first: at, last: at}
		a.known[s.id] = n
		a.signatures = append(a.signatures, s)
	}
	s := &a.signatures[n]
	s.first, s.last = min(s.first, at), max(s.last, at)
	return n, nil
}

// sort brings the alerts of each flow together, the earliest first.
func (a *alerts) sort() {
	slices.SortFunc(a.list, func(x, y alert) int {
		return cmp.Or(cmp.Compare(x.flow, y.flow), cmp.Compare(x.at, y.at), cmp.Compare(x.seen, y.seen))
	})
}

// of is the number of a flow that alerts name; false: none does.
func (a *alerts) of(f *flow) (int32, bool) {
	n, ok := a.keys[f.key]
	if ok && f.key.protocol != 0 {
		return n, true
	}
	if !a.community || f.community.protocol == 0 {
		return 0, false
	}
	n, ok = a.keys[f.community]
	return n, ok
}
