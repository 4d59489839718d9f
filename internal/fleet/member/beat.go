package member

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pacgan-appliance/internal/fleet"
)

// beatSubject is the subject of a member's key in fleet.BeatBucket: it is written without leave to read the bucket.
func beatSubject(name string) string { return "$KV." + fleet.BeatBucket + "." + name }

// Beat says every fleet.BeatInterval what beat returns, until ctx ends, which is no error. What fails is tried again with
// the next one, and told once.
func Beat(ctx context.Context, js jetstream.JetStream, beat func() (fleet.Beat, error), log *slog.Logger) error {
	return beatAlways(ctx, js, beat, func(bool) {}, log)
}

// beatAlways is Beat that tells of each beat whether it was heard.
func beatAlways(ctx context.Context, js jetstream.JetStream, beat func() (fleet.Beat, error), heard func(bool), log *slog.Logger) error {
	tick := time.NewTicker(fleet.BeatInterval)
	defer tick.Stop()
	for said := ""; ; {
		err := unlessAway(js.Conn(), beatOnce(ctx, js, beat))
		heard(err == nil)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			said = ""
		case err.Error() != said:
			said = err.Error()
			logUnlessAway(log, err, "fleet: the hub does not hear how this one fares")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func beatOnce(ctx context.Context, js jetstream.JetStream, beat func() (fleet.Beat, error)) error {
	b, err := beat()
	if err != nil {
		return err
	}
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fleet.BeatInterval)
	defer cancel()
	_, err = js.Publish(ctx, beatSubject(b.Name), text, jetstream.WithRetryAttempts(0))
	return err
}
