package fleet

import (
	"context"
	"fmt"
	"io"

	"github.com/nats-io/nats.go/jetstream"
)

// Exported counts what ExportTruth wrote.
type Exported struct {
	Batches, Bytes uint64
	// Foreign are messages under the gateway's subject that it did not sign, or that are one of its batches again.
	Foreign uint64
}

// ExportTruth writes the truth records of a gateway that the hub has now, as JSON lines in their order. public is the
// gateway's NKey: what it did not sign is left out.
func ExportTruth(ctx context.Context, js jetstream.JetStream, public, gateway string, w io.Writer) (Exported, error) {
	var done Exported
	consumer, err := js.OrderedConsumer(ctx, TruthStream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{TruthSubject(gateway)}})
	if err != nil {
		return done, fmt.Errorf("read stream %s: %w", TruthStream, err)
	}
	left := consumer.CachedInfo().NumPending
	if left == 0 {
		return done, nil
	}
	messages, err := consumer.Messages()
	if err != nil {
		return done, fmt.Errorf("read stream %s: %w", TruthStream, err)
	}
	defer messages.Stop()
	for before := uint64(0); left > 0; left-- {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return done, fmt.Errorf("read stream %s, with %d batches to go: %w", TruthStream, left, err)
		}
		at, err := m.Metadata()
		if err != nil {
			return done, fmt.Errorf("read stream %s: %w", TruthStream, err)
		}
		b, err := OpenBatch(public, gateway, m.Headers(), m.Data())
		again := b.After < before // the hub takes it from its gateway only where nothing is in between
		before = at.Sequence.Stream
		if err != nil || again {
			done.Foreign++
			continue
		}
		n, err := w.Write(m.Data())
		done.Bytes += uint64(n)
		if err != nil {
			return done, err
		}
		done.Batches++
	}
	return done, nil
}
