// Package inject puts generated packets on the wire: it finds their next hop,
// paces them, holds the TCP conversations that they belong to, and writes the
// frames to an injection cable of its own, at whose far end the guard program
// is the only way out. It judges no reply (internal/verify does) and never
// sends on the wire interface itself.
package inject

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"

	"pacgan-appliance/internal/alarm"
)

// Defaults of Options.
const (
	DefaultNear          = "inj0"
	DefaultFar           = "inj1"
	DefaultTimeout       = 2 * time.Second
	DefaultConversations = 16384
)

const (
	maxLabels        = 96      // MAX_LABELS in bpf/expect.h
	maxConversations = 1 << 16 // the slots that a conversation's id has room for
)

// Label is one label as the injector needs it; its place in Options.Labels, or
// in SetLabel, is its index in the kernel.
type Label struct {
	Name    string
	Expects bool // an answer: else its segments go out as they are, without a conversation
}

// Maps are the kernel maps that the guard shares with the matcher, whose they
// are: verify.Maps.
type Maps struct {
	Expectations *ebpf.Map
	Rules        *ebpf.Map
	Hints        *ebpf.Map
	Awaited      *ebpf.Map
	Tidings      *ebpf.Map
	Untold       *ebpf.Map
}

// Options of Open.
type Options struct {
	Wire          string // the interface that generated packets leave through
	Behind        string // a masquerading gateway's interface on the clients' side: frames enter there, as if a client had sent them; "": they leave through Wire as they are
	OwnSource     bool   // packets get Wire's own address as their source
	Near, Far     string // names of the injection cable's ends; "": DefaultNear, DefaultFar
	Labels        []Label
	Maps          Maps
	Sides         []string       // further interfaces under test; networks of those that are not, and not Wire, are reserved
	Allow         []netip.Prefix // IPv4 and IPv6; empty: nothing leaves
	Named         []netip.Prefix // what may be gone to within Allow though it is reserved (SetAllow)
	Engine        Engine         // how frames reach the cable; "": EngineSendmmsg
	MaxRate       float64        // generated packets a second, whatever Run is told (SetMaxRate); 0: no bound
	Timeout       time.Duration  // how long a reply may take, as the matcher has it; 0: DefaultTimeout
	Recorder      Recorder       // hears of every packet by itself; nil: there are counts only
	Conversations int            // TCP conversations held at once; 0: DefaultConversations
}

// Injector is the way to the wire. Its methods are safe for concurrent use,
// but there can be one Run at a time.
type Injector struct {
	options       Options
	labels        atomic.Pointer[[]Label]
	wire          *net.Interface
	exit          exit
	own           ownSource
	guard         guardObjects
	links         []io.Closer // of the guard
	cable         *cable
	gate          gate
	alarm         *alarm.Alarm  // for Run's loop: when the next packet is due, or something has changed
	maxRate       atomic.Uint64 // bits of a float64
	mtu           atomic.Int64  // bytes of the longest IP packet that the wire takes
	allowing      sync.Mutex    // one change of the list at a time
	allow         atomic.Pointer[allowList]
	ledger        *ledger
	hops          *resolver
	sender        *sender
	choice        Choice
	probed        uint64 // frames that measuring wrote, which the guard dropped
	conversations *conversations
	running       sync.Mutex // held by Run, and for ever by Close
	closed        chan struct{}
	closing       sync.Once
}

// Open makes the injection cable, attaches the guard and opens the socket, in
// the calling thread's network namespace. It needs CAP_BPF, CAP_NET_ADMIN,
// CAP_NET_RAW and CAP_PERFMON.
func Open(o Options) (*Injector, error) {
	in, err := open(o)
	if err != nil {
		return nil, fmt.Errorf("inject: %w", err)
	}
	return in, nil
}

func open(o Options) (*Injector, error) {
	o.setDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	wire, err := wireInterface(o.Wire)
	if err != nil {
		return nil, err
	}
	exit, err := o.exit(wire)
	if err != nil {
		return nil, err
	}
	own, err := o.ownSource(wire)
	if err != nil {
		return nil, err
	}
	in := &Injector{options: o, wire: wire, exit: exit, own: own, ledger: newLedger(maxLabels, o.recorder()), closed: make(chan struct{})}
	if err := in.start(); err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return in, nil
}

// start opens everything; Close closes what it got to.
func (in *Injector) start() error {
	if err := in.load(); err != nil {
		return err
	}
	if err := in.SetAllow(in.options.Allow, in.options.Named); err != nil {
		return err
	}
	var err error
	if in.alarm, err = alarm.New(); err != nil {
		return err
	}
	in.resized(in.wire.MTU)
	if in.cable, err = newCable(in.options.Near, in.options.Far, in.wire.MTU); err != nil {
		return err
	}
	if err := in.attach(); err != nil {
		return err
	}
	if err := in.cable.up(); err != nil {
		return err
	}
	if in.hops, err = newResolver(in.wire.Index, in.exit.hop, in.moved, in.resized, in.alarm.Ring); err != nil {
		return err
	}
	in.moved() // what changed before the resolver heard of changes
	if err := in.openPath(); err != nil {
		return err
	}
	in.conversations, err = newConversations(in)
	return err
}

func (o *Options) setDefaults() {
	if o.Near == "" {
		o.Near = DefaultNear
	}
	if o.Far == "" {
		o.Far = DefaultFar
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Engine == "" {
		o.Engine = EngineSendmmsg
	}
	if o.Conversations == 0 {
		o.Conversations = DefaultConversations
	}
}

func (o *Options) check() error {
	if n := len(o.Labels); n == 0 || n > maxLabels {
		return fmt.Errorf("%d labels: 1 to %d are possible", n, maxLabels)
	}
	if o.MaxRate < 0 {
		return fmt.Errorf("max_rate %v: must not be negative", o.MaxRate)
	}
	if o.Timeout < 0 || o.Timeout > time.Minute {
		return fmt.Errorf("timeout %v: must be more than 0 and at most 1m0s", o.Timeout)
	}
	if o.Conversations < 0 || o.Conversations > maxConversations {
		return fmt.Errorf("%d conversations: 1 to %d are possible", o.Conversations, maxConversations)
	}
	if m := o.Maps; slices.Contains([]*ebpf.Map{m.Expectations, m.Rules, m.Hints, m.Awaited, m.Tidings, m.Untold}, nil) {
		return errors.New("no maps: the matcher must be open first (verify.Verifier.Maps)")
	}
	return nil
}

// wireInterface looks up an interface that frames can leave through.
func wireInterface(name string) (*net.Interface, error) {
	wire, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf(`interface %q does not exist: "ip link" lists those that do`, name)
	}
	if len(wire.HardwareAddr) != 6 {
		return nil, fmt.Errorf("interface %q has no Ethernet address: packets can be injected through Ethernet interfaces only", name)
	}
	return wire, nil
}

// Close takes the guard and the cable away: nothing leaves any more. A Run
// under way ends first, with an error; so a Source must not call Close.
func (in *Injector) Close() error {
	var err error
	in.closing.Do(func() {
		close(in.closed)
		in.running.Lock()
		err = in.release()
	})
	return err
}

// release closes what start got to.
func (in *Injector) release() error {
	var errs []error
	if in.conversations != nil {
		errs = append(errs, in.conversations.close())
	}
	if in.sender != nil {
		errs = append(errs, in.sender.close())
	}
	if in.hops != nil {
		in.hops.close()
	}
	for _, l := range in.links {
		errs = append(errs, l.Close())
	}
	if in.cable != nil {
		errs = append(errs, in.cable.remove())
	}
	if in.alarm != nil {
		errs = append(errs, in.alarm.Close())
	}
	return errors.Join(append(errs, in.guard.Close())...)
}
