package dataset

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"pacgan-appliance/internal/packet"
)

// FileStats say what a capture file held.
type FileStats struct {
	Packets int // returned
	Cut     int // skipped: shorter than on the wire, because of a snap length
	Short   int // skipped: shorter than their link layer's header
}

// FileError says why a capture file could not be read to its end.
type FileError struct {
	Path   string
	Reason string
}

// Error is the path and the reason, on one line.
func (e *FileError) Error() string { return e.Path + ": " + e.Reason }

// ReadFile reads other people's capture files: classic pcap of either byte
// order and resolution, and pcapng. Every packet gets the label. Frames keep
// their VLAN tags; raw IP and Linux cooked packets get an Ethernet header of
// zero addresses. A truncated or damaged file gives the whole packets before
// the damage, and a *FileError that says what to do.
func ReadFile(path, label string) ([]packet.Packet, FileStats, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, FileStats{}, &FileError{path, reason(err).Error()}
	}
	defer f.Close()
	var packets []packet.Packet
	stats, err := readForeign(bufio.NewReaderSize(f, 1<<16), func(at time.Time, frame []byte) {
		packets = append(packets, packet.Packet{Label: label, Time: at, Frame: frame})
	})
	if err != nil {
		return packets, stats, &FileError{path, explain(err, stats, path)}
	}
	return packets, stats, nil
}

var (
	errTruncated = errors.New("file ends within a record")
	errEmpty     = errors.New("empty: there is nothing in it")
	errUnknown   = errors.New("not a pcap or pcapng file")
	errGzip      = errors.New("compressed: unpack it with gunzip first")
	errModified  = errors.New("a modified pcap format: convert it with editcap -F nsecpcap")
)

// linkTypeError is a kind of capture that has no IP packets for us.
type linkTypeError uint32

// Error names the type and those that would do.
func (e linkTypeError) Error() string {
	return fmt.Sprintf("link type %d (see tcpdump.org/linktypes.html) cannot be read: Ethernet, raw IP and Linux cooked captures can", uint32(e))
}

// explain turns what stopped the reader into what the user can do.
func explain(err error, stats FileStats, path string) string {
	whole := thousands(stats.Packets+stats.Cut+stats.Short) + " whole packets"
	advice := fmt.Sprintf(`to go on with those, cut the rest off with "tcpdump -r %s -w whole.pcap"`, path)
	var damaged damagedError
	switch {
	case errors.Is(err, errTruncated):
		return fmt.Sprintf("truncated after %s: %s", whole, advice)
	case errors.As(err, &damaged):
		return fmt.Sprintf("damaged after %s (%v): %s", whole, damaged, advice)
	}
	return err.Error()
}

// damagedError is a header that cannot be.
type damagedError string

// Error is what is wrong with it.
func (e damagedError) Error() string { return string(e) }

// thousands writes 1234567 as 1,234,567.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// readForeign tells formats apart by their first four bytes.
func readForeign(r *bufio.Reader, emit func(time.Time, []byte)) (FileStats, error) {
	head, err := r.Peek(4)
	switch {
	case len(head) == 0 && errors.Is(err, io.EOF):
		return FileStats{}, errEmpty
	case len(head) < 4:
		return FileStats{}, errUnknown
	case head[0] == 0x1f && head[1] == 0x8b:
		return FileStats{}, errGzip
	}
	in := foreign{r: r, emit: emit}
	magic := binary.LittleEndian.Uint32(head)
	switch {
	case magic == magicSection: // the same in both byte orders
		err := in.pcapng()
		return in.stats, err
	case magic == magicModified || magic == swap(magicModified):
		return FileStats{}, errModified
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if m := order.Uint32(head); m == magicMicro || m == magicNano {
			err := in.classic(order, m == magicNano)
			return in.stats, err
		}
	}
	return FileStats{}, errUnknown
}

func swap(v uint32) uint32 { return v<<24 | v>>24 | v<<8&0xff0000 | v>>8&0xff00 }

// foreign is a capture file being read.
type foreign struct {
	r     *bufio.Reader
	emit  func(time.Time, []byte)
	stats FileStats
}

// take counts one record and emits it as an Ethernet frame.
func (in *foreign) take(link uint32, at time.Time, data []byte, original uint32) error {
	if uint64(len(data)) < uint64(original) {
		in.stats.Cut++
		return nil
	}
	frame, err := toEthernet(link, data)
	if errors.Is(err, packet.ErrTruncated) {
		in.stats.Short++
		return nil
	}
	if err != nil {
		return err
	}
	in.stats.Packets++
	in.emit(at, frame)
	return nil
}

// readFull fills b. The end of the file before the first byte is io.EOF,
// within b it is errTruncated.
func (in *foreign) readFull(b []byte) error {
	_, err := io.ReadFull(in.r, b)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errTruncated
	}
	return err
}

// readBody is readFull where even the first byte must be there.
func (in *foreign) readBody(b []byte) error {
	if err := in.readFull(b); !errors.Is(err, io.EOF) {
		return err
	}
	if len(b) == 0 {
		return nil
	}
	return errTruncated
}
