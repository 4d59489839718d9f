// Package alarm wakes a goroutine at a time of the kernel's monotonic clock. The
// runtime's own timers do that, too; but in an idle process each of them wakes
// five threads: it ends a poll a millisecond early and one more in time, makes
// a goroutine ready, for which another thread is woken to look for more, and
// is waited for by the runtime's monitor as well. An alarm is a file (timerfd)
// that the poller waits for: it wakes one.
package alarm

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Alarm wakes one goroutine. Wait is for one goroutine at a time, Ring and
// Close may be called beside it.
type Alarm struct {
	file *os.File
	conn syscall.RawConn
	rung atomic.Bool

	// Of the Wait under way, so that it allocates nothing.
	until time.Duration
	set   bool
	err   error
	poll  func(fd uintptr) bool // a.expired
	ring  func(fd uintptr)      // sets the timer off
}

// New makes an alarm.
func New() (*Alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("alarm: make a timer: %w", err)
	}
	a := &Alarm{file: os.NewFile(uintptr(fd), "timer")}
	a.poll = a.expired
	a.ring = func(fd uintptr) { _ = setTimer(fd, 1) } // the beginning of time has passed; the descriptor is a timer's
	if a.conn, err = a.file.SyscallConn(); err == nil {
		err = a.file.SetReadDeadline(time.Time{}) // an error where the runtime cannot poll it
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("alarm: %w", err), a.file.Close())
	}
	return a, nil
}

// Wait returns at a time of the kernel's clock (ktime.Now), or once Ring is
// called, or has been since the last Wait. Its error is ErrClosed after Close.
func (a *Alarm) Wait(until time.Duration) error {
	a.until, a.set, a.err = until, false, nil
	if err := a.conn.Read(a.poll); err != nil {
		return ErrClosed // the file is: nothing else ends the wait
	}
	return a.err
}

// ErrClosed is of an alarm that was closed.
var ErrClosed = fmt.Errorf("alarm: %w", os.ErrClosed)

// expired reports whether the wait is over; the poller calls it at first and
// whenever the timer has gone off.
func (a *Alarm) expired(fd uintptr) bool {
	if !a.set {
		a.set = true
		if a.err = setTimer(fd, max(a.until, 1)); a.err != nil {
			return true
		}
		if a.rung.Swap(false) { // before the timer was set, which took its place
			return true
		}
	}
	var times uint64
	_, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&times)), unsafe.Sizeof(times))
	switch errno {
	case 0:
		a.rung.Store(false)
		return true
	case unix.EAGAIN, unix.EINTR:
		return false
	}
	a.err = fmt.Errorf("alarm: read a timer: %w", errno)
	return true
}

// setTimer has the timer go off at a time of the clock.
func setTimer(fd uintptr, at time.Duration) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(at))}
	if err := unix.TimerfdSettime(int(fd), unix.TFD_TIMER_ABSTIME, &spec, nil); err != nil {
		return fmt.Errorf("alarm: set a timer: %w", err)
	}
	return nil
}

// Ring ends the Wait under way, or else the next one.
func (a *Alarm) Ring() {
	a.rung.Store(true)
	_ = a.conn.Control(a.ring) // fails where the alarm is closed, which ends the wait as well
}

// Close ends the alarm and the Wait under way.
func (a *Alarm) Close() error {
	if err := a.file.Close(); err != nil {
		return fmt.Errorf("alarm: %w", err)
	}
	return nil
}
