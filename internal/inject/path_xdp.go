package inject

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	xdpChunks      = 1024 // frames that the kernel may hold at once
	xdpTXEntries   = 256  // at least two batches, a power of two
	xdpFillEntries = 64   // the kernel wants a fill ring, though nothing is received
	xdpStalled     = 5 * time.Second
	xdpPoll        = 50 * time.Microsecond
)

// xdp is the path through an AF_XDP socket in copy mode: the kernel makes its
// packets of frames in memory that both share. It needs no program on the
// interface, since it receives nothing.
type xdp struct {
	fd         int
	memory     []byte // chunks, one frame in each
	chunkBytes int
	free       []uint32 // chunks
	chunk      [batchSize]uint32
	taken      [batchSize]bool // chunk[i] is frame i's
	length     [batchSize]uint32
	tx         xdpRing // of descriptors that the kernel is to send
	done       xdpRing // of addresses that it is done with
}

// xdpRing is a ring that the kernel shares with us.
type xdpRing struct {
	memory             []byte
	producer, consumer *uint32
	entries            unsafe.Pointer
	mask               uint32
}

// newXDP opens the path. Packets must fit a chunk, which is at most a page.
func newXDP(near netlink.Link) (_ *xdp, err error) {
	size := 2048
	if headerLen+near.Attrs().MTU > size {
		size = 4096
	}
	if most := min(size, os.Getpagesize()); headerLen+near.Attrs().MTU > most {
		return nil, fmt.Errorf("MTU %d: AF_XDP takes packets of at most %d bytes", near.Attrs().MTU, most-headerLen)
	}
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open AF_XDP socket: %w", err)
	}
	p := &xdp{fd: fd, chunkBytes: size}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if err := p.share(); err != nil {
		return nil, err
	}
	if err := p.mapRings(); err != nil {
		return nil, err
	}
	// Best effort: a smaller buffer only makes the kernel ask us to wait.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBytes)
	if err := unix.Bind(fd, &unix.SockaddrXDP{Flags: unix.XDP_COPY, Ifindex: uint32(near.Attrs().Index)}); err != nil {
		return nil, fmt.Errorf("bind AF_XDP socket to %s: %w", near.Attrs().Name, err)
	}
	return p, nil
}

// share makes the chunks and has the kernel know them.
func (p *xdp) share() error {
	var err error
	p.memory, err = unix.Mmap(-1, 0, xdpChunks*p.chunkBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
	if err != nil {
		return fmt.Errorf("memory for frames: %w", err)
	}
	for i := range uint32(xdpChunks) {
		p.free = append(p.free, i)
	}
	region := unix.XDPUmemReg{Addr: uint64(uintptr(unsafe.Pointer(&p.memory[0]))), Len: uint64(len(p.memory)), Size: uint32(p.chunkBytes)}
	if err := setOption(p.fd, unix.XDP_UMEM_REG, &region); err != nil {
		return fmt.Errorf("share memory for frames with the kernel (RLIMIT_MEMLOCK must allow %d bytes): %w", len(p.memory), err)
	}
	sizes := []struct {
		option  int
		entries uint32
	}{{unix.XDP_UMEM_FILL_RING, xdpFillEntries}, {unix.XDP_UMEM_COMPLETION_RING, xdpChunks}, {unix.XDP_TX_RING, xdpTXEntries}}
	for _, ring := range sizes {
		if err := setOption(p.fd, ring.option, &ring.entries); err != nil {
			return fmt.Errorf("size AF_XDP ring: %w", err)
		}
	}
	return nil
}

// setOption sets an option of an AF_XDP socket to a struct of the kernel's.
func setOption[T any](fd, option int, value *T) error {
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(option),
		uintptr(unsafe.Pointer(value)), unsafe.Sizeof(*value), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func (p *xdp) mapRings() error {
	var offsets unix.XDPMmapOffsets
	size := uint32(unsafe.Sizeof(offsets))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(p.fd), unix.SOL_XDP, unix.XDP_MMAP_OFFSETS,
		uintptr(unsafe.Pointer(&offsets)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return fmt.Errorf("ask for AF_XDP ring offsets: %w", errno)
	}
	var err error
	if p.tx, err = mapRing(p.fd, unix.XDP_PGOFF_TX_RING, offsets.Tx, xdpTXEntries, unsafe.Sizeof(unix.XDPDesc{})); err != nil {
		return err
	}
	p.done, err = mapRing(p.fd, unix.XDP_UMEM_PGOFF_COMPLETION_RING, offsets.Cr, xdpChunks, unsafe.Sizeof(uint64(0)))
	return err
}

func mapRing(fd int, at int64, o unix.XDPRingOffset, entries uint32, entryBytes uintptr) (xdpRing, error) {
	memory, err := unix.Mmap(fd, at, int(o.Desc)+int(entries)*int(entryBytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return xdpRing{}, fmt.Errorf("map AF_XDP ring: %w", err)
	}
	return xdpRing{
		memory:   memory,
		producer: (*uint32)(unsafe.Pointer(&memory[o.Producer])),
		consumer: (*uint32)(unsafe.Pointer(&memory[o.Consumer])),
		entries:  unsafe.Pointer(&memory[o.Desc]),
		mask:     entries - 1,
	}, nil
}

func (r *xdpRing) descriptor(i uint32) *unix.XDPDesc {
	return (*unix.XDPDesc)(unsafe.Add(r.entries, uintptr(i&r.mask)*unsafe.Sizeof(unix.XDPDesc{})))
}

// waiting is how many entries the kernel has not consumed.
func (r *xdpRing) waiting() uint32 {
	return atomic.LoadUint32(r.producer) - atomic.LoadUint32(r.consumer)
}

// frame takes a free chunk. Where the kernel holds all of them it waits for
// the first that comes back.
func (p *xdp) frame(i int) ([]byte, error) {
	if !p.taken[i] {
		if len(p.free) == 0 {
			if err := p.await(); err != nil {
				return nil, err
			}
		}
		last := len(p.free) - 1
		p.chunk[i], p.taken[i] = p.free[last], true
		p.free = p.free[:last]
	}
	at := int(p.chunk[i]) * p.chunkBytes
	return p.memory[at : at+p.chunkBytes : at+p.chunkBytes], nil
}

func (p *xdp) setLength(i, n int) { p.length[i] = uint32(n) }

// await waits until the kernel gives chunks back.
func (p *xdp) await() error {
	for deadline := monotonic() + int64(xdpStalled); ; {
		p.reap()
		if len(p.free) > 0 {
			return nil
		}
		if monotonic() > deadline {
			return fmt.Errorf("inject: the kernel has not let go of %d frames in %v", xdpChunks, xdpStalled)
		}
		time.Sleep(xdpPoll)
	}
}

// reap takes back the chunks that the kernel is done with.
func (p *xdp) reap() {
	from, to := atomic.LoadUint32(p.done.consumer), atomic.LoadUint32(p.done.producer)
	for i := from; i != to; i++ {
		addr := *(*uint64)(unsafe.Add(p.done.entries, uintptr(i&p.done.mask)*unsafe.Sizeof(uint64(0))))
		p.free = append(p.free, uint32(addr/uint64(p.chunkBytes)))
	}
	atomic.StoreUint32(p.done.consumer, to)
}

// send writes descriptors and has the kernel send them in this call, some at
// a time. Those that it cannot send are made void, for it to skip: taking them
// back is not safe, since it may have read how many there are.
func (p *xdp) send(first, n int) (int, error) {
	if _, err := p.push(); err != nil { // void ones of before
		return 0, err
	}
	begin := *p.tx.producer
	for i := first; i < n; i++ {
		*p.tx.descriptor(begin + uint32(i-first)) = unix.XDPDesc{Addr: uint64(p.chunk[i]) * uint64(p.chunkBytes), Len: p.length[i]}
	}
	atomic.StoreUint32(p.tx.producer, begin+uint32(n-first))
	left, err := p.push()
	sent := n - first - int(left)
	for i := range uint32(n - first) {
		if int(i) < sent {
			p.taken[first+int(i)] = false
			continue
		}
		p.tx.descriptor(begin + i).Addr = ^uint64(0)
	}
	p.reap()
	return sent, err
}

// push has the kernel send until nothing waits, and returns how many wait when
// it would not go on.
func (p *xdp) push() (waiting uint32, err error) {
	stuck := 0
	for waiting = p.tx.waiting(); waiting > 0; {
		_, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(p.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
		before := waiting
		waiting = p.tx.waiting()
		switch {
		case waiting != before:
			stuck = 0
		case errno == 0, errno == unix.EAGAIN, errno == unix.EINTR, errno == unix.EBUSY, errno == unix.ENOBUFS:
			p.reap()
			if stuck++; time.Duration(stuck)*xdpPoll > xdpStalled {
				return waiting, unix.ENOBUFS
			}
			time.Sleep(xdpPoll)
		default:
			runtime.KeepAlive(p)
			return waiting, errno
		}
	}
	runtime.KeepAlive(p)
	return 0, nil
}

func (p *xdp) close() error {
	err := unix.Close(p.fd)
	for _, memory := range [][]byte{p.tx.memory, p.done.memory, p.memory} {
		if memory != nil {
			err = errors.Join(err, unix.Munmap(memory))
		}
	}
	if err != nil {
		return fmt.Errorf("inject: close AF_XDP socket: %w", err)
	}
	return nil
}
