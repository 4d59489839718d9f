package inject

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	batchSize = 64
	sendBytes = 4 << 20 // socket buffer: some thousand frames
)

// mmsghdr is the kernel's struct mmsghdr; the compiler pads it as C does.
type mmsghdr struct {
	header unix.Msghdr
	sent   uint32
}

// note says whose a frame in the batch is.
type note struct {
	label int
	opens bool
	id    uint32
}

// sender writes frames to the injection cable in batches. It is not safe for
// concurrent use, and allocates nothing once it is open.
type sender struct {
	fd      int
	ledger  *ledger
	failed  func(id uint32) // told of opening frames that could not be sent
	frames  [][]byte
	notes   [batchSize]note
	vectors [batchSize]unix.Iovec
	headers [batchSize]mmsghdr
	n       int
}

func newSender(near netlink.Link, l *ledger, failed func(id uint32)) (*sender, error) {
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
	return newSenderOn(fd, near.Attrs().MTU, l, failed), nil
}

// newSenderOn makes the buffers of a sender for IP packets of up to mtu bytes.
func newSenderOn(fd, mtu int, l *ledger, failed func(id uint32)) *sender {
	s := &sender{fd: fd, ledger: l, failed: failed, frames: make([][]byte, batchSize)}
	size := headerLen + mtu
	for i := range s.frames {
		s.frames[i] = make([]byte, size)
		s.vectors[i].Base = &s.frames[i][0]
		s.headers[i].header.Iov = &s.vectors[i]
		s.headers[i].header.SetIovlen(1)
	}
	return s
}

// room is where the next frame's IP packet is to be written: as many bytes as
// the MTU. commit puts the frame into the batch.
func (s *sender) room() ([]byte, error) {
	if s.n == batchSize {
		if err := s.flush(); err != nil {
			return nil, err
		}
	}
	return s.frames[s.n][headerLen:], nil
}

func (s *sender) commit(hop [6]byte, m meta, length int) {
	putHeader(s.frames[s.n], hop, m)
	s.vectors[s.n].SetLen(headerLen + length)
	s.notes[s.n] = note{label: m.label, opens: m.flags&metaOpens != 0, id: m.id}
	s.n++
}

// add puts an opening IP packet, no longer than the MTU, into the batch. With
// an error the packet is counted as failed.
func (s *sender) add(hop [6]byte, m meta, ip []byte) error {
	b, err := s.room()
	if err != nil {
		s.ledger.fail(m.label, ReasonGone)
		return err
	}
	s.commit(hop, m, copy(b, ip))
	return nil
}

// flush sends the batch. Frames that the kernel refuses are counted as failed
// with its reason; an error says that nothing can be sent any more.
func (s *sender) flush() error {
	n := s.n
	s.n = 0
	for first := 0; first < n; {
		sent, err := s.send(first, n)
		for i := first; i < first+sent; i++ {
			s.note(i, nil)
		}
		first += sent
		switch {
		case err == nil, err == unix.EINTR, err == unix.EAGAIN:
		case err == unix.EBADF, err == unix.ENXIO, err == unix.ENODEV:
			for i := first; i < n; i++ {
				s.note(i, err)
			}
			return fmt.Errorf("inject: the injection cable has gone: %w", err)
		default:
			s.note(first, err)
			first++
		}
	}
	return nil
}

// send hands headers[first:n] to the kernel and returns how many it took. The
// error concerns the first that it did not take.
func (s *sender) send(first, n int) (int, error) {
	r, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(s.fd),
		uintptr(unsafe.Pointer(&s.headers[first])), uintptr(n-first), 0, 0, 0)
	runtime.KeepAlive(s)
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}

// note writes down what became of a frame of the batch.
func (s *sender) note(i int, err error) {
	n := &s.notes[i]
	switch {
	case !n.opens:
	case err == nil:
		s.ledger.submit(n.label)
	default:
		s.ledger.fail(n.label, "send: "+err.Error())
		s.failed(n.id)
	}
}

func (s *sender) close() error {
	if err := unix.Close(s.fd); err != nil {
		return fmt.Errorf("inject: close packet socket: %w", err)
	}
	return nil
}
