// Package capture turns frames that enter an interface into labelled packets:
// it compiles the labels' filters, splices them into bpf/capture.c and reads
// what the kernel hands over. It stores nothing (internal/dataset) and never
// changes or delays a frame.
package capture

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/hook"
	"pacgan-appliance/internal/ring"
)

// ErrClosed is what Run returns once Close was called.
var ErrClosed = errors.New("capture closed")

// Limits and defaults of Options.
const (
	MaxLabels        = 32        // at a time: the verifier's work grows with them
	maxNames         = 64        // over all, from Open on
	MaxSnapBytes     = 16384     // LARGE_ROOM there
	DefaultSnapBytes = 2048      // every frame of a network whose MTU is at most 2,030
	DefaultRingBytes = 4 << 20   // 14,000 small frames: 20 ms at 650,000 a second; it is mapped twice, and counted so
	minRingBytes     = 1 << 16   // a page at least, on any architecture
	maxWakeBytes     = 256 << 10 // NETWORK.md: fewer wake-ups cost no frame
)

// Label is a kind of traffic: the first label whose filter matches wins.
type Label struct {
	Name   string
	Filter Filter
}

// Options say what to capture. Zero values of the sizes are the defaults.
type Options struct {
	Interface string
	Labels    []Label
	SnapBytes int // longest frame taken; longer ones are counted, not cut
	RingBytes int // rounded up to a power of two
}

// Capture is a running capture.
type Capture struct {
	options Options
	objects captureObjects
	link    hook.Attachment
	reader  *ring.Reader
	names   atomic.Pointer[[]string] // of labels, by their index in the kernel; they only grow
	clock   clock
	log     *slog.Logger
}

// Open loads the program and puts it on the interface's ingress, in the
// calling thread's network namespace. Frames wait in the ring until Run.
func Open(o Options) (*Capture, error) {
	index, err := ethernetIndex(o.Interface)
	if err != nil {
		return nil, err
	}
	c, err := load(o)
	if err != nil {
		return nil, fmt.Errorf("capture on %s: %w", o.Interface, err)
	}
	c.link, err = hook.Attach(c.objects.PacganCapture, index, hook.Ingress)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("capture on %s: %w", o.Interface, err), c.Close())
	}
	return c, nil
}

// ethernetIndex finds an interface whose frames begin as filters expect.
func ethernetIndex(name string) (int, error) {
	link, err := netlink.LinkByName(name)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return 0, fmt.Errorf("capture: no interface %q: see `ip link` for those there are, and gateway.lan in the config", name)
	}
	if err != nil {
		return 0, fmt.Errorf("capture: look up interface %q: %w", name, err)
	}
	if kind := link.Attrs().EncapType; kind != "ether" && kind != "loopback" {
		return 0, fmt.Errorf("capture: interface %q carries no Ethernet frames (its type is %s): name the interface that the clients are behind", name, kind)
	}
	return link.Attrs().Index, nil
}

// load is Open without attaching.
func load(o Options) (*Capture, error) {
	names, places, err := arrange(nil, o.Labels)
	if err != nil {
		return nil, err
	}
	spec, err := o.spec(places)
	if err != nil {
		return nil, err
	}
	c := &Capture{options: o, log: slog.With("component", "capture")}
	c.names.Store(&names)
	if err := spec.LoadAndAssign(&c.objects, nil); err != nil {
		return nil, loadError(err)
	}
	if c.reader, err = ring.NewReader(c.objects.Frames, flushInterval); err != nil {
		return nil, errors.Join(err, c.objects.Close())
	}
	return c, nil
}

// spec is the program as it will be loaded: sizes set, filters spliced in.
func (o Options) spec(filters []place) (*ebpf.CollectionSpec, error) {
	snap, ring := or(o.SnapBytes, DefaultSnapBytes), ringSize(or(o.RingBytes, DefaultRingBytes))
	if snap < 1 || snap > MaxSnapBytes {
		return nil, fmt.Errorf("snap length %d: must be 1 to %d bytes", snap, MaxSnapBytes)
	}
	spec, err := loadCapture()
	if err != nil {
		return nil, err
	}
	spec.Maps[captureMapFrames].MaxEntries = ring
	spec.Maps[captureMapPerLabel].MaxEntries = maxNames
	err = errors.Join(
		spec.Variables[captureVarSnapBytes].Set(uint32(snap)),
		spec.Variables[captureVarWakeBytes].Set(min(maxWakeBytes, ring/4)),
	)
	if err != nil {
		return nil, fmt.Errorf("set the program's constants: %w", err)
	}
	return spec, splice(spec.Programs[captureProgPacganCapture], filters)
}

func or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// ringSize is the power of two that holds n bytes, as the kernel wants it.
func ringSize(n int) uint32 {
	size := uint32(max(minRingBytes, os.Getpagesize()))
	for int(size) < n && size < 1<<30 {
		size <<= 1
	}
	return size
}

// Close takes the program off the interface and unblocks Run, which returns
// ErrClosed. What the ring still holds is lost; end Run by its context to
// have it.
func (c *Capture) Close() error {
	var err error
	if c.link != nil {
		err = c.link.Close()
		c.link = nil
	}
	return errors.Join(err, c.reader.Close(), c.objects.Close())
}

// LoadError is the kernel's refusal of the program. Its text is one line;
// %+v adds the verifier's whole log.
type LoadError struct {
	Err error
}

// Unwrap returns the cause.
func (e *LoadError) Unwrap() error { return e.Err }

// Error is the refusal on one line.
func (e *LoadError) Error() string {
	return fmt.Sprintf("the kernel refused the program: %v (the whole log: %%+v)", e.Err)
}

// Format writes the verifier's log for %+v, and the one line otherwise.
func (e *LoadError) Format(f fmt.State, verb rune) {
	var verifier *ebpf.VerifierError
	if verb == 'v' && f.Flag('+') && errors.As(e.Err, &verifier) {
		fmt.Fprintf(f, "the kernel refused the program: %+v", verifier)
		return
	}
	io.WriteString(f, e.Error())
}

func loadError(err error) error {
	var verifier *ebpf.VerifierError
	if !errors.As(err, &verifier) && errors.Is(err, unix.EPERM) {
		return errors.New("not permitted: run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON")
	}
	return &LoadError{Err: err}
}
