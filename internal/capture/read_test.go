package capture

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/bounded"
	"pacgan-appliance/internal/lab/labtest"
	"pacgan-appliance/internal/packet"
)

func record(header captureFrameHeader, frame string, room int) []byte {
	b := make([]byte, headerBytes, headerBytes+room)
	binary.NativeEndian.PutUint64(b, header.TimeNs)
	binary.NativeEndian.PutUint32(b[8:], header.Len)
	binary.NativeEndian.PutUint32(b[12:], header.Label)
	return append(b, frame...)
}

// TestHeaderBytes ties headerBytes to the generated struct.
func TestHeaderBytes(t *testing.T) {
	if n := binary.Size(captureFrameHeader{}); n != headerBytes {
		t.Errorf("struct frame_header has %d bytes, headerBytes says %d", n, headerBytes)
	}
}

func TestParseRecord(t *testing.T) {
	for _, tt := range []struct {
		name      string
		record    []byte
		wantFrame string
		wantErr   string
	}{
		{"whole", record(captureFrameHeader{TimeNs: 5, Len: 3}, "abc", 3), "abc", ""},
		{"with room after it", record(captureFrameHeader{Len: 2}, "abcdef", 6), "ab", ""},
		{"empty", nil, "", "captured record of 0 bytes: shorter than its header"},
		{"half a header", make([]byte, 15), "", "captured record of 15 bytes: shorter than its header"},
		{"length that lies", record(captureFrameHeader{Len: 4}, "abc", 3), "", "captured record of 19 bytes: says that its frame has 4"},
		{"huge length", record(captureFrameHeader{Len: 1<<32 - 1}, "abc", 3), "", "captured record of 19 bytes: says that its frame has 4294967295"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, frame, err := parseRecord(tt.record)
			if text := errorText(err); text != tt.wantErr || string(frame) != tt.wantFrame {
				t.Errorf("got %q, %q; want %q, %q", frame, text, tt.wantFrame, tt.wantErr)
			}
		})
	}
	var c Capture
	c.names.Store(&[]string{"a"})
	_, err := c.packet(record(captureFrameHeader{Label: 1}, "", 0))
	if want := "captured frame has label 1 of 1"; errorText(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// FuzzParseRecord: no record makes the reader read outside of it.
func FuzzParseRecord(f *testing.F) {
	f.Add(record(captureFrameHeader{TimeNs: 5, Len: 3, Label: 1}, "abc", 3))
	f.Add(make([]byte, 15)) // shorter than a header
	f.Fuzz(func(t *testing.T, b []byte) {
		defer bounded.Input(t, len(b))()
		header, frame, err := parseRecord(b)
		if err == nil && (len(frame) != int(header.Len) || len(frame) > len(b)) {
			t.Errorf("frame of %d bytes, header says %d, record has %d", len(frame), header.Len, len(b))
		}
	})
}

// TestClock: kernel times become wall-clock times, and follow the clock when it was set.
func TestClock(t *testing.T) {
	var c clock
	before := time.Now()
	got := c.wall(monotonic())
	if got.Before(before.Add(-time.Millisecond)) || got.After(time.Now().Add(time.Millisecond)) {
		t.Errorf("now is %v, want %v", got, before)
	}
	c.offset -= int64(time.Hour) // as if the clock had been set by an hour
	if stale := c.wall(monotonic()); before.Sub(stale) < 59*time.Minute {
		t.Errorf("the offset was read anew within a second: %v", stale)
	}
	c.refresh = monotonic()
	if fresh := c.wall(monotonic()); fresh.Before(before) {
		t.Errorf("the offset was not read anew after a second: %v", fresh)
	}
}

// TestReadingAllocatesNothing is about the path of each packet.
func TestReadingAllocatesNothing(t *testing.T) {
	c := mustLoad(t, Options{Labels: mustLabels(t, "ip")})
	const frames = 2000
	if _, err := c.objects.PacganCapture.Run(&ebpf.RunOptions{Data: goodFrames(t)[0].bytes, Repeat: frames}); err != nil {
		t.Fatal(err)
	}
	var r ringbuf.Record
	allocs := testing.AllocsPerRun(frames/2, func() {
		if found, err := c.reader.Next(&r); !found || err != nil {
			t.Fatal(found, err)
		}
		if _, err := c.packet(r.RawSample); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations a packet, want 0", allocs)
	}
}

// TestFlood: under as much as one socket sends, every frame is read or counted as dropped.
func TestFlood(t *testing.T) {
	host := labtest.NewHost(t, clients())
	c := mustOpen(t, Options{Interface: "lan0", Labels: mustLabels(t, "udp dst port 53"), RingBytes: 1 << 20})
	frame := testFrame{"query", mustSerialize(t, ethernet(0x0800), ipv4(17), udp(5, 53), payload(40))}
	const offered = 50_000
	frames := make([]testFrame, offered)
	for i := range frames {
		frames[i] = frame
	}
	ctx, cancel := context.WithCancel(t.Context())
	type result struct {
		read uint64
		err  error
	}
	ended := make(chan result, 1)
	go func() {
		var r result
		r.err = c.Run(ctx, func(packet.Packet) error { r.read++; return nil })
		ended <- r
	}()
	mustSendFrames(t, host, frames)
	if !poll(func() bool { return mustCounters(t, c).Seen >= offered }) {
		t.Errorf("seen %d of %d", mustCounters(t, c).Seen, offered)
	}
	cancel()
	r := <-ended
	got := mustCounters(t, c).Labels[0]
	want := LabelCounters{Label: "l0", Labelled: r.read, Dropped: offered - r.read}
	if diff := cmp.Diff(want, got); diff != "" || r.err != nil {
		t.Errorf("Run = %v; counters against what was read (-want +got):\n%s", r.err, diff)
	}
	t.Logf("read %d, dropped %d of %d", got.Labelled, got.Dropped, offered)
}

// TestOneLine: no error that a user meets has two.
func TestOneLine(t *testing.T) {
	for _, err := range []error{&LoadError{Err: ErrClosed}, ErrNoTcpdump, ErrClosed} {
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q", err)
		}
	}
}
