package inject

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// attendance is how long the guard lets frames out after it was minded
	// last: a frame that waits longer on its way there does not leave.
	attendance = 2 * time.Second
	// attendAfter is how old the last time may be when frames are sent, so
	// that every frame has at least the rest of attendance.
	attendAfter = 500 * time.Millisecond
)

// gate is the guard's dead man's switch: frames leave for a while after this
// process has sent some, and not at all while it is paused. Nothing has to run
// beside the sending, and a process that hangs, is stopped or dead holds no
// gate open.
type gate struct {
	guard *guardObjects

	mu       sync.Mutex
	paused   bool
	broken   error        // why nothing may be sent now
	attended atomic.Int64 // monotonic; 0: the guard has to be told
}

// attend keeps the gate open for the frames that are sent now.
func (g *gate) attend() error {
	now := monotonic()
	if at := g.attended.Load(); at != 0 && now-at < int64(attendAfter) {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.paused || g.broken != nil {
		return g.broken // the guard refuses and counts what a paused process sends
	}
	if err := g.openUntil(now + int64(attendance)); err != nil {
		return err
	}
	g.attended.Store(now)
	return nil
}

// shut has the guard let nothing out: when it returns nothing leaves.
func (g *gate) shut() error {
	g.attended.Store(0)
	return g.openUntil(0)
}

func (g *gate) openUntil(ns int64) error {
	if err := g.guard.OpenUntil.Set(uint64(ns)); err != nil {
		return fmt.Errorf("tell the guard until when frames may leave: %w", err)
	}
	return nil
}

// fail shuts the gate while err lasts; nil: it has passed.
func (g *gate) fail(err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.broken = err
	if err == nil {
		return nil
	}
	return g.shut()
}

// Pause has the guard refuse everything from now on, conversations under way
// included: when it returns no frame leaves any more. What is sent
// nevertheless is counted as blocked (ReasonPaused).
func (in *Injector) Pause() error {
	in.gate.mu.Lock()
	defer in.gate.mu.Unlock()
	in.gate.paused = true
	if err := in.gate.shut(); err != nil {
		return fmt.Errorf("inject: pause: %w", err)
	}
	return nil
}

// Resume undoes Pause.
func (in *Injector) Resume() {
	in.gate.mu.Lock()
	defer in.gate.mu.Unlock()
	in.gate.paused = false
}

// attended is a path whose frames the guard is told to expect.
type attended struct {
	path
	gate *gate
}

func (a attended) send(first, n int) (int, error) {
	if err := a.gate.attend(); err != nil {
		return 0, err
	}
	return a.path.send(first, n)
}
