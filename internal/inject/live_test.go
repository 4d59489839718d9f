package inject

import (
	"bytes"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/lab/labtest"
)

// What live returns.
const (
	xdpDrop = 1
	xdpPass = 2
)

// mustXDP opens the path on a cable of its own that nobody guards.
func mustXDP(tb testing.TB) *xdp {
	tb.Helper()
	labtest.RequireRoot(tb)
	c, err := newCable("a0", "a1", 1500)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.remove(); err != nil {
			tb.Error(err)
		}
	})
	if err := c.up(); err != nil {
		tb.Fatal(err)
	}
	p, err := newXDP(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.close(); err != nil {
			tb.Error(err)
		}
	})
	return p
}

// TestLive runs the program as a packet's: it hands out what the slots hold,
// in their order, and nothing that a slot cannot hold.
func TestLive(t *testing.T) {
	p := mustXDP(t)
	frame := bytes.Repeat([]byte("0123456789"), 210)[:len(p.template)]
	copy(p.slots[3].Frame[:], frame)
	far := p.context.ingressIfindex
	tests := []struct {
		name      string
		ingress   uint32
		next, end uint32
		length    int // of slot 3
		action    uint32
		frame     []byte // nil: as it was
		then      uint32 // cursor.next
	}{
		{"a frame", far, 3, 4, 75, xdpPass, frame[:75], 4},
		{"shortest", far, 3, 4, 14, xdpPass, frame[:14], 4},
		{"longest", far, 3, 4, len(frame), xdpPass, frame, 4},
		{"too short", far, 3, 4, 13, xdpDrop, nil, 3},
		{"too long", far, 3, 4, len(frame) + 1, xdpDrop, nil, 3},
		{"hostile length", far, 3, 4, 1<<32 - 1, xdpDrop, nil, 3},
		{"none left", far, 4, 4, 75, xdpDrop, nil, 4},
		{"outside the slots", far, uint32(len(p.slots)), 1 << 31, 75, xdpDrop, nil, uint32(len(p.slots))},
		{"not ours", loopback, 3, 4, 75, xdpPass, nil, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p.slots[3].Length = uint32(tt.length)
			p.cursor.Next, p.cursor.End = tt.next, tt.end
			out := make([]byte, len(frame)+64)
			run := ebpf.RunOptions{Data: p.template, DataOut: out, Context: [6]uint32{1: uint32(len(p.template)), 3: tt.ingress}}
			action, err := p.objects.Live.Run(&run)
			if err != nil {
				t.Fatal(err)
			}
			want := tt.frame
			if want == nil {
				want = p.template
			}
			if action != tt.action || p.cursor.Next != tt.then || !cmp.Equal(want, run.DataOut) {
				t.Errorf("action %d, next %d, %d bytes %.20q...; want %d, %d, %d bytes", action, p.cursor.Next, len(run.DataOut), run.DataOut, tt.action, tt.then, len(want))
			}
		})
	}
}

// TestLiveIsInterrupted: signals end runs, and no frame is lost or sent twice.
func TestLiveIsInterrupted(t *testing.T) {
	p := mustXDP(t)
	for i := range p.slots {
		p.setLength(i, 60)
	}
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, unix.SIGUSR1)
	defer signal.Stop(caught)
	runtime.LockOSThread() // the signals go to the thread that sends
	defer runtime.UnlockOSThread()
	thread, sending := unix.Gettid(), make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-sending:
				return
			default:
				_ = unix.Tgkill(unix.Getpid(), thread, unix.SIGUSR1) // of a thread that is there
			}
		}
	}()
	for range 20 {
		if n, err := p.send(0, p.batch()); n != p.batch() || err != nil {
			t.Errorf("sent %d of %d: %v", n, p.batch(), err)
		}
		if got := atomic.LoadUint32(&p.cursor.Next); got != uint32(p.batch()) {
			t.Errorf("the program has sent %d of %d", got, p.batch())
		}
	}
	close(sending)
	<-stopped
}

// TestLiveSends: a run sends all of its frames and counts them; one that no slot
// can hold ends it, where it stands.
func TestLiveSends(t *testing.T) {
	p := mustXDP(t)
	p.least = 1
	for i := range p.slots {
		p.setLength(i, 60)
	}
	if n, err := p.send(0, p.batch()); n != p.batch() || err != nil {
		t.Errorf("sent %d of %d: %v", n, p.batch(), err)
	}
	p.slots[100].Length = 13
	if n, err := p.send(10, 200); n != 90 || err == nil {
		t.Errorf("sent %d, want 90 and an error: %v", n, err)
	}
}
