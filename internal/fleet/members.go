package fleet

import (
	"context"
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

// OpenBeat reads a member's beat, which it has signed and which gives its name: else it is an error that names it.
func OpenBeat(keys Keyring, name string, value []byte) (Beat, error) {
	var b Beat
	err := OpenJSON(keys(name), KeySubject(BeatBucket, name), value, &b)
	if err == nil && b.Name != name {
		err = fmt.Errorf("it is of %.40q", b.Name)
	}
	if err != nil {
		return Beat{}, fmt.Errorf("beat of %s: %w", name, err)
	}
	return b, nil
}

// Members are all that ever said that they are there, by name. A beat that OpenBeat refuses is an error beside those that it
// does not.
func Members(ctx context.Context, js jetstream.JetStream, keys Keyring) ([]Member, error) {
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
			b, err := OpenBeat(keys, e.Key(), e.Value())
			if err != nil {
				faults = errors.Join(faults, err)
				continue
			}
			members = append(members, Member{b, e.Created()})
		}
	}
}
