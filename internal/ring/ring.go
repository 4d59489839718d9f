// Package ring reads BPF ring buffers and waits for them as the runtime waits
// for sockets. A reader that waits in a system call of its own keeps the
// runtime's monitor awake for milliseconds after each record: at 50 packets a
// second that took more of the processor than all else.
package ring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/alarm"
	"pacgan-appliance/internal/ktime"
)

// Reader reads the records of one ring buffer. Each and Next are for one
// goroutine at a time; the other methods may be called beside them.
type Reader struct {
	every time.Duration
	file  *os.File // the map's descriptor, for the runtime's poller
	conn  syscall.RawConn

	mu      sync.Mutex      // records may not be closed while it is read
	records *ringbuf.Reader // asked for what is there only: its deadline has passed; nil: closed
}

// NewReader makes a reader of a map of type BPF_MAP_TYPE_RINGBUF, which may be
// closed before it. A program may write records and wake nobody: they are
// looked for after so long; 0: never.
func NewReader(m *ebpf.Map, every time.Duration) (*Reader, error) {
	r := &Reader{every: every}
	if err := r.open(m); err != nil {
		return nil, errors.Join(fmt.Errorf("open ring buffer %v: %w", m, err), r.Close())
	}
	return r, nil
}

func (r *Reader) open(m *ebpf.Map) error {
	var err error
	if r.records, err = ringbuf.NewReader(m); err != nil {
		return err
	}
	r.records.SetDeadline(past)
	fd, err := unix.FcntlInt(uintptr(m.FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("duplicate its descriptor: %w", err)
	}
	err = unix.SetNonblock(fd, true) // or os.NewFile does not have it polled
	r.file = os.NewFile(uintptr(fd), m.String())
	if err != nil {
		return fmt.Errorf("make its descriptor non-blocking: %w", err)
	}
	if r.conn, err = r.file.SyscallConn(); err != nil {
		return err
	}
	return r.file.SetReadDeadline(time.Time{}) // an error where the runtime cannot poll it
}

// past is a deadline that ends a wait at once.
var past = time.Unix(1, 0)

// Each calls f with every record, in their order, until ctx ends; then with
// those that were there before, so that no flood keeps it from ending. The
// record is valid until f returns. Its error is f's, ErrClosed after
// Close, or nil.
func (r *Reader) Each(ctx context.Context, f func(record []byte) error) error {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		r.file.SetReadDeadline(past) // fails where the file is closed, which ends the wait as well
	})
	defer func() {
		if !stop() {
			<-ended // or it would end the next call
		}
	}()
	stopLooking, err := r.look()
	if err != nil {
		return err
	}
	err = r.read(ctx, f)
	return cmp.Or(err, stopLooking())
}

// read is Each without what ends its waits.
func (r *Reader) read(ctx context.Context, f func(record []byte) error) error {
	var record ringbuf.Record
	for ctx.Err() == nil {
		found, err := r.Next(&record)
		switch {
		case err != nil:
			return err
		case found:
			err = f(record.RawSample)
		default:
			err = r.wait(ctx)
		}
		if err != nil {
			return err
		}
	}
	for left := r.AvailableBytes(); left > 0; {
		found, err := r.Next(&record)
		if err != nil || !found {
			return err
		}
		left -= (len(record.RawSample)+7)&^7 + headerBytes
		if err := f(record.RawSample); err != nil {
			return err
		}
	}
	return nil
}

// headerBytes precede each record, which takes a multiple of 8 bytes (BPF_RINGBUF_HDR_SZ).
const headerBytes = 8

// look ends waits at its times where there is something to read of which the
// program has woken nobody; the result ends that.
func (r *Reader) look() (stop func() error, err error) {
	if r.every == 0 {
		return func() error { return nil }, nil
	}
	clock, err := alarm.New()
	if err != nil {
		return nil, err
	}
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for clock.Wait(ktime.Now()+ktime.Beat(r.every)) == nil {
			select {
			case <-done:
				return
			default:
			}
			if r.AvailableBytes() > 0 {
				r.file.SetReadDeadline(past) // fails where the file is closed, which ends the wait as well
			}
		}
	}()
	return func() error {
		close(done)
		clock.Ring()
		<-stopped
		return clock.Close()
	}, nil
}

// wait waits until there is something, or until ctx ends.
func (r *Reader) wait(ctx context.Context) error {
	err := r.file.SetReadDeadline(time.Time{})
	if err == nil && ctx.Err() != nil { // its own deadline has perhaps been overwritten
		return nil
	}
	if err == nil {
		err = r.conn.Read(r.any)
	}
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return ErrClosed // the file is: nothing else ends the wait
}

// any reports whether there is something to read, or nothing will come.
func (r *Reader) any(uintptr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.records == nil || r.records.AvailableBytes() > 0
}

// ErrClosed is of a reader that was closed.
var ErrClosed = fmt.Errorf("read ring buffer: %w", os.ErrClosed)

// Next takes the next record that is there; false where there is none.
func (r *Reader) Next(record *ringbuf.Record) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.records == nil:
		return false, ErrClosed
	case r.records.AvailableBytes() == 0:
		return false, nil
	}
	err := r.records.ReadInto(record)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return false, nil
	}
	return err == nil, err
}

// AvailableBytes is how much of the buffer is taken up; 0 after Close.
func (r *Reader) AvailableBytes() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.records == nil {
		return 0
	}
	return r.records.AvailableBytes()
}

// Close ends the reader: an Each under way returns. Later calls do nothing.
func (r *Reader) Close() error {
	r.mu.Lock()
	records := r.records
	r.records = nil
	r.mu.Unlock() // the poller's wait ends with the file, but not while it waits for the lock
	if records == nil {
		return nil
	}
	err := records.Close()
	if r.file != nil {
		err = errors.Join(err, r.file.Close())
	}
	return err
}
