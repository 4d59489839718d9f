package capture

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"pacgan-appliance/internal/ktime"
	"pacgan-appliance/internal/packet"
	"pacgan-appliance/internal/ring"
)

// flushInterval is how long frames may wait in the ring while there are too
// few to wake us; it costs four wake-ups a second, whatever the traffic.
const flushInterval = 250 * time.Millisecond

// headerBytes is the size of struct frame_header.
const headerBytes = 16

// Run calls handle with every packet, in the order in which the kernel saw
// them on each CPU, until ctx ends; then it hands over what arrived before
// and returns nil. The packet's Frame is valid until handle returns. Run ends
// early with handle's error, or with ErrClosed. Only one Run at a time.
func (c *Capture) Run(ctx context.Context, handle func(packet.Packet) error) error {
	err := c.reader.Each(ctx, func(record []byte) error {
		p, err := c.packet(record)
		if err != nil {
			return err
		}
		return handle(p)
	})
	if errors.Is(err, ring.ErrClosed) {
		return ErrClosed
	}
	return err
}

// packet makes a packet of a record, whose memory it shares.
func (c *Capture) packet(record []byte) (packet.Packet, error) {
	header, frame, err := parseRecord(record)
	if err != nil {
		return packet.Packet{}, err
	}
	names := *c.names.Load()
	if int(header.Label) >= len(names) {
		return packet.Packet{}, fmt.Errorf("captured frame has label %d of %d", header.Label, len(names))
	}
	p := packet.Packet{Label: names[header.Label], Time: c.clock.wall(header.TimeNs), Frame: frame}
	return p, nil
}

// parseRecord takes a record of the ring apart; frame shares its memory.
func parseRecord(b []byte) (h captureFrameHeader, frame []byte, err error) {
	if len(b) < headerBytes {
		return h, nil, fmt.Errorf("captured record of %d bytes: shorter than its header", len(b))
	}
	h.TimeNs = binary.NativeEndian.Uint64(b)
	h.Len = binary.NativeEndian.Uint32(b[8:])
	h.Label = binary.NativeEndian.Uint32(b[12:])
	if uint64(h.Len) > uint64(len(b)-headerBytes) {
		return h, nil, fmt.Errorf("captured record of %d bytes: says that its frame has %d", len(b), h.Len)
	}
	return h, b[headerBytes : headerBytes+int(h.Len)], nil
}

// clock turns the kernel's monotonic time into wall-clock time. It compares
// the two once a second of traffic, so that it follows NTP and the admin.
type clock struct {
	offset  int64  // wall clock - monotonic, nanoseconds
	refresh uint64 // monotonic time from which offset is old
}

const clockInterval = uint64(time.Second)

func (c *clock) wall(monotonicNs uint64) time.Time {
	if monotonicNs >= c.refresh {
		now := monotonic()
		c.offset = time.Now().UnixNano() - int64(now)
		c.refresh = now + clockInterval
	}
	return time.Unix(0, int64(monotonicNs)+c.offset)
}

// monotonic is bpf_ktime_get_ns in user space.
func monotonic() uint64 { return uint64(ktime.Now()) }
