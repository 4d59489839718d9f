package web

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"pacgan-appliance/internal/ktime"
	"pacgan-appliance/internal/verify"
)

// Span is a stretch of time that History keeps, and how finely.
type Span struct {
	Name   string // "10m", as in the page's address
	Step   time.Duration
	Points int
}

// Spans are the stretches that are kept, the finest first.
func Spans() []Span {
	return []Span{
		{"10m", 2 * time.Second, 300},
		{"24h", time.Minute, 1440},
		{"30d", time.Hour, 720},
	}
}

// Length is the time from the oldest point to now.
func (s Span) Length() time.Duration { return time.Duration(s.Points) * s.Step }

// Ends counts, for one stretch of time, how packets ended. Answered to
// Malformed are Decided, the success rate's denominator.
type Ends struct {
	Generated, OnWire                                       uint32
	Answered, Rejected, Expired, Failed, Blocked, Malformed uint32
}

// Decided is the number of packets that ended in this time.
func (e Ends) Decided() uint64 {
	return uint64(e.Answered) + uint64(e.Rejected) + uint64(e.Expired) + uint64(e.Failed) + uint64(e.Blocked) + uint64(e.Malformed)
}

// Success is the success rate of the packets that ended in this time.
func (e Ends) Success() verify.Success { return verify.SuccessOf(uint64(e.Answered), e.Decided()) }

// fields are all counts, in the order of the file.
func (e *Ends) fields() [8]*uint32 {
	return [8]*uint32{&e.Generated, &e.OnWire, &e.Answered, &e.Rejected, &e.Expired, &e.Failed, &e.Blocked, &e.Malformed}
}

// add saturates: an hour would need 1.2 million packets a second to get there.
func (e *Ends) add(o Ends) {
	into, from := e.fields(), o.fields()
	for i := range into {
		*into[i] += min(*from[i], ^uint32(0)-*into[i])
	}
}

// Point is what became of the packets that ended in [Start, Start + Step).
type Point struct {
	Start time.Time
	Step  time.Duration
	Ends
}

// History keeps Ends over time for each label, in one file of constant size
// and as much memory. Its methods may be called by several goroutines.
type History struct {
	mu   sync.Mutex
	file *os.File
	// image is the file's content: reading never touches the disk, and a full
	// or failing disk costs what was written since, not what the page shows.
	image []byte
	last  map[string]cumulative // at the last Add; nil before the first
}

// cumulative are a label's Ends since the daemon's start.
type cumulative [8]uint64

var errHistoryClosed = errors.New("web: history is closed")

// OpenHistory opens the file, or makes it at its full size, so that a disk
// that fills up later does not stop it. A file of another format, or one that
// is not a history, is an error and left as it is.
func OpenHistory(path string) (*History, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		if err := createHistory(path); err != nil {
			return nil, fmt.Errorf("web: make history: %w", err)
		}
		file, err = os.OpenFile(path, os.O_RDWR, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("web: open history: %w", err)
	}
	image, err := readHistory(file)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("web: history %s: %w", path, err), file.Close())
	}
	return &History{file: file, image: image}, nil
}

// Close writes the file to the disk. Points still works after it, Add does not.
func (h *History) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.file == nil {
		return nil
	}
	err := errors.Join(h.file.Sync(), h.file.Close())
	h.file = nil
	return err
}

// Add records how the labels' counts grew since the last Add. The first Add,
// and the first with a new label, only remember them. A count that fell
// started again from 0. On an error the memory has what the file may lack.
func (h *History) Add(now time.Time, labels []Label) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.file == nil {
		return errHistoryClosed
	}
	grown := make(map[string]Ends, len(labels))
	next := make(map[string]cumulative, len(labels))
	for i := range labels {
		name, total := labels[i].Name, cumulativeOf(&labels[i].Counts)
		if before, known := h.last[name]; known {
			grown[name] = total.since(before)
		}
		next[name] = total
	}
	h.last = next
	offset, errs := headerSize, []error(nil)
	for _, span := range Spans() {
		errs = append(errs, h.addTo(span, offset, now, grown))
		offset += span.Points * recordSize
	}
	return errors.Join(errs...)
}

// addTo adds to the record of one span that covers now, and writes it.
func (h *History) addTo(span Span, offset int, now time.Time, grown map[string]Ends) error {
	at := offset + slot(span, now)*recordSize
	rec := record(h.image[at : at+recordSize])
	start := now.Truncate(span.Step).Unix()
	if !rec.valid() || rec.start() != start {
		rec.reset(start)
	}
	for name, ends := range grown {
		if ends != (Ends{}) {
			rec.add(hashOf(name), ends)
		}
	}
	rec.seal()
	if _, err := h.file.WriteAt(rec, int64(at)); err != nil {
		return fmt.Errorf("web: write history: %w", err)
	}
	return nil
}

// Points are the span's points of one label up to now, oldest first. Times at
// which nothing was recorded have a Point without packets.
func (h *History) Points(span Span, label string, now time.Time) []Point {
	h.mu.Lock()
	defer h.mu.Unlock()
	offset := headerSize
	for _, s := range Spans() {
		if s.Name == span.Name {
			return h.points(s, offset, hashOf(label), now)
		}
		offset += s.Points * recordSize
	}
	return nil
}

func (h *History) points(span Span, offset int, label uint64, now time.Time) []Point {
	out := make([]Point, span.Points)
	newest := now.Truncate(span.Step)
	for i := range out {
		start := newest.Add(-time.Duration(span.Points-1-i) * span.Step)
		out[i] = Point{Start: start, Step: span.Step}
		at := offset + slot(span, start)*recordSize
		rec := record(h.image[at : at+recordSize])
		if rec.start() == start.Unix() { // records that are not valid were wiped when read
			out[i].Ends = rec.ends(label)
		}
	}
	return out
}

// Record adds a snapshot every two seconds until ctx ends; that is no error.
// A snapshot that cannot be read leaves a gap, and what cannot be written is
// reported once for each time that the disk goes bad: the daemon goes on.
func (h *History) Record(ctx context.Context, snapshot func() (Snapshot, error), report func(error)) error {
	tick := time.NewTimer(0)
	defer tick.Stop()
	for broken := false; ; {
		s, err := snapshot()
		if err == nil {
			err = h.Add(s.Time, s.Labels)
		}
		if err != nil && !broken {
			report(err)
		}
		broken = err != nil
		tick.Reset(ktime.Beat(Spans()[0].Step))
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func cumulativeOf(c *Counts) cumulative {
	return cumulative{c.Generated, c.OnWire, c.Answered, c.RejectedTotal(), c.Expired, c.FailedTotal(), c.Blocked, c.Malformed}
}

// since is the growth of each count.
func (c cumulative) since(before cumulative) Ends {
	var grown Ends
	restarted := false
	for i := range c {
		restarted = restarted || c[i] < before[i]
	}
	for i, field := range grown.fields() {
		n := c[i]
		if !restarted {
			n -= before[i]
		}
		*field = uint32(min(n, uint64(^uint32(0))))
	}
	return grown
}
