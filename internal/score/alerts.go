package score

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"pacgan-appliance/internal/idslog"
	"pacgan-appliance/internal/packet"
)

// alert is one alert as the join needs it: 32 bytes, of which a million are held.
type alert struct {
	flow      int32 // in alerts.keys' numbers
	signature int32
	at        int64 // ns by the sensor's clock: what says which of the flows with its key it belongs to
	seen      int64 // when it was raised; at, or later
	// print is a digest of its packet, 0 without one.
	print    uint32
	mirrored bool // the flow's other direction has the same print
	started  bool // at is when the flow began as the sensor saw it
	reversed bool // one of the flow's two directions
}

// mostAlerts bounds what one sensor's logs may hold: 2.5 GB, with their keys.
const mostAlerts = 20_000_000

// alerts are those of one sensor, with what else its logs say.
type alerts struct {
	Source
	signatures
	keys       map[key]int32 // numbers of the flows that alerts name
	community  bool          // a key is a community id
	list       []alert
	connection map[string][]int32 // Zeek's: alerts in list by uid
	events     uint64             // lines that say something
	torn       int
}

// readAlerts reads a sensor's logs. near lies within half a year of them.
func readAlerts(ctx context.Context, s Source, near time.Time) (*alerts, error) {
	a := &alerts{Source: s, keys: map[key]int32{}, connection: map[string][]int32{}}
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
	f, err := unzipped(path)
	if err != nil {
		return pathless(err)
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
	one := alertOf(e)
	var ok bool
	if one.signature, ok = a.of(e, mostSignatures); !ok {
		return fmt.Errorf("more than %d signatures", mostSignatures)
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

// alertOf is an alert but for its flow and signature.
func alertOf(e *idslog.Event) alert {
	one := alert{seen: e.Time.UnixNano()}
	one.at = one.seen
	one.reversed = reversed(e.Flow)
	one.print, one.mirrored = e.Fingerprint, e.Mirrored
	// A TCP flow that uses its ports again is a new flow to the IDS too; one of
	// UDP or ICMP is the old one, and its start says nothing of this packet.
	if !e.Start.IsZero() && e.Flow.Protocol == packet.ProtoTCP {
		one.at, one.started = e.Start.UnixNano(), true
	}
	return one
}

func (a *alerts) number(k key) int32 {
	n, ok := a.keys[k]
	if !ok {
		n = int32(len(a.keys))
		a.keys[k] = n
	}
	return n
}

// sort brings the alerts of each flow together, the earliest first.
func (a *alerts) sort() {
	slices.SortFunc(a.list, func(x, y alert) int {
		return cmp.Or(cmp.Compare(x.flow, y.flow), cmp.Compare(x.at, y.at), cmp.Compare(x.seen, y.seen))
	})
}

// flowOf is the number of a flow that alerts name; false: none does.
func (a *alerts) flowOf(f *flow) (int32, bool) {
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
