package truth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/ktime"
)

// Limits and defaults of Options.
const (
	MinMaxBytes     = 1 << 20
	DefaultMaxBytes = 1 << 30
	DefaultMaxAge   = time.Hour

	segmentsInBudget = 8
	maxSegmentBytes  = 64 << 20
	mostWaiting      = 32 << 20 // bytes that wait for a slow disk
	writeAt          = 256 << 10
	syncEvery        = time.Second
	mostSpare        = 4
	calmAfter        = 10 * time.Second
)

// ErrClosed says that Close was called.
var ErrClosed = errors.New("truth: closed")

// Options of Open.
type Options struct {
	MaxBytes int64         // of all files together, at least MinMaxBytes; 0: DefaultMaxBytes
	Packets  bool          // the packets, too: a .pcapng beside each .jsonl
	MaxAge   time.Duration // after which a file is followed by the next; 0: DefaultMaxAge
	Logger   *slog.Logger  // is told when the disk takes no more, and when it does again; nil: nobody is
}

// Stats say what a Log did since it was opened.
type Stats struct {
	Written uint64 // records
	Lost    uint64 // records that the disk did not take
	Failing bool   // the disk takes none now
}

// Log is a directory of records: files that follow each other, named so that
// their names sort by age, the oldest removed where the bound would be
// exceeded. What is appended is on the disk a second later. Its methods may be
// called from several goroutines.
type Log struct {
	dir      string
	options  Options
	lock     *os.File
	files    files // of the writer alone
	mu       sync.Mutex
	front    chunk           // what Append adds to
	full     []chunk         // before it, whole
	spare    []*bytes.Buffer // pairs to use again
	waiting  int             // bytes in all of them
	last     time.Time
	stats    Stats
	failed   time.Time     // when a write did last
	calm     time.Duration // how long none must have failed for the disk to be well
	closed   bool
	wake     chan struct{}
	stop     context.CancelFunc
	finished chan struct{}
	err      error // of the last write, once finished
}

// chunk is what one write adds to one segment.
type chunk struct {
	segment segment
	lines   *bytes.Buffer
	packets *bytes.Buffer
	records uint64
}

func (c *chunk) bytes() int { return c.lines.Len() + c.packets.Len() }

// segment is a file of records, and one of packets.
type segment struct {
	number int
	began  time.Time
	bytes  int64 // with all chunks
	pcapng pcapng
}

// Open opens or makes a directory of records to add to. One process at a time
// can have it open; Read needs no leave.
func Open(dir string, o Options) (*Log, error) {
	l, err := open(dir, o)
	if err != nil {
		return nil, fmt.Errorf("truth %s: %w", dir, err)
	}
	return l, nil
}

func open(dir string, o Options) (*Log, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.MaxAge == 0 {
		o.MaxAge = DefaultMaxAge
	}
	if o.MaxBytes < MinMaxBytes {
		return nil, fmt.Errorf("max_bytes %d: must be at least %d", o.MaxBytes, MinMaxBytes)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, errors.Unwrap(err)
	}
	lock, err := os.Open(dir)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(errors.New("another process writes there: stop it, or name another directory"), lock.Close())
	}
	l := &Log{dir: dir, options: o, lock: lock, calm: calmAfter, wake: make(chan struct{}, 1), finished: make(chan struct{})}
	if err := l.files.scan(dir); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	l.begin(segment{number: l.files.next})
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	go l.write(ctx)
	return l, nil
}

// Append adds a record; it never waits for the disk. Records come in the order
// of their timestamps: one that is up to a second behind the one before it gets
// that one's, since clocks are set; one that is further behind begins a file.
// ip is the packet, for Options.Packets; none where it is empty. The only error
// is ErrClosed: what the disk does not take is in Stats.
func (l *Log) Append(r *Record, ip []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	at := r.Timestamp.Time
	back := l.last.Sub(at)
	if back > 0 && back < time.Second {
		if r.Pacgan.Left != 0 {
			r.Pacgan.Left -= int64(back)
		}
		r.Timestamp.Time, at = l.last, l.last
	}
	began := l.front.segment.began
	if s := &l.front.segment; s.bytes > 0 && (back >= time.Second || at.Sub(began) >= l.options.MaxAge || s.bytes >= l.segmentBytes()) {
		l.rotate()
	}
	l.last = at
	if l.front.segment.bytes == 0 {
		l.front.segment.began = at
	}
	if l.waiting >= mostWaiting {
		l.stats.Lost++
		return nil
	}
	before := l.front.bytes()
	l.front.lines.Write(appendRecord(l.front.lines.AvailableBuffer(), r))
	if l.options.Packets && len(ip) > 0 {
		l.front.packets.Write(l.front.segment.pcapng.append(l.front.packets.AvailableBuffer(), r, ip))
	}
	n := l.front.bytes() - before
	l.front.records++
	l.front.segment.bytes += int64(n)
	l.waiting += n
	if l.front.bytes() >= writeAt {
		l.hasten()
	}
	return nil
}

// segmentBytes is how large a file grows.
func (l *Log) segmentBytes() int64 { return min(l.options.MaxBytes/segmentsInBudget, maxSegmentBytes) }

// rotate has what comes go to a further file.
func (l *Log) rotate() {
	next := segment{number: l.front.segment.number + 1}
	if l.front.records == 0 {
		l.front.segment = next
		return
	}
	l.full = append(l.full, l.front)
	l.begin(next)
	l.hasten()
}

// begin makes an empty front.
func (l *Log) begin(s segment) {
	l.front = chunk{segment: s, lines: l.buffer(), packets: l.buffer()}
}

// buffer is an empty one.
func (l *Log) buffer() *bytes.Buffer {
	n := len(l.spare)
	if n == 0 {
		return new(bytes.Buffer)
	}
	b := l.spare[n-1]
	l.spare = l.spare[:n-1]
	return b
}

func (l *Log) hasten() {
	select {
	case l.wake <- struct{}{}:
	default: // it has been told
	}
}

// Stats says what was written, and what was lost.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}

// Close writes what waits. Its error says that the disk did not take all of it.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	l.stop()
	<-l.finished
	return errors.Join(l.err, l.lock.Close())
}

// write is the writer: the only one that touches files.
func (l *Log) write(ctx context.Context) {
	defer close(l.finished)
	beat := time.NewTimer(ktime.Beat(syncEvery))
	defer beat.Stop()
	for {
		select {
		case <-l.wake:
			l.flush()
		case <-beat.C:
			l.flush()
			l.sync()
			beat.Reset(ktime.Beat(syncEvery))
		case <-ctx.Done():
			l.err = errors.Join(l.flush(), l.sync(), l.files.close())
			return
		}
	}
}

// flush writes all that waits.
func (l *Log) flush() error {
	l.mu.Lock()
	chunks := l.full
	l.full = nil
	if l.front.records > 0 {
		chunks = append(chunks, l.front)
		l.begin(l.front.segment)
	}
	l.mu.Unlock()
	var first error
	for i := range chunks {
		if err := l.put(&chunks[i]); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// put writes one chunk. A file that a write failed on takes no more: what is
// in it is whole, and the next try is on a further one.
func (l *Log) put(c *chunk) error {
	err := l.files.makeRoom(l.options.MaxBytes - int64(c.bytes()))
	if err == nil {
		err = l.files.add(c)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting -= c.bytes()
	if err == nil {
		l.stats.Written += c.records
	} else {
		l.stats.Lost += c.records
		if l.front.segment.number == c.segment.number {
			l.rotate()
		}
	}
	l.say(err)
	for _, b := range []*bytes.Buffer{c.lines, c.packets} {
		if len(l.spare) < mostSpare {
			b.Reset()
			l.spare = append(l.spare, b)
		}
	}
	return err
}

func (l *Log) sync() error {
	err := l.files.sync()
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.say(err)
	}
	return err
}

// say tells once that the disk began to fail, and that it takes records again
// when it has done so for a while: an almost full one takes some between others.
func (l *Log) say(err error) {
	switch {
	case err != nil && !l.stats.Failing:
		l.options.Logger.Error("truth is not written: records are lost until the disk takes them again", "dir", l.dir, "error", err)
		l.stats.Failing = true
	case err == nil && l.stats.Failing && time.Since(l.failed) > l.calm:
		l.options.Logger.Info("truth is written again", "dir", l.dir, "lost", l.stats.Lost)
		l.stats.Failing = false
	}
	if err != nil {
		l.failed = time.Now()
	}
}

// base is the name of a segment's files without their suffix.
func (s segment) base() string {
	return fmt.Sprintf("%08d-%s", s.number, s.began.UTC().Format(beganLayout))
}
