// Package dataset keeps labelled packets in files: `<label>/NNNN.pcap`, which
// every pcap tool reads, bounded in size, cut back to whole records after a
// crash. It also reads other people's capture files, and says which packets
// are for training and which are held out. It decides nothing about packets
// (internal/encoding, internal/quality do).
package dataset

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/packet"
)

// Errors of Store.
var (
	// ErrFull says that the disk takes no more, whether it is full, read only or
	// broken. What was stored stays; packets are dropped and counted until it
	// takes some again.
	ErrFull = errors.New("the disk takes no packets")
	// ErrReadOnly says that the Store came from OpenReadOnly.
	ErrReadOnly = errors.New("dataset is open for reading only")
	// ErrClosed says that Close was called.
	ErrClosed = errors.New("dataset closed")
)

// Limits of Options.
const (
	MinMaxBytes    = 4 << 20  // filesInBudget files of minFileBytes
	filesInBudget  = 64       // two for each of 32 labels
	minFileBytes   = 64 << 10 // smaller files waste names
	maxFileBytes   = 64 << 20 // larger ones take long to read, and to lose
	maxFrameBytes  = 262144   // libpcap's MAXIMUM_SNAPLEN
	bufferBytes    = 64 << 10 // of each label, before a write
	retryWhileFull = time.Second
)

// Options say where a store lies and how large it may grow.
type Options struct {
	Dir       string   // made if it is missing
	Labels    []string // that Append takes; other labels' files count and age, too
	MaxBytes  int64    // over all labels, at least MinMaxBytes
	FileBytes int64    // of one file; 0: a 64th of MaxBytes, between 64 KiB and 64 MiB
	Fair      bool     // a source that crowds a label's others out is stored in part
}

// Store is a set of labelled packets on disk. Its methods may be called from
// several goroutines.
type Store struct {
	mu       sync.Mutex
	dir      string
	lock     *os.File // nil when read only
	readOnly bool
	closed   bool
	max      int64
	fileMax  int64
	labels   map[string]*series
	fair     bool
	stats    Stats
	total    int64     // bytes of all files, buffers included
	told     bool      // Append has said that the disk takes nothing, and it still does not
	retry    time.Time // when to try such a disk again
	refusal  error     // what it said
}

// Stats say what a store did since it was opened.
type Stats struct {
	Stored    int   // packets appended
	Dropped   int   // packets not stored because the disk was full
	Evicted   int   // packets removed to keep within MaxBytes
	Crowding  int   // packets not stored because their source had its share (Options.Fair)
	Torn      int   // files whose end was cut off when they were opened
	TornBytes int64 // bytes cut off
	Bytes     int64 // in all files now
}

// Open opens or makes a store for appending. A record that a crash left
// unfinished is cut off and counted. A second Open of the same directory
// fails until the first is closed.
func Open(o Options) (*Store, error) {
	if o.FileBytes == 0 {
		var err error
		if o.FileBytes, err = fileBytes(o.Dir, o.MaxBytes); err != nil {
			return nil, err
		}
	}
	s := &Store{dir: o.Dir, max: o.MaxBytes, fileMax: o.FileBytes, fair: o.Fair, labels: map[string]*series{}}
	if err := s.acquire(); err != nil {
		return nil, fmt.Errorf("dataset %s: %w", o.Dir, err)
	}
	if err := s.makeDirectories(o.Labels); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.scan(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// OpenReadOnly opens a store that another process may be appending to. It
// sees what is there now, without an unfinished last record.
func OpenReadOnly(dir string) (*Store, error) {
	s := &Store{dir: dir, readOnly: true, labels: map[string]*series{}}
	if err := s.scan(); err != nil {
		return nil, err
	}
	return s, nil
}

// acquire makes the directory and takes its lock, which ends with the process.
func (s *Store) acquire() error {
	if err := os.MkdirAll(s.dir, 0o750); err != nil {
		return reason(err)
	}
	lock, err := os.OpenFile(filepath.Join(s.dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return reason(err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return errors.New("in use by another process: stop it first")
		}
		return err
	}
	s.lock = lock
	return nil
}

// scan reads the directory, file by file.
func (s *Store) scan() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("dataset %s: %w", s.dir, reason(err))
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		one, err := s.openSeries(entry.Name())
		if err != nil {
			return err
		}
		s.labels[entry.Name()] = one
	}
	s.total = s.bytes()
	return nil
}

// Append stores one packet under its label, soon: Flush and Sync say when. It
// keeps no reference to the frame. On a full disk the first call that notices
// returns ErrFull; until there is room, later ones drop, count and return nil.
func (s *Store) Append(p packet.Packet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, err := s.writable(p.Label)
	if err != nil {
		return err
	}
	if len(p.Frame) < packet.EthernetHeaderLen || len(p.Frame) > maxFrameBytes {
		return fmt.Errorf("store packet of %s: frame of %d bytes: must have %d to %d",
			p.Label, len(p.Frame), packet.EthernetHeaderLen, maxFrameBytes)
	}
	if s.fair && !one.admission.admit(p, time.Now()) {
		s.stats.Crowding++
		return nil
	}
	need := int64(recordHeaderBytes + len(p.Frame))
	if err := s.makeRoom(need); err != nil {
		return s.drop(err)
	}
	next := one.size()+need > s.fileMax && one.last().count > 0
	if next || one.pending() >= bufferBytes {
		if err := s.write(one); err != nil {
			return s.drop(err)
		}
	}
	if next {
		if err := one.rotate(); err != nil {
			return s.drop(unwritable(one.path(), err))
		}
		need += fileHeaderBytes
	}
	if err := one.append(p); err != nil {
		return err
	}
	s.total += need
	s.stats.Stored++
	return nil
}

// drop counts a packet that a full disk cost, and lets the first such error
// pass.
func (s *Store) drop(err error) error {
	if !errors.Is(err, ErrFull) {
		return err
	}
	s.stats.Dropped++
	if s.told {
		return nil
	}
	s.told = true
	return err
}

// writable returns the series of a label that may be appended to.
func (s *Store) writable(label string) (*series, error) {
	switch one, ok := s.labels[label]; {
	case s.closed:
		return nil, ErrClosed
	case s.readOnly:
		return nil, ErrReadOnly
	case !ok:
		return nil, fmt.Errorf("store packet: no label %q in this dataset", label)
	default:
		return one, nil
	}
}

// write empties a series' buffer into its file; where the disk took nothing a
// moment ago it does not try again.
func (s *Store) write(one *series) error {
	if time.Now().Before(s.retry) {
		return unwritable(one.path(), s.refusal)
	}
	err := one.flush()
	if err == nil {
		s.told, s.retry = false, time.Time{}
		return nil
	}
	if err = unwritable(one.path(), err); errors.Is(err, ErrFull) {
		s.retry, s.refusal = time.Now().Add(retryWhileFull), err
	}
	return err
}

// refusals are what a disk says that takes nothing, for now or for ever.
var refusals = []struct {
	errno  syscall.Errno
	advice string
}{
	{syscall.ENOSPC, "free some, or lower state.max_bytes"},
	{syscall.EDQUOT, "free some, or lower state.max_bytes"},
	{syscall.EROFS, "see why it is read only"},
	{syscall.EIO, "see the kernel's log, and replace it"},
}

// unwritable names what a file could not be written for, as ErrFull where that
// is the disk's matter.
func unwritable(path string, err error) error {
	if errors.Is(err, ErrFull) {
		return err
	}
	for _, r := range refusals {
		if errors.Is(err, r.errno) {
			return fmt.Errorf("dataset %s: %v: %w: packets are dropped until it does; %s", path, r.errno, ErrFull, r.advice)
		}
	}
	return fmt.Errorf("dataset %s: %w", path, reason(err))
}

// Flush hands everything to the operating system: it survives a crash of the
// process.
func (s *Store) Flush() error { return s.each(s.write) }

// Sync is Flush, and waits for the disk: what came before survives a crash of
// the machine. Packets may be appended meanwhile.
func (s *Store) Sync() error {
	err := s.Flush()
	for _, path := range s.takeUnsynced() {
		if syncErr := syncFile(path); err == nil {
			err = syncErr
		}
	}
	return err
}

func (s *Store) takeUnsynced() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var paths []string
	for _, one := range s.labels {
		paths = append(paths, one.unsynced...)
		one.unsynced = nil
	}
	return paths
}

// syncFile waits until a file is on the disk; one that was evicted is not missed.
func syncFile(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("dataset: %w", err)
	}
	return errors.Join(f.Sync(), f.Close())
}

// each calls f for every label in order and returns the first error. It tries
// the disk even if that was full a moment ago.
func (s *Store) each(f func(*series) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readOnly || s.closed {
		return nil
	}
	s.retry = time.Time{}
	var first error
	for _, label := range s.names() {
		if err := f(s.labels[label]); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Close is Sync, and gives the files and the lock back.
func (s *Store) Close() error {
	err := s.Sync()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, one := range s.labels {
		err = errors.Join(err, one.close())
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
		s.lock = nil
	}
	return err
}

// Labels lists the labels that have a directory, sorted.
func (s *Store) Labels() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names()
}

func (s *Store) names() []string {
	names := make([]string, 0, len(s.labels))
	for name := range s.labels {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Count returns how many packets of a label are stored, 0 for an unknown one.
func (s *Store) Count(label string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.labels[label]
	if !ok {
		return 0
	}
	return one.count()
}

// Stats returns what the store did so far.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Bytes = s.total
	return stats
}

func (s *Store) bytes() int64 {
	var sum int64
	for _, one := range s.labels {
		sum += one.bytes()
	}
	return sum
}

// reason takes the path off an error of package os, for callers that name it.
func reason(err error) error {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}
