package member

import (
	"context"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"pacgan-appliance/internal/fleet"
)

// Beat says every fleet.BeatInterval what beat returns, signed by the member's key, until ctx ends, which is no error. What fails is tried again with
// the next one, and told once.
func Beat(ctx context.Context, js jetstream.JetStream, key nkeys.KeyPair, beat func() (fleet.Beat, error), log *slog.Logger) error {
	return beatAlways(ctx, js, key, beat, func(bool) {}, log)
}

// beatAlways is Beat that tells of each beat whether it was heard.
func beatAlways(ctx context.Context, js jetstream.JetStream, key nkeys.KeyPair, beat func() (fleet.Beat, error), heard func(bool), log *slog.Logger) error {
	tick := time.NewTicker(fleet.BeatInterval)
	defer tick.Stop()
	for said := ""; ; {
		err := unlessAway(js.Conn(), beatOnce(ctx, js, key, beat))
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

func beatOnce(ctx context.Context, js jetstream.JetStream, key nkeys.KeyPair, beat func() (fleet.Beat, error)) error {
	b, err := beat()
	if err != nil {
		return err
	}
	subject := fleet.KeySubject(fleet.BeatBucket, b.Name) // it is written without leave to read the bucket
	text, err := fleet.SealJSON(key, subject, b)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fleet.BeatInterval)
	defer cancel()
	_, err = js.Publish(ctx, subject, text, jetstream.WithRetryAttempts(0))
	return err
}
