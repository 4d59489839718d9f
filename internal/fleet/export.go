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
	// Foreign are messages under the gateway's subject that are no batches: no uploader wrote them.
	Foreign uint64
}

// ExportTruth writes the truth records of a gateway that the hub has now, as JSON lines in their order.
func ExportTruth(ctx context.Context, js jetstream.JetStream, gateway string, w io.Writer) (Exported, error) {
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
	for ; left > 0; left-- {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return done, fmt.Errorf("read stream %s, with %d batches to go: %w", TruthStream, left, err)
		}
		if m.Headers().Get(CursorHeader) == "" {
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
