// Package config turns config.toml into a typed, valid value, and lists every
// fault of a bad one with its line. It opens nothing and looks nothing up:
// whether an interface exists or a filter compiles is for others to say
// (Loader.CheckFilter lets them say so with the same lines).
package config

import (
	"net/netip"
	"time"
)

// Config is a whole, valid configuration.
type Config struct {
	Gateway Gateway
	Safety  Safety
	Capture Capture
	Labels  []Label // in the file's order, which is the order of matching
	Train   Train
	Inject  Inject
	State   State
	Truth   Truth
	Web     Web
	IDS     []IDS // in the file's order
	Fleet   Fleet
	Log     Log
}

// Gateway says which interfaces the appliance sits on.
type Gateway struct {
	LAN string // clients' side: captured here
	WAN string // servers' side: injected and matched here; may equal LAN
	NAT NAT
}

// Safety bounds what may be injected.
type Safety struct {
	Allow []netip.Prefix // the only destinations; empty: nothing is injected
	// AllowReserved names what packets may go to within Allow though it is
	// broadcast, multicast, the gateway's own or a network not under test.
	AllowReserved []netip.Prefix
	MaxRate       float64 // packets per second over all labels, whatever else says
}

// Capture says what of other people's packets is stored, and for how long.
type Capture struct {
	Payload   Payload
	Retention time.Duration // captured packets older than this are removed; 0: none is for its age
}

// Label is one kind of traffic to learn and to generate.
type Label struct {
	Name      string // [a-z0-9-]{1,32}
	Filter    string // in tcpdump's language
	Answer    Answer
	RCodes    []RCode       // Answer DNS: the response codes that count as answered
	Statuses  []StatusRange // Answer HTTP: the status codes that count as answered
	Contains  string        // Answer HTTP: text that the response must hold, "" for any
	Malicious bool          // ground truth for scoring an IDS
	Share     float64       // weight in the injected mix, above 0
}

// Train says when and how a model is trained.
type Train struct {
	Schedule   string // cron's five fields or @every, valid by robfig/cron's standard parser
	MinPackets int    // of each label, before it is trained
	NewPackets int    // of each label since the last training, to train before the schedule does; 0: never
	Recipe     Recipe
	MaxMemory  ByteSize // of the training process
	// RenewSecrets has each source's cookies and tokens replaced by new ones before anything is learned.
	RenewSecrets bool
	// MaxMemorised is the share of a new model's packets that may repeat a
	// captured secret, for it to be promoted; 1: it is no condition.
	MaxMemorised float64
}

// Inject says what is injected and how fast.
type Inject struct {
	Rate          Rate
	Source        Source
	SourceAddress SourceAddress
	Engine        Engine
	Timeout       time.Duration // a reply later than this counts as expired
}

// State says where files live and how much room they may take.
type State struct {
	Dir      string   // absolute
	MaxBytes ByteSize // of captured packets, over all labels
}

// Truth says whether and where a record of each injected packet is kept.
type Truth struct {
	Enabled  bool
	Dir      string   // "": truth in State.Dir
	MaxBytes ByteSize // of records and packets together
	Packets  bool     // the packets themselves, beside their records
}

// Web says where the page and the metrics are served.
type Web struct {
	Listen netip.AddrPort // not valid (zero): no page
}

// Log says what is written to the log.
type Log struct {
	Level LogLevel
}

// Limits that Parse enforces.
const (
	MaxLabels      = 32        // the capture program's table
	MaxRate        = 1e7       // packets per second
	MinStateBytes  = 16 << 20  // two files of each of MaxLabels labels
	MinTruthBytes  = 1 << 20   // eight files
	MinTrainable   = 16        // packets of a label
	MinTrainMemory = 64 << 20  // the program itself, and the smallest of models
	MaxTimeout     = time.Hour // of a reply
	minTimeout     = time.Millisecond
	minRetention   = time.Minute
	maxNameLen     = 32
	maxIfaceLen    = 15 // IFNAMSIZ - 1
	maxContainsLen = 255
)

// Default is every default there is. It is not valid by itself: the
// interfaces and at least one label must be given.
func Default() Config {
	return Config{
		Gateway: Gateway{NAT: NATAuto},
		Safety:  Safety{MaxRate: 1000},
		Capture: Capture{Payload: PayloadKeep},
		Train:   Train{Schedule: "0 */6 * * *", MinPackets: 500, NewPackets: 10_000, Recipe: RecipeGAN, MaxMemory: 2 << 30, MaxMemorised: 1},
		Inject:  Inject{Rate: Rate{PerSecond: 50}, Source: SourceModel, SourceAddress: SourceAddressAuto, Engine: EngineSendmmsg, Timeout: 2 * time.Second},
		State:   State{Dir: "/var/lib/pacgan-appliance", MaxBytes: 2 << 30},
		Truth:   Truth{Enabled: true, MaxBytes: 1 << 30, Packets: true},
		Web:     Web{Listen: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 9746)},
		Fleet:   Fleet{Train: FleetTrainFleet},
		Log:     Log{Level: LogInfo},
	}
}

// DefaultLabel is what a [[label]] table starts from.
func DefaultLabel() Label {
	return Label{Answer: AnswerReply, Share: 1}
}

// defaultAccept fills in what counts as answered where the label does not say.
func (l *Label) defaultAccept() {
	switch {
	case l.Answer == AnswerDNS && len(l.RCodes) == 0:
		l.RCodes = []RCode{RCodeNoError}
	case l.Answer == AnswerHTTP && len(l.Statuses) == 0:
		l.Statuses = []StatusRange{{200, 299}, {300, 399}}
	}
}
