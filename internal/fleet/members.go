package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Member is what a member said last.
type Member struct {
	Beat
	Seen time.Time // when the server got it: members' clocks may differ
}

// Lost reports a member that has been silent for too long at the time now.
func (m *Member) Lost(now time.Time) bool { return now.Sub(m.Seen) > LostAfter }

// Members are all that ever said that they are there, by name. A beat that cannot be read, or that gives another's name, is
// an error that names it, beside those that can.
func Members(ctx context.Context, js jetstream.JetStream) ([]Member, error) {
	beats, err := js.KeyValue(ctx, BeatBucket)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", BeatBucket, err)
	}
	watch, err := beats.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("read bucket %s: %w", BeatBucket, err)
	}
	defer func() { _ = watch.Stop() }() // of a connection that is lost: none is left
	var members []Member
	var faults error
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("read bucket %s: %w", BeatBucket, ctx.Err())
		case e := <-watch.Updates():
			if e == nil { // all are told
				slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
				return members, faults
			}
			m := Member{Seen: e.Created()}
			if err := json.Unmarshal(e.Value(), &m.Beat); err != nil || m.Name != e.Key() {
				faults = errors.Join(faults, fmt.Errorf("beat of %s: of %q: %w", e.Key(), m.Name, errors.Join(err, errBeat)))
				continue
			}
			members = append(members, m)
		}
	}
}

var errBeat = errors.New("no beat of this version's")
