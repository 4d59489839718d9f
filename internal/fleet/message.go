package fleet

import "time"

// Role is what a member does.
type Role string

// The roles.
const (
	Gateway Role = "gateway" // captures, injects, verifies
	Trainer Role = "trainer" // trains for gateways
	Hub     Role = "hub"
)

// Beat is what a member says of itself, in [BeatBucket].
type Beat struct {
	Name    string    `json:"name"`
	Role    Role      `json:"role"`
	Version string    `json:"version"` // of the program
	Time    time.Time `json:"time"`
	State   string    `json:"state"`  // of a gateway web.State, of a trainer "idle" or "training"
	Status  string    `json:"status"` // one line for a person

	// Of a gateway.
	Rate    float64     `json:"rate,omitempty"` // packets per second asked for
	OnWire  uint64      `json:"on_wire,omitempty"`
	Labels  []LabelBeat `json:"labels,omitempty"`
	Model   string      `json:"model,omitempty"` // in use: its directory's name
	ModelAt time.Time   `json:"model_at,omitzero"`
	// ModelSHA256 is that of its generator, which is the same wherever the model is.
	ModelSHA256 string     `json:"model_sha256,omitempty"`
	Applied     uint64     `json:"applied,omitempty"` // revision of the Desired in force
	Refused     *Refusal   `json:"refused,omitempty"` // of a later one, and why; nil: none
	Tried       *Tried     `json:"tried,omitempty"`   // what became of the last Desired.Model; nil: none was asked for
	Spool       SpoolBeat  `json:"spool,omitzero"`
	Sensors     []IDSScore `json:"sensors,omitempty"`
}

// LabelBeat is what became of one label's packets since the counts began.
type LabelBeat struct {
	Name      string `json:"name"`
	Generated uint64 `json:"generated"`
	Inflight  uint64 `json:"inflight"`
	Answered  uint64 `json:"answered"`
	Unasked   uint64 `json:"unasked,omitempty"`
}

// Refusal is a revision of what is desired that a gateway did not take, as a whole.
type Refusal struct {
	Revision uint64 `json:"revision"`
	Reason   string `json:"reason"` // one line
}

// Tried is what a gateway made of a model that it was to take.
type Tried struct {
	SHA256   string `json:"sha256"`   // of the model's object
	Promoted bool   `json:"promoted"` // it is in use, or was; else it was refused or kept aside
	Reason   string `json:"reason"`   // one line
	// Counts are those of the gateway's labels at that moment: what comes after is the model's.
	Counts []LabelBeat `json:"counts,omitempty"`
}

// SpoolBeat is what of its truth a gateway has still to hand over.
type SpoolBeat struct {
	Bytes int64  `json:"bytes"` // written and not yet with the hub
	Sent  uint64 `json:"sent"`  // records that the hub has acknowledged since the start
	Lost  uint64 `json:"lost"`  // bytes that were removed for room before the hub had them
}

// IDSScore is what a gateway's sensor made of one label.
type IDSScore struct {
	Sensor    string `json:"sensor"`
	Label     string `json:"label"`
	Malicious bool   `json:"malicious"`
	Flows     uint64 `json:"flows"`   // that the sensor can have seen
	Alerted   uint64 `json:"alerted"` // of them
}

// Desired is what a gateway ought to do, signed by the hub. It has revisions: those of its key in [DesiredBucket].
type Desired struct {
	// Serial is more than that of any before: the nanoseconds since 1970 when the hub said so, by its clock. What has less is
	// an old one that somebody has put there again.
	Serial int64 `json:"serial"`
	// Config is TOML in the language of config.toml, with [safety], [inject], [train] and [[label]] alone, laid over the
	// gateway's own file. Its safety may only narrow the gateway's own.
	Config string `json:"config,omitempty"`
	// Model is the SHA-256 of the object in ModelBucket that is to be tried, and used if it is as good; "": none is asked for.
	Model string `json:"model,omitempty"`
	// Work is the ID of the Work that Model came of, or that came to nothing: Error says why.
	Work  string `json:"work,omitempty"`
	Error string `json:"error,omitempty"` // one line
	// Back: Model has failed since; whoever uses it uses again, without a trial, what it used before. Why says how it failed.
	Back bool   `json:"back,omitempty"`
	Why  string `json:"why,omitempty"` // one line
}

// Work asks for a training.
type Work struct {
	ID      string    `json:"id"` // UUID
	Gateway string    `json:"gateway"`
	Time    time.Time `json:"time"`
	Why     string    `json:"why"`  // one line for a person
	Data    string    `json:"data"` // SHA-256 of the dataset in the gateway's bucket
	// Recipe, labels and seed are those of "train".
	Recipe string   `json:"recipe"`
	Labels []string `json:"labels"`
	Seed   uint64   `json:"seed"`
	// RenewSecrets, Since and Least are its --renew-secrets, --since (zero: all that was captured) and --least.
	RenewSecrets bool      `json:"renew_secrets,omitempty"`
	Since        time.Time `json:"since,omitzero"`
	Least        int       `json:"least,omitempty"`
}

// TrainerReply says which trainer is there.
type TrainerReply struct {
	Trainer string `json:"trainer"`
}

// Candidate announces the model that came of a Work, or that none did.
type Candidate struct {
	Work    string    `json:"work"`
	Gateway string    `json:"gateway"` // whose data it learned
	Trainer string    `json:"trainer"`
	Time    time.Time `json:"time"`
	Model   string    `json:"model,omitempty"`  // SHA-256 of the object in ModelBucket
	Labels  []string  `json:"labels,omitempty"` // that the model has learned
	Error   string    `json:"error,omitempty"`  // why there is none, one line
}

// RolloutState is how far a candidate is.
type RolloutState string

// The states, in their order; the last four are ends.
const (
	RolloutFirst    RolloutState = "first"    // the gateway whose data it learned tries it
	RolloutWatch    RolloutState = "watch"    // that gateway uses it, and its success is watched
	RolloutAll      RolloutState = "all"      // the other gateways that have its labels try it, and all are watched
	RolloutPromoted RolloutState = "promoted" // it is in use wherever it was not refused
	RolloutRefused  RolloutState = "refused"  // by the first
	RolloutBack     RolloutState = "back"     // it failed after it was promoted
	RolloutFailed   RolloutState = "failed"   // there is no model to try
)

// Ended reports a state that is followed by none.
func (s RolloutState) Ended() bool {
	return s == RolloutPromoted || s == RolloutRefused || s == RolloutBack || s == RolloutFailed
}

// Rollout is what becomes of a candidate, in [RolloutBucket].
type Rollout struct {
	Candidate
	State    RolloutState     `json:"state"`
	Since    time.Time        `json:"since"`              // when the state began
	Reason   string           `json:"reason"`             // one line: of an end, why; else what is waited for
	Gateways []RolloutGateway `json:"gateways,omitempty"` // that were asked, the first one first
}

// RolloutGateway is how a gateway stands to a candidate.
type RolloutGateway struct {
	Name  string      `json:"name"`
	Tried *Tried      `json:"tried,omitempty"` // nil: it has not answered yet
	At    time.Time   `json:"at,omitzero"`     // when it answered
	Asked []LabelBeat `json:"asked,omitempty"` // its counts when it was asked
}

// Control tells gateways to do something now, signed by the hub for the subject that it is sent to.
type Control struct {
	Action string    `json:"action"` // "pause" or "resume"
	By     string    `json:"by"`     // who asked, for the log
	Time   time.Time `json:"time"`   // when, by the clock of who asked
	ID     string    `json:"id"`     // no other has it: a gateway obeys once
}

// ControlReply is a gateway's answer, signed by it for the subject that it is sent to: Message, or Error and nothing has changed.
type ControlReply struct {
	Gateway string `json:"gateway"`
	Message string `json:"message,omitempty"`
	Error   string `json:"error,omitempty"`
}
