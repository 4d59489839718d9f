// Package verify finds the replies to generated packets on the wire, judges
// them, steals them from the kernel and counts what became of every packet
// that the guard let out. It owns the maps that the guard shares; it sends
// nothing (internal/inject does).
package verify

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"pacgan-appliance/internal/hook"
	"pacgan-appliance/internal/ring"
)

// MaxLabels is how many labels the kernel programs have room for: a label may
// be in several places, to have its packets counted by where they come from.
const MaxLabels = 96

// DefaultTimeout is how long a reply may take where Options do not say.
const DefaultTimeout = 2 * time.Second

// DefaultExpectations is how many packets may await replies, or linger after
// them, where Options do not say: 2 s at 30,000 packets a second.
const DefaultExpectations = 1 << 18

// Expired packets are looked for every half timeout, within these bounds, and
// whenever counts are read: more often would cost more than sending does, since
// each time it is the whole table.
const (
	minSweepInterval = 250 * time.Millisecond
	maxSweepInterval = time.Second
)

// Answer says what a valid response to a label's packets is (DESIGN.md).
type Answer string

// The answers that a label may expect.
const (
	AnswerICMPEcho Answer = "icmp-echo" // echo reply of the same identifier, sequence number and payload
	AnswerDNS      Answer = "dns"       // the same id and question, an accepted RCODE, with NOERROR an answer
	AnswerHTTP     Answer = "http"      // an accepted status
	AnswerReply    Answer = "reply"     // anything of the reversed flow but a reset or an ICMP error
	AnswerNone     Answer = "none"      // nothing is expected
)

// Label is how one label's replies are judged. Its place in Options.Labels, or
// in SetLabel, is its index in the kernel.
type Label struct {
	Name         string
	Answer       Answer
	AcceptRcodes []uint8       // DNS RCODEs, 0 to 15, that count as answered beside NOERROR
	AcceptStatus []StatusRange // HTTP statuses that count as answered; none: 200 to 399
	Contains     string        // AnswerHTTP: text that the response must hold, headers included, as it is sent; at most MaxContains bytes
}

// StatusRange is a range of HTTP statuses, both ends included, of 100 to 599.
type StatusRange struct {
	First, Last int
}

// Options of Open.
type Options struct {
	Interface    string // the wire interface, where replies arrive
	Leaving      bool   // replies are looked for as they leave through Interface: the clients' side of a masquerading gateway, which has turned them back by then
	Labels       []Label
	Timeout      time.Duration // how long a reply may take; 0: DefaultTimeout
	Expectations int           // room in the table, see DefaultExpectations; at least 2 x rate x timeout

	// Tell hears of every packet, in Run after each sweep: of all verdicts that
	// fell before since, and some after it. The slice is reused. nil: nobody
	// listens, and the programs are loaded without that part.
	Tell func(told []Told, since time.Time)
}

// Maps are the kernel maps that the guard program shares with the matcher.
// They belong to the Verifier.
type Maps struct {
	Expectations *ebpf.Map
	Rules        *ebpf.Map
	Hints        *ebpf.Map
	Awaited      *ebpf.Map
	Tidings      *ebpf.Map
	Untold       *ebpf.Map
}

// Verifier is the matcher on its interface. Its methods are safe for
// concurrent use.
type Verifier struct {
	options  Options
	labels   atomic.Pointer[[]Label]
	match    matchObjects
	sweep    sweepObjects
	link     io.Closer
	segments *ring.Reader
	tidings  *ring.Reader   // nil: nobody listens
	record   ringbuf.Record // of tidings; with told, of the goroutine that sweeps
	told     []Told
	boot     time.Time // as of the last reading of tidings
	reasons  [matchReasonREASONS]string
	sweeping sync.Mutex // one sweep at a time: it writes the inflight counts; of the maps, no reading after Close
	closed   bool       // under sweeping
	closing  sync.Once
}

// Open loads the programs and attaches the matcher to the interface, in the
// calling thread's network namespace. It needs CAP_BPF, CAP_NET_ADMIN and
// CAP_PERFMON.
func Open(o Options) (*Verifier, error) {
	v, err := open(o)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	return v, nil
}

func open(o Options) (*Verifier, error) {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Expectations == 0 {
		o.Expectations = DefaultExpectations
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	wire, err := net.InterfaceByName(o.Interface)
	if err != nil {
		return nil, fmt.Errorf(`interface %q does not exist: "ip link" lists those that do`, o.Interface)
	}
	v := &Verifier{options: o}
	if err := v.load(); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	if v.segments, err = ring.NewReader(v.match.Segments, 0); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	if err := v.openTidings(); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	direction := hook.Ingress
	if o.Leaving {
		direction = hook.Egress
	}
	if v.link, err = hook.Attach(v.match.Match, wire.Index, direction); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return v, nil
}

func (o Options) check() error {
	if n := len(o.Labels); n == 0 || n > MaxLabels {
		return fmt.Errorf("%d labels: 1 to %d are possible", n, MaxLabels)
	}
	if o.Timeout < 0 || o.Timeout > time.Minute {
		return fmt.Errorf("timeout %v: must be more than 0 and at most 1m0s", o.Timeout)
	}
	if o.Expectations < 0 || o.Expectations > 1<<24 {
		return fmt.Errorf("%d expectations: 1 to %d are possible", o.Expectations, 1<<24)
	}
	return nil
}

// Maps returns the maps for inject.Options.
func (v *Verifier) Maps() Maps {
	return Maps{
		Expectations: v.match.Expectations, Rules: v.match.Rules, Hints: v.match.Hints, Awaited: v.match.Awaited,
		Tidings: v.match.Tidings, Untold: v.match.Untold,
	}
}

// Close takes the matcher off its interface and frees the maps; a Run under
// way returns. Later calls do nothing.
func (v *Verifier) Close() error {
	var err error
	v.closing.Do(func() { err = v.release() })
	return err
}

func (v *Verifier) release() error {
	var errs []error
	if v.link != nil {
		errs = append(errs, v.link.Close())
	}
	if v.segments != nil {
		errs = append(errs, v.segments.Close())
	}
	if v.tidings != nil {
		errs = append(errs, v.tidings.Close())
	}
	v.sweeping.Lock()
	defer v.sweeping.Unlock()
	v.closed = true
	return errors.Join(append(errs, v.match.Close(), v.sweep.Close())...)
}
