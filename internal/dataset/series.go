package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"pacgan-appliance/internal/packet"
)

// series is one label's files, the oldest first; the last one grows.
type series struct {
	dir     string
	files   []file
	growing *os.File     // the last of files, nil if it does not exist yet
	buffer  bytes.Buffer // whole records, and a new file's header, not yet written
	writer  *pcapgo.Writer

	admission admission
	unsynced  []string // paths of files that were written to since the last Sync
}

// file is one NNNN.pcap.
type file struct {
	number int
	bytes  int64     // whole records and the header, the buffer included
	count  int       // packets
	begun  time.Time // its first packet's time; zero without one
}

var fileName = regexp.MustCompile(`^([0-9]{4,9})\.pcap$`)

func (one *series) pathOf(f file) string {
	return filepath.Join(one.dir, fmt.Sprintf("%04d.pcap", f.number))
}

func (one *series) last() *file    { return &one.files[len(one.files)-1] }
func (one *series) path() string   { return one.pathOf(*one.last()) }
func (one *series) size() int64    { return one.last().bytes }
func (one *series) pending() int   { return one.buffer.Len() }
func (one *series) written() int64 { return one.size() - int64(one.pending()) }

func (one *series) bytes() int64 {
	var sum int64
	for _, f := range one.files {
		sum += f.bytes
	}
	return sum
}

func (one *series) count() int {
	sum := 0
	for _, f := range one.files {
		sum += f.count
	}
	return sum
}

// openSeries reads a label's directory, cutting torn ends off.
func (s *Store) openSeries(label string) (*series, error) {
	one := &series{dir: filepath.Join(s.dir, label)}
	entries, err := os.ReadDir(one.dir)
	if err != nil {
		return nil, fmt.Errorf("dataset %s: %w", one.dir, reason(err))
	}
	for _, entry := range entries {
		match := fileName.FindStringSubmatch(entry.Name())
		if match == nil {
			continue // not ours
		}
		number, _ := strconv.Atoi(match[1]) // at most nine digits
		f, err := s.openFile(filepath.Join(one.dir, entry.Name()), number)
		if errors.Is(err, os.ErrNotExist) {
			continue // evicted meanwhile
		}
		if err != nil {
			return nil, err
		}
		one.files = append(one.files, f)
	}
	slices.SortFunc(one.files, func(a, b file) int { return a.number - b.number })
	if s.readOnly {
		return one, nil
	}
	return one, one.resume()
}

// openFile measures one file and cuts its end off where it is torn.
func (s *Store) openFile(path string, number int) (file, error) {
	m, err := measure(path)
	if err != nil {
		return file{}, err
	}
	if m.torn > 0 && !s.readOnly {
		if err := os.Truncate(path, m.whole); err != nil {
			return file{}, fmt.Errorf("dataset: cut torn end: %w", err)
		}
		s.stats.Torn++
		s.stats.TornBytes += m.torn
	}
	return file{number: number, bytes: m.whole, count: m.count, begun: m.begun}, nil
}

// resume goes on with the last file, or begins the first.
func (one *series) resume() error {
	if len(one.files) == 0 {
		return one.begin(1)
	}
	one.writer = pcapgo.NewWriterNanos(&one.buffer)
	f, err := os.OpenFile(one.path(), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("dataset: %w", err)
	}
	one.growing = f
	if one.size() == 0 { // torn within its header
		return one.writeHeader()
	}
	return nil
}

// begin adds a file, which exists from the first flush on.
func (one *series) begin(number int) error {
	one.files = append(one.files, file{number: number})
	one.growing = nil
	one.writer = pcapgo.NewWriterNanos(&one.buffer)
	return one.writeHeader()
}

func (one *series) writeHeader() error {
	if err := one.writer.WriteFileHeader(maxFrameBytes, layers.LinkTypeEthernet); err != nil {
		return fmt.Errorf("dataset %s: %w", one.path(), err)
	}
	one.last().bytes = fileHeaderBytes
	return nil
}

// append adds a record to the buffer.
func (one *series) append(p packet.Packet) error {
	if sec := p.Time.Unix(); sec < 0 || sec > math.MaxUint32 {
		return fmt.Errorf("dataset %s: time %v does not fit a pcap file", one.path(), p.Time)
	}
	info := gopacket.CaptureInfo{Timestamp: p.Time, CaptureLength: len(p.Frame), Length: len(p.Frame)}
	if err := one.writer.WritePacket(info, p.Frame); err != nil {
		return fmt.Errorf("dataset %s: %w", one.path(), err)
	}
	if one.last().count == 0 {
		one.last().begun = p.Time
	}
	one.last().bytes += int64(recordHeaderBytes + len(p.Frame))
	one.last().count++
	return nil
}

// flush writes the buffer behind what is whole. Where that fails, the file
// ends where it ended, and the buffer waits for another try.
func (one *series) flush() error {
	if one.pending() == 0 {
		return nil
	}
	if one.growing == nil {
		if err := one.create(); err != nil {
			return err
		}
	}
	at := one.written()
	if _, err := one.growing.WriteAt(one.buffer.Bytes(), at); err != nil {
		return errors.Join(err, one.growing.Truncate(at))
	}
	one.buffer.Reset()
	if path := one.path(); len(one.unsynced) == 0 || one.unsynced[len(one.unsynced)-1] != path {
		one.unsynced = append(one.unsynced, path)
	}
	return nil
}

// create makes the last file, and its name durable.
func (one *series) create() error {
	f, err := os.OpenFile(one.path(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	dir, err := os.Open(one.dir)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	one.growing = f
	return errors.Join(dir.Sync(), dir.Close())
}

// rotate finishes the last file and begins the next.
func (one *series) rotate() error {
	if err := one.close(); err != nil {
		return fmt.Errorf("dataset: %w", err)
	}
	return one.begin(one.last().number + 1)
}

func (one *series) close() error {
	if one.growing == nil {
		return nil
	}
	err := one.growing.Close()
	one.growing = nil
	return err
}
