package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
)

// ChangeDesired changes what is desired of a gateway, in [DesiredBucket], whoever else does so meanwhile, and returns the
// revision. key is the hub's. how changes what was desired, the zero [Desired] at first, and may be called again; where it
// returns false nothing is written, and the revision is the last one.
func ChangeDesired(ctx context.Context, bucket jetstream.KeyValue, key nkeys.KeyPair, gateway string, how func(*Desired) bool) (revision uint64, err error) {
	for {
		desired, last, err := lastDesired(ctx, bucket, key, gateway)
		if err != nil {
			return 0, fmt.Errorf("what is desired of %s: %w", gateway, err)
		}
		if !how(&desired) {
			return last, nil
		}
		desired.Serial = max(time.Now().UnixNano(), desired.Serial+1)
		text, err := json.Marshal(desired)
		if err != nil {
			return 0, err
		}
		if text, err = Seal(key, KeySubject(DesiredBucket, gateway), text); err != nil {
			return 0, err
		}
		if last == 0 {
			revision, err = bucket.Create(ctx, gateway, text)
		} else {
			revision, err = bucket.Update(ctx, gateway, text, last)
		}
		if !errors.Is(err, jetstream.ErrKeyExists) { // somebody else was faster: what they wrote stays
			return revision, err
		}
	}
}

// historyLimit is how long a server may take to tell what was desired.
const historyLimit = 10 * time.Second

// lastDesired is what the hub desired last, and the last revision, which may be a stranger's.
func lastDesired(ctx context.Context, bucket jetstream.KeyValue, key nkeys.KeyPair, gateway string) (desired Desired, revision uint64, err error) {
	hub, err := key.PublicKey()
	if err != nil {
		return desired, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, historyLimit)
	defer cancel()
	entries, err := bucket.History(ctx, gateway)
	if ctx.Err() != nil { // then it may be a part
		return desired, 0, ctx.Err()
	}
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return desired, 0, nil
	}
	for _, e := range entries {
		revision = max(revision, e.Revision())
		if d, err := OpenDesired(hub, gateway, e.Value()); err == nil && d.Serial > desired.Serial {
			desired = d
		}
	}
	return desired, revision, err
}

// OpenDesired is what the hub with a public NKey desires of a gateway: what else is in [DesiredBucket] is ErrForged.
func OpenDesired(hub, gateway string, value []byte) (Desired, error) {
	text, err := Open(hub, KeySubject(DesiredBucket, gateway), value)
	if err != nil {
		return Desired{}, err
	}
	var d Desired
	if err := json.Unmarshal(text, &d); err != nil {
		return Desired{}, fmt.Errorf("no JSON object of what is desired: %w", err)
	}
	return d, nil
}
