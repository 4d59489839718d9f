package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// ChangeDesired changes what is desired of a gateway, in [DesiredBucket], whoever else does so meanwhile, and returns the
// revision. how changes what was desired, the zero [Desired] at first, and may be called again; where it returns false
// nothing is written, and the revision is the last one.
func ChangeDesired(ctx context.Context, bucket jetstream.KeyValue, gateway string, how func(*Desired) bool) (revision uint64, err error) {
	for {
		var desired Desired
		var last uint64
		entry, err := bucket.Get(ctx, gateway)
		switch {
		case errors.Is(err, jetstream.ErrKeyNotFound):
		case err != nil:
			return 0, fmt.Errorf("what is desired of %s: %w", gateway, err)
		default:
			last = entry.Revision()
			if err := json.Unmarshal(entry.Value(), &desired); err != nil {
				return 0, fmt.Errorf("what is desired of %s: %w", gateway, err)
			}
		}
		if !how(&desired) {
			return last, nil
		}
		text, err := json.Marshal(desired)
		if err != nil {
			return 0, err
		}
		if entry == nil {
			revision, err = bucket.Create(ctx, gateway, text)
		} else {
			revision, err = bucket.Update(ctx, gateway, text, last)
		}
		if !errors.Is(err, jetstream.ErrKeyExists) { // somebody else was faster: what they wrote stays
			return revision, err
		}
	}
}
