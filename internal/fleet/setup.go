package fleet

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Bounds say how much a hub keeps.
type Bounds struct {
	TruthBytes int64 // of truth records; the oldest go first
	DataBytes  int64 // of one gateway's datasets
	ModelBytes int64
	Replicas   int           // 1, or 3 on a cluster
	WorkAck    time.Duration // how long a trainer may say nothing before its work goes to another; 0: 30 s
}

// workAck is Bounds.WorkAck where that is 0.
const workAck = 30 * time.Second

// rolloutKept is how long is known what became of a candidate.
const rolloutKept = 30 * 24 * time.Hour

// Setup makes streams and buckets as members expect them, or changes those that are there. It is for the hub, which alone
// may do so.
func Setup(ctx context.Context, js jetstream.JetStream, b Bounds, gateways []string) error {
	for _, c := range []jetstream.StreamConfig{
		{Name: TruthStream, Subjects: []string{TruthSubject("*")}, MaxBytes: b.TruthBytes, Compression: jetstream.S2Compression, AllowDirect: true},
		{Name: WorkStream, Subjects: []string{WorkSubject("*")}, Retention: jetstream.WorkQueuePolicy, MaxMsgsPerSubject: 1, MaxAge: 24 * time.Hour},
		{Name: CandidateStream, Subjects: []string{CandidateSubject("*")}, MaxMsgsPerSubject: 100, AllowDirect: true},
	} {
		c.Storage, c.Replicas = jetstream.FileStorage, b.Replicas
		if _, err := js.CreateOrUpdateStream(ctx, c); err != nil {
			return fmt.Errorf("make stream %s: %w", c.Name, err)
		}
	}
	trainers := jetstream.ConsumerConfig{Durable: WorkConsumer, AckPolicy: jetstream.AckExplicitPolicy, AckWait: cmp.Or(b.WorkAck, workAck), MaxDeliver: 3, Replicas: b.Replicas}
	if _, err := js.CreateOrUpdateConsumer(ctx, WorkStream, trainers); err != nil {
		return fmt.Errorf("make consumer %s: %w", WorkConsumer, err)
	}
	for _, c := range []jetstream.KeyValueConfig{
		{Bucket: DesiredBucket, History: 10, Replicas: b.Replicas},
		{Bucket: BeatBucket, History: 1, Replicas: b.Replicas},
		{Bucket: RolloutBucket, History: 1, TTL: rolloutKept, Replicas: b.Replicas},
	} {
		if _, err := js.CreateOrUpdateKeyValue(ctx, c); err != nil {
			return fmt.Errorf("make bucket %s: %w", c.Bucket, err)
		}
	}
	if err := noRollup(ctx, js, "KV_"+BeatBucket); err != nil {
		return err
	}
	objects := []jetstream.ObjectStoreConfig{{Bucket: ModelBucket, MaxBytes: b.ModelBytes}}
	for _, g := range gateways {
		objects = append(objects, jetstream.ObjectStoreConfig{Bucket: DataBucket(g), MaxBytes: b.DataBytes})
	}
	for _, c := range objects {
		c.Replicas = b.Replicas
		if _, err := js.CreateOrUpdateObjectStore(ctx, c); err != nil {
			return fmt.Errorf("make object store %s: %w", c.Bucket, err)
		}
	}
	return nil
}

// noRollup takes from whoever may write a single subject of a bucket's stream the right to have the server remove all the
// others (the header Nats-Rollup: all), which a bucket has for its own purges.
func noRollup(ctx context.Context, js jetstream.JetStream, stream string) error {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", stream, err)
	}
	c := s.CachedInfo().Config
	c.AllowRollup = false
	if _, err := js.UpdateStream(ctx, c); err != nil {
		return fmt.Errorf("change stream %s: %w", stream, err)
	}
	return nil
}
