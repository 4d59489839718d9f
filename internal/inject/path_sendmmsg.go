package inject

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const sendBytes = 4 << 20 // socket buffer: some thousand frames

// mmsghdr is the kernel's struct mmsghdr; the compiler pads it as C does.
type mmsghdr struct {
	header unix.Msghdr
	sent   uint32
}

// sendmmsg is the path through a packet socket, a batch with each call. Every
// kernel and every MTU has it.
type sendmmsg struct {
	fd      int
	frames  [][]byte
	vectors []unix.Iovec
	headers []mmsghdr
}

// newSendmmsg opens the path for frames in memory of the caller's.
func newSendmmsg(near netlink.Link, frames [][]byte) (*sendmmsg, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open packet socket (needs CAP_NET_RAW): %w", err)
	}
	// Protocol 0: this socket receives nothing.
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: near.Attrs().Index}); err != nil {
		return nil, errors.Join(fmt.Errorf("bind packet socket to %s: %w", near.Attrs().Name, err), unix.Close(fd))
	}
	// Best effort: a smaller buffer only makes the kernel ask us to wait.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBytes)
	return newSendmmsgOn(fd, frames), nil
}

// framesFor is memory for a batch of IP packets of up to mtu bytes.
func framesFor(mtu int) [][]byte {
	frames := make([][]byte, batchSize)
	for i := range frames {
		frames[i] = make([]byte, headerLen+mtu)
	}
	return frames
}

func newSendmmsgOn(fd int, frames [][]byte) *sendmmsg {
	p := &sendmmsg{fd: fd, frames: frames, vectors: make([]unix.Iovec, len(frames)), headers: make([]mmsghdr, len(frames))}
	for i, b := range frames {
		p.vectors[i].Base = &b[0]
		p.headers[i].header.Iov = &p.vectors[i]
		p.headers[i].header.SetIovlen(1)
	}
	return p
}

func (p *sendmmsg) batch() int { return len(p.frames) }

func (p *sendmmsg) frame(i int) ([]byte, error) { return p.frames[i], nil }

func (p *sendmmsg) setLength(i, n int) { p.vectors[i].SetLen(n) }

func (p *sendmmsg) send(first, n int) (int, error) {
	// A call that never waits needs no care of the scheduler's, which would wake
	// the runtime's monitor of an idle process for it.
	r, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(p.fd),
		uintptr(unsafe.Pointer(&p.headers[first])), uintptr(n-first), unix.MSG_DONTWAIT, 0, 0)
	if errno == unix.EAGAIN { // the socket's buffer is full
		r, _, errno = unix.Syscall6(unix.SYS_SENDMMSG, uintptr(p.fd),
			uintptr(unsafe.Pointer(&p.headers[first])), uintptr(n-first), 0, 0, 0)
	}
	runtime.KeepAlive(p)
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}

func (p *sendmmsg) close() error {
	if err := unix.Close(p.fd); err != nil {
		return fmt.Errorf("inject: close packet socket: %w", err)
	}
	return nil
}
