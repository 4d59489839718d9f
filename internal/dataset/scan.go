package dataset

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"pacgan-appliance/internal/packet"
)

// Sizes of classic pcap's headers (draft-ietf-opsawg-pcap).
const (
	fileHeaderBytes   = 24
	recordHeaderBytes = 16
)

// ownHeader is how every file of a store begins: nanoseconds, little endian,
// version 2.4, Ethernet. It is the magic that STYLE's rule 18 asks for.
func ownHeader() []byte {
	h := make([]byte, fileHeaderBytes)
	binary.LittleEndian.PutUint32(h, magicNano)
	binary.LittleEndian.PutUint16(h[4:], 2)
	binary.LittleEndian.PutUint16(h[6:], 4)
	binary.LittleEndian.PutUint32(h[16:], maxFrameBytes)
	binary.LittleEndian.PutUint32(h[20:], linkEthernet)
	return h
}

// extent is what a file of ours holds.
type extent struct {
	whole int64     // bytes up to the end of the last whole record
	torn  int64     // bytes after that
	count int       // whole records
	begun time.Time // of the first of them
}

// measure walks over the records of a file of ours.
func measure(path string) (extent, error) {
	f, err := os.Open(path)
	if err != nil {
		return extent{}, fmt.Errorf("dataset: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return extent{}, fmt.Errorf("dataset: %w", err)
	}
	r := bufio.NewReaderSize(f, 1<<18)
	m, err := walk(r, func(_, n int) error {
		_, err := r.Discard(n)
		return err
	})
	if err != nil {
		return extent{}, fmt.Errorf("dataset %s: %w", path, err)
	}
	m.torn = info.Size() - m.whole
	return m, nil
}

var errNotOurs = errors.New("not a file of this dataset (nanosecond pcap, little endian, Ethernet): move it away, and give it to train by --label")

// walk reads a file of ours from its header on and calls body to take each
// record's n bytes. It ends without an error at the end of the file, at an
// unfinished record and at one that no crash-free writer would have written.
func walk(r io.Reader, body func(i, n int) error) (extent, error) {
	var m extent
	var header [fileHeaderBytes]byte
	n, err := io.ReadFull(r, header[:])
	if !bytes.Equal(header[:n], ownHeader()[:n]) {
		return m, errNotOurs
	}
	if err != nil {
		return m, onlyEnd(err)
	}
	m.whole = fileHeaderBytes
	for {
		if _, err := io.ReadFull(r, header[:recordHeaderBytes]); err != nil {
			return m, onlyEnd(err)
		}
		length, ok := frameLength(header[:recordHeaderBytes])
		if !ok {
			return m, nil
		}
		at := time.Unix(int64(binary.LittleEndian.Uint32(header[:])), int64(binary.LittleEndian.Uint32(header[4:])))
		if err := body(m.count, length); err != nil {
			return m, onlyEnd(err)
		}
		if m.count == 0 {
			m.begun = at
		}
		m.whole += int64(recordHeaderBytes + length)
		m.count++
	}
}

// frameLength reads a record's length, and whether the record can be ours: a
// machine that lost power may leave zeros or garbage behind.
func frameLength(h []byte) (int, bool) {
	nanos := binary.LittleEndian.Uint32(h[4:])
	captured, original := binary.LittleEndian.Uint32(h[8:]), binary.LittleEndian.Uint32(h[12:])
	ok := nanos < 1e9 && captured == original && captured >= packet.EthernetHeaderLen && captured <= maxFrameBytes
	return int(captured), ok
}

func onlyEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// Read returns the newest packets of a label, at most newest of them (0: all),
// in the order in which they were stored. Frames share memory.
func (s *Store) Read(label string, newest int) ([]packet.Packet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.labels[label]
	if !ok {
		return nil, fmt.Errorf("dataset %s: no label %q", s.dir, label)
	}
	if !s.readOnly && !s.closed {
		if err := s.write(one); err != nil && !errors.Is(err, ErrFull) {
			return nil, err
		}
	}
	skip := 0
	if newest > 0 {
		skip = max(0, one.count()-newest)
	}
	var out []packet.Packet
	for _, f := range one.files {
		if skip > 0 && f.count <= skip {
			skip -= f.count
			continue
		}
		packets, err := readOwn(one.pathOf(f), label, f)
		if errors.Is(err, os.ErrNotExist) {
			skip = 0 // another process evicted it meanwhile, or it is not flushed yet
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, packets[min(len(packets), skip):]...)
		skip = 0
	}
	return out, nil
}

// readOwn reads up to f.count records of a file of ours.
func readOwn(path, label string, f file) ([]packet.Packet, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	r := bytes.NewReader(data)
	packets := make([]packet.Packet, 0, f.count)
	at := fileHeaderBytes
	_, err = walk(r, func(i, n int) error {
		frame := at + recordHeaderBytes
		if len(data) < frame+n {
			return io.ErrUnexpectedEOF
		}
		if i < f.count {
			sec, nanos := binary.LittleEndian.Uint32(data[at:]), binary.LittleEndian.Uint32(data[at+4:])
			packets = append(packets, packet.Packet{Label: label, Time: time.Unix(int64(sec), int64(nanos)),
				Frame: data[frame : frame+n : frame+n]})
		}
		at = frame + n
		_, err := r.Seek(int64(n), io.SeekCurrent)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("dataset %s: %w", path, err)
	}
	return packets, nil
}
