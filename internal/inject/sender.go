package inject

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// batchSize is how many frames a batch has at most, where the path does not gain by more.
const batchSize = 64

// path is a way for frames to reach the near end of the injection cable. One
// goroutine at a time uses it; it allocates nothing once it is open.
type path interface {
	// batch is how many frames a batch has at most.
	batch() int
	// frame is the memory of the batch's frame i: room for the Ethernet header
	// and as many bytes as the MTU. It is the same until frame i is sent.
	frame(i int) ([]byte, error)
	// setLength says how long frame i is, in bytes.
	setLength(i, n int)
	// send hands the frames from first up to n, n not included, to the kernel,
	// in their order, and returns how many it took. The error is why it did
	// not take the next one, which is not sent then.
	send(first, n int) (int, error)
	close() error
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
	path   path
	ledger *ledger
	failed func(id uint32) // told of opening frames that could not be sent
	notes  []note          // of a batch
	n      int
}

func newSender(p path, l *ledger, failed func(id uint32)) *sender {
	return &sender{path: p, ledger: l, failed: failed, notes: make([]note, p.batch())}
}

// room is where the next frame's IP packet is to be written: as many bytes as
// the MTU. commit puts the frame into the batch.
func (s *sender) room() ([]byte, error) {
	if s.n == len(s.notes) {
		if err := s.flush(); err != nil {
			return nil, err
		}
	}
	b, err := s.path.frame(s.n)
	if err != nil {
		return nil, err
	}
	return b[headerLen:], nil
}

func (s *sender) commit(hop [6]byte, m meta, length int) {
	b, err := s.path.frame(s.n)
	if err != nil {
		return // room has had it: it is the same frame
	}
	putHeader(b, hop, m)
	s.path.setLength(s.n, headerLen+length)
	s.notes[s.n] = note{label: m.label, opens: m.flags&metaOpens != 0, id: m.id}
	s.n++
}

// add puts an opening packet's first length bytes, no more than the MTU, into
// the batch. With an error the packet is counted as failed.
func (s *sender) add(hop [6]byte, flags uint8, p Packet, length int) error {
	b, err := s.room()
	if err != nil {
		s.ledger.fail(p, ReasonGone)
		return err
	}
	id := s.ledger.recorder.Handed(p, 0)
	s.commit(hop, meta{flags: flags, label: p.Label, id: id}, copy(b, p.IP[:length]))
	return nil
}

// flush sends the batch. Frames that the kernel refuses are counted as failed
// with its reason; an error says that nothing can be sent any more.
func (s *sender) flush() error {
	n := s.n
	s.n = 0
	for first := 0; first < n; {
		sent, err := s.path.send(first, n)
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

// note writes down what became of a frame of the batch.
func (s *sender) note(i int, err error) {
	n := &s.notes[i]
	switch {
	case !n.opens:
	case err == nil:
		s.ledger.submit(n.label)
	default:
		s.ledger.refuse(n.label, n.id, "send: "+err.Error())
		s.failed(n.id)
	}
}

func (s *sender) close() error { return s.path.close() }
