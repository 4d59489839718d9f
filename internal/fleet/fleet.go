// Package fleet is what gateways, trainers and the hub say to each other over NATS JetStream: the names of subjects,
// streams and buckets, the messages on them, and who may be connected. It does nothing by itself: internal/fleet/...
// and internal/appliance do. docs/fleet.md is this contract for people.
//
// Every member has a name and an NKey (an ed25519 key pair), which lets it in and signs what it publishes.
package fleet

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Streams. Each message's subject ends with the name of the member that wrote it, and nobody else may write there.
const (
	// TruthStream keeps truth records in batches: JSON lines as internal/truth writes them, in their order.
	TruthStream = "PACGAN_TRUTH"
	// WorkStream queues trainings; a trainer that dies leaves its work to another.
	WorkStream = "PACGAN_WORK"
	// WorkConsumer is the durable consumer that all trainers pull from.
	WorkConsumer = "trainers"
	// CandidateStream announces trained models that may be tried.
	CandidateStream = "PACGAN_CANDIDATES"
)

// Buckets.
const (
	// DesiredBucket holds what each gateway ought to do: a [Desired] by the gateway's name. Only the hub writes.
	DesiredBucket = "pacgan-desired"
	// BeatBucket holds each member's last [Beat] by its name.
	BeatBucket = "pacgan-beat"
	// RolloutBucket holds what became of each candidate: a [Rollout] by its Work's ID. Only the hub writes.
	RolloutBucket = "pacgan-rollout"
	// ModelBucket is the object store of models, by their content's hash: trainers write.
	ModelBucket = "pacgan-models"
)

// DataBucket is the object store of a gateway's datasets: it writes, trainers read.
func DataBucket(gateway string) string { return dataPrefix + gateway }

const dataPrefix = "pacgan-data-"

// DataBucketOf is the gateway whose bucket has this name; "": it is nobody's.
func DataBucketOf(bucket string) string {
	name, ok := strings.CutPrefix(bucket, dataPrefix)
	if !ok || CheckName(name) != nil {
		return ""
	}
	return name
}

// TruthSubject is where a gateway's truth records go.
func TruthSubject(gateway string) string { return "pacgan.truth." + gateway }

// WorkSubject is where a gateway asks for a training: a [Work].
func WorkSubject(gateway string) string { return "pacgan.work." + gateway }

// CandidateSubject is where a trainer announces a model: a [Candidate].
func CandidateSubject(trainer string) string { return "pacgan.candidate." + trainer }

// TrainerSubject is where a gateway asks, before it asks for a training, whether any trainer is there: each trainer is in
// one queue group on it, and NATS itself says at once when nobody is.
const TrainerSubject = "pacgan.trainer"

// ControlSubject is where one gateway is told to pause or to resume: a [Control], answered by a [ControlReply].
func ControlSubject(gateway string) string { return "pacgan.control." + gateway }

// ControlAll is where all gateways are told at once; each answers. No member may have this name.
const ControlAll = "pacgan.control." + everybody

const everybody = "all"

// BeatInterval is how often a member says that it is there.
const BeatInterval = 2 * time.Second

// LostAfter is how long a member may be silent before it counts as lost.
const LostAfter = 4 * BeatInterval

var nameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// CheckName says what is wrong with a member's name: it becomes a part of subjects and of buckets' names.
func CheckName(name string) error {
	if !nameForm.MatchString(name) || name == everybody {
		return fmt.Errorf("name %q: must be 1 to 32 of a-z, 0-9 and -, and not %q", name, everybody)
	}
	return nil
}
