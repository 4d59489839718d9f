package inject

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

const (
	// liveFrames is BPF_F_TEST_XDP_LIVE_FRAMES of linux/bpf.h.
	liveFrames = 1 << 1
	// livePages is how many frames the kernel makes packets of at a time, and how
	// many pages it keeps for that. Each run has pages of its own, and those that a
	// network card still holds when it ends are freed a second later only.
	livePages = 32
	// liveLeast is how many frames a run is worth: it costs some 15 us beside
	// what each frame does, and pages (see livePages).
	liveLeast = 1024
)

// xdp is the path through the kernel's live frames, from Linux 5.18 on: a program
// takes frames out of memory that we share, and the kernel makes packets of
// them that come in at the far end of the cable, where the guard meets
// them. No socket and no cable is passed. What is too little for that goes by
// a packet socket, out of the same memory.
type xdp struct {
	*sendmmsg
	objects  liveObjects
	ready    io.Closer // what keeps the program in the kernel's dispatcher
	memory   []byte    // of slots
	slots    []liveSlot
	cursors  []byte // memory of cursor
	cursor   *liveCursor
	near     *unix.Ifreq
	template []byte // what the kernel's frames hold at first
	context  xdpContext
	run      runAttributes
	least    int // frames that are sent in a run; fewer go by the socket
}

// xdpContext is struct xdp_md of linux/bpf.h.
type xdpContext struct {
	data, dataEnd, dataMeta, ingressIfindex, rxQueueIndex, egressIfindex uint32
}

// runAttributes are those of BPF_PROG_TEST_RUN, in union bpf_attr of linux/bpf.h.
// ebpf.Program.Run would allocate with each call, and run again what a signal
// has interrupted.
type runAttributes struct {
	program, result, dataBytes, dataOutBytes        uint32
	data, dataOut                                   uint64
	repeat, duration, contextBytes, contextOutBytes uint32
	context, contextOut                             uint64
	flags, processor, batch, _                      uint32
}

// newXDP opens the path, in the network namespace that it will be used in.
func newXDP(c *cable) (_ *xdp, err error) {
	p := &xdp{context: xdpContext{ingressIfindex: uint32(c.far.Attrs().Index)}, least: liveLeast}
	p.template = make([]byte, len(liveSlot{}.Frame))
	if mtu, most := c.near.Attrs().MTU, len(p.template)-headerLen; mtu > most {
		return nil, fmt.Errorf("MTU %d: live frames hold packets of at most %d bytes", mtu, most)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.release())
		}
	}()
	if err := p.load(); err != nil {
		return nil, err
	}
	if err := p.try(); err != nil {
		return nil, err
	}
	// While it is attached anywhere it is in the kernel's dispatcher, which else
	// would have to wait for all processors with each run.
	p.ready, err = link.AttachXDP(link.XDPOptions{Program: p.objects.Live, Interface: c.near.Attrs().Index, Flags: link.XDPGenericMode})
	if err != nil {
		return nil, fmt.Errorf("keep the program of live frames ready: %w", err)
	}
	if p.near, err = unix.NewIfreq(c.near.Attrs().Name); err != nil {
		return nil, fmt.Errorf("name of interface %s: %w", c.near.Attrs().Name, err)
	}
	frames := make([][]byte, len(p.slots))
	for i := range frames {
		frames[i] = p.slots[i].Frame[:]
	}
	p.sendmmsg, err = newSendmmsg(c.near, frames)
	return p, err
}

// load loads the program and maps its memory.
func (p *xdp) load() error {
	spec, err := loadLive()
	if err != nil {
		return fmt.Errorf("read the program of live frames: %w", err)
	}
	if err := spec.Variables[liveVarFarIfindex].Set(p.context.ingressIfindex); err != nil {
		return fmt.Errorf("set up the program of live frames: %w", err)
	}
	if err := spec.LoadAndAssign(&p.objects, nil); err != nil {
		return fmt.Errorf("load the program of live frames (Linux 5.18 has them): %w", err)
	}
	const access = unix.PROT_READ | unix.PROT_WRITE
	n := int(p.objects.Slots.MaxEntries())
	if p.memory, err = unix.Mmap(p.objects.Slots.FD(), 0, n*int(unsafe.Sizeof(liveSlot{})), access, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("map memory for frames: %w", err)
	}
	if p.cursors, err = unix.Mmap(p.objects.Cursors.FD(), 0, os.Getpagesize(), access, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("map memory for frames: %w", err)
	}
	p.slots = unsafe.Slice((*liveSlot)(unsafe.Pointer(&p.memory[0])), n)
	p.cursor = (*liveCursor)(unsafe.Pointer(&p.cursors[0]))
	p.context.dataEnd = uint32(len(p.template))
	p.run = runAttributes{
		program: uint32(p.objects.Live.FD()), flags: liveFrames, batch: livePages,
		data: uint64(uintptr(unsafe.Pointer(&p.template[0]))), dataBytes: uint32(len(p.template)),
		context: uint64(uintptr(unsafe.Pointer(&p.context))), contextBytes: uint32(unsafe.Sizeof(p.context)),
	}
	return nil
}

// try runs the program without a frame to send.
func (p *xdp) try() error {
	if _, errno := p.live(0, 0, 1); errno != 0 {
		return fmt.Errorf("run the program of live frames (Linux 5.18 has them): %w", errno)
	}
	return nil
}

func (p *xdp) setLength(i, n int) {
	p.slots[i].Length = uint32(n)
	p.sendmmsg.setLength(i, n)
}

// send has the kernel make packets of the frames in this call. They would come
// in at an interface that is down, too: so that is asked before.
func (p *xdp) send(first, n int) (int, error) {
	if n-first < p.least {
		return p.sendmmsg.send(first, n)
	}
	if err := unix.IoctlIfreq(p.fd, unix.SIOCGIFFLAGS, p.near); err != nil {
		return 0, err
	}
	if p.near.Uint16()&unix.IFF_UP == 0 {
		return 0, unix.ENETDOWN
	}
	for at := first; ; {
		sent, errno := p.live(at, n, n-at)
		at += sent
		switch {
		case at == n:
			return n - first, nil
		case errno == unix.EINTR: // by the runtime's own signals: a run takes milliseconds
			continue
		case errno != 0:
			return at - first, errno
		}
		return at - first, unix.EINVAL // the program would not have it
	}
}

// live runs the program a number of times, and returns how many frames of
// those from first up to n, n not included, it has sent.
func (p *xdp) live(first, n, times int) (int, unix.Errno) {
	atomic.StoreUint32(&p.cursor.Next, uint32(first))
	atomic.StoreUint32(&p.cursor.End, uint32(n))
	p.run.repeat = uint32(times)
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(&p.run)), unsafe.Sizeof(p.run))
	runtime.KeepAlive(p)
	return int(atomic.LoadUint32(&p.cursor.Next)) - first, errno
}

func (p *xdp) close() error { return errors.Join(p.sendmmsg.close(), p.release()) }

// release frees what newXDP got to, the socket apart.
func (p *xdp) release() error {
	var errs []error
	if p.ready != nil {
		errs = append(errs, p.ready.Close())
	}
	for _, memory := range [][]byte{p.memory, p.cursors} {
		if memory != nil {
			errs = append(errs, unix.Munmap(memory))
		}
	}
	if err := errors.Join(append(errs, p.objects.Close())...); err != nil {
		return fmt.Errorf("inject: close live frames: %w", err)
	}
	return nil
}

// loopback is the index of the interface lo, in every network namespace.
const loopback = 1

// XDPPossible says why this machine has no EngineXDP; nil: it has. It sends nothing,
// and needs CAP_BPF and CAP_NET_ADMIN.
func XDPPossible() error {
	p := &xdp{context: xdpContext{ingressIfindex: loopback}, template: make([]byte, len(liveSlot{}.Frame))}
	return errors.Join(func() error {
		if err := p.load(); err != nil {
			return err
		}
		return p.try()
	}(), p.release())
}
