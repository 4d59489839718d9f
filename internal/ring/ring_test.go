package ring

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/ringbuf"
)

const noWakeup = 1 // BPF_RB_NO_WAKEUP

// writer is a program that writes the first four bytes of the frame that it is
// run on into a ring buffer.
type writer struct{ program *ebpf.Program }

func mustRing(t *testing.T, every time.Duration, flags int32) (*Reader, writer) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("PACGAN_REQUIRE_ROOT") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root: it loads BPF programs")
	}
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "ring", Type: ebpf.RingBuf, MaxEntries: 4096})
	must(t, err)
	r, err := NewReader(m, every)
	must(t, err)
	t.Cleanup(func() { must(t, r.Close()) })
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "GPL",
		Instructions: asm.Instructions{
			asm.Mov.Reg(asm.R6, asm.R1),
			asm.Mov.Imm(asm.R2, 0),
			asm.Mov.Reg(asm.R3, asm.RFP),
			asm.Add.Imm(asm.R3, -8),
			asm.Mov.Imm(asm.R4, 4),
			asm.FnSkbLoadBytes.Call(),
			asm.JNE.Imm(asm.R0, 0, "out"),
			asm.LoadMapPtr(asm.R1, m.FD()),
			asm.Mov.Reg(asm.R2, asm.RFP),
			asm.Add.Imm(asm.R2, -8),
			asm.Mov.Imm(asm.R3, 4),
			asm.Mov.Imm(asm.R4, flags),
			asm.FnRingbufOutput.Call(),
			asm.Return().WithSymbol("out"),
		},
	})
	must(t, err)
	t.Cleanup(func() { program.Close() })
	must(t, m.Close()) // the reader has its own descriptor
	return r, writer{program}
}

// write writes a number; false where the buffer is full.
func (w writer) write(t *testing.T, n uint32) bool {
	t.Helper()
	frame := make([]byte, 64)
	binary.NativeEndian.PutUint32(frame, n)
	code, err := w.program.Run(&ebpf.RunOptions{Data: frame})
	must(t, err)
	return code == 0
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestEach reads in step with a writer: no record is lost, repeated or out of
// order, however the reader is woken.
func TestEach(t *testing.T) {
	const records = 20000 // the buffer wraps many times
	for _, tt := range []struct {
		name  string
		every time.Duration
		flags int32
	}{
		{"woken", 0, 0},
		{"woken, and looks by itself", time.Millisecond, 0},
		{"looks by itself", time.Millisecond, noWakeup},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, w := mustRing(t, tt.every, tt.flags)
			got, read := make(chan uint32), make(chan error, 1)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				read <- r.Each(ctx, func(record []byte) error {
					got <- binary.NativeEndian.Uint32(record)
					return nil
				})
			}()
			written := uint32(0)
			for next := uint32(0); next < records; next++ {
				for written < records && w.write(t, written) {
					written++
				}
				if n := <-got; n != next {
					t.Fatalf("record %d in the place of %d", n, next)
				}
			}
			cancel()
			must(t, <-read)
		})
	}
}

// TestEachEnds has Each hand over what is there when its context ends, and
// nothing of what is written after.
func TestEachEnds(t *testing.T) {
	r, w := mustRing(t, 0, 0)
	for range 2 { // an ended call leaves nothing to the next
		for n := range uint32(5) {
			w.write(t, n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		count := 0
		must(t, r.Each(ctx, func([]byte) error {
			count++
			w.write(t, 9)
			return nil
		}))
		if count != 5 {
			t.Errorf("%d records, 5 were there", count)
		}
		var record ringbuf.Record
		for {
			found, err := r.Next(&record)
			must(t, err)
			if !found {
				break
			}
		}
	}
	wrong := errors.New("wrong")
	w.write(t, 1)
	if err := r.Each(t.Context(), func([]byte) error { return wrong }); err != wrong {
		t.Errorf("got %v, want what the function gave", err)
	}
}

// TestClose ends a call that waits, and every later one.
func TestClose(t *testing.T) {
	r, _ := mustRing(t, 0, 0)
	read := make(chan error, 1)
	go func() { read <- r.Each(t.Context(), func([]byte) error { return nil }) }()
	time.AfterFunc(10*time.Millisecond, func() { r.Close() })
	for range 2 {
		if err := <-read; !errors.Is(err, ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
		read <- r.Each(t.Context(), func([]byte) error { return nil })
	}
	if _, err := r.Next(new(ringbuf.Record)); !errors.Is(err, ErrClosed) || r.AvailableBytes() != 0 {
		t.Errorf("Next: %v, want ErrClosed", err)
	}
}
