package score

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"pacgan-appliance/internal/idslog"
	"pacgan-appliance/internal/truth"
)

// flow is what the score needs of a truth record.
type flow struct {
	handed    int64 // when it was handed over, ns since 1970; flows come in this order
	start     int64 // when it left, by the same clock, as far as that is known
	lasts     int64 // ns from then to its answer; without one, what it may have taken
	bounded   bool  // it lies between its start and its answer for certain
	reversed  bool  // of the flow's two directions the one that it was sent in
	ending    ending
	class     int32  // in classes
	print     uint32 // a digest of its packet; 0: it has none
	key       key
	community key
}

// single reports whether all that is about the flow is about one packet, or its
// answer.
func (f *flow) single() bool { return f.key.single() }

// times fills in when the flow was under way. left and span are truth's left_ns
// and span_ns, 0 where it has none.
func (f *flow) times(left, span, rtt int64) {
	f.start, f.lasts, f.bounded = f.handed+left, span, span > 0
	if !f.bounded {
		f.lasts = rtt + int64(prompt)
	}
}

// tells reports whether the prints say if an alert is about the flow: that of a
// reply is another one, unless it is mirrored.
func (f *flow) tells(one *alert) bool {
	return f.print != 0 && one.print != 0 && (one.mirrored || one.reversed == f.reversed)
}

// ending says what may be asked of an IDS about a flow.
type ending uint8

// The endings. scored flows were seen whole on the wire; all others are kept
// apart: a miss of theirs says nothing.
const (
	scored ending = iota // answered, or no answer was expected
	malformed
	blocked
	failed
	rejected
	expired
	unknown
	endings
)

// endingNames are truth's verdicts.
func (e ending) String() string {
	return [endings]string{"scored", "malformed", "blocked", "failed", "rejected", "expired", "unknown"}[e]
}

func endingOf(verdict []byte) ending {
	switch truth.Verdict(verdict) {
	case truth.Answered, truth.Unasked:
		return scored
	case truth.Malformed:
		return malformed
	case truth.Blocked:
		return blocked
	case truth.Failed:
		return failed
	case truth.Rejected:
		return rejected
	case truth.Expired:
		return expired
	}
	return unknown
}

// Class is a label's flows of one kind: a label that was benign and is
// malicious now is two.
type class struct {
	label     string
	malicious bool
}

// mostClasses bounds the labels: ours are at most 32 at a time.
const mostClasses = 4096

// classes numbers the classes in the order in which they come. Several
// goroutines may use it.
type classes struct {
	mu     sync.RWMutex
	number map[class]int32
	list   []class
}

func newClasses() *classes { return &classes{number: map[class]int32{}} }

func (c *classes) of(label []byte, malicious bool) (int32, error) {
	c.mu.RLock()
	n, ok := c.number[class{string(label), malicious}] // does not allocate
	c.mu.RUnlock()
	if ok {
		return n, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	one := class{string(label), malicious}
	if n, ok := c.number[one]; ok {
		return n, nil
	}
	if len(c.list) >= mostClasses {
		return 0, fmt.Errorf("more than %d labels", mostClasses)
	}
	n = int32(len(c.list))
	c.number[one], c.list = n, append(c.list, one)
	return n, nil
}

// records reads truth: a file, or a directory's files. Each call of read reads
// all of it again.
type records struct {
	path    string
	classes *classes
	files   []string
	count   uint64
	torn    int // files whose last line was cut off
	first   int64
	last    int64
}

// begin is when the first flow was injected; the time now where there is none.
func (r *records) begin(ctx context.Context) (time.Time, error) {
	at := time.Now()
	err := r.read(ctx, func(flows []flow) error {
		if len(flows) == 0 {
			return nil
		}
		at = time.Unix(0, flows[0].handed)
		return errEnough
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return at, err
}

// errEnough ends a reading.
var errEnough = errors.New("enough")

// read hands over all flows in the order of their injection.
func (r *records) read(ctx context.Context, take func([]flow) error) error {
	var err error
	if r.files, err = truth.Files(r.path); err != nil {
		return fmt.Errorf("truth %s: %w", r.path, err)
	}
	r.count, r.torn, r.first, r.last = 0, 0, 0, 0
	for _, path := range r.files {
		if err := r.readFile(ctx, path, take); err != nil {
			return fmt.Errorf("truth %s: %w", path, err)
		}
	}
	return nil
}

func (r *records) readFile(ctx context.Context, path string, take func([]flow) error) error {
	f, err := unzipped(path)
	if errors.Is(err, os.ErrNotExist) && len(r.files) > 1 {
		return nil // rotated away meanwhile
	}
	if err != nil {
		return pathless(err)
	}
	defer f.Close()
	rooms := make(chan []flow, 2*runtime.GOMAXPROCS(0)+2) // used again: more than are on their way
	for range cap(rooms) {
		rooms <- nil
	}
	parser := func() func(block) ([]flow, error) {
		reader := newFlowReader(r.classes)
		return func(b block) ([]flow, error) { return reader.block(b, (<-rooms)[:0]) }
	}
	torn, err := eachBlock(ctx, f, runtime.GOMAXPROCS(0), parser, func(flows []flow) error {
		for i := range flows {
			if flows[i].handed < r.last {
				return fmt.Errorf("a record of %s after one of %s: records must be in the order of their injection",
					time.Unix(0, flows[i].handed).UTC().Format(time.RFC3339Nano), time.Unix(0, r.last).UTC().Format(time.RFC3339Nano))
			}
			r.last = flows[i].handed
		}
		if r.count == 0 && len(flows) > 0 {
			r.first = flows[0].handed
		}
		r.count += uint64(len(flows))
		err := take(flows)
		rooms <- flows
		return err
	})
	if torn > 0 {
		r.torn++
	}
	return err
}

// flowReader reads truth records; package truth says what they are. It reads
// what is needed of them, in a tenth of encoding/json's time.
type flowReader struct {
	eve       *idslog.EVE
	visit     func(name []byte) error
	classes   *classes
	event     idslog.Event
	label     []byte
	malicious []byte
	verdict   []byte
	numbers   [numbers][]byte
}

// Members of a record that are whole numbers.
const (
	rttNumber = iota
	leftNumber
	spanNumber
	printNumber
	numbers
)

// numberNames are their names in pacgan.
var numberNames = [numbers]string{"rtt_ns", "left_ns", "span_ns", "fingerprint"}

func newFlowReader(c *classes) *flowReader {
	r := &flowReader{classes: c}
	r.eve = idslog.NewEVE(truth.EventType, r.part)
	r.visit = r.member
	return r
}

// block appends the flows of a block's records to flows.
func (r *flowReader) block(b block, flows []flow) ([]flow, error) {
	err := b.eachLine(func(line []byte) error {
		f, err := r.read(line)
		flows = append(flows, f)
		return err
	})
	return flows, err
}

func (r *flowReader) read(line []byte) (flow, error) {
	r.label, r.malicious, r.verdict = r.label[:0], r.malicious[:0], r.verdict[:0]
	for i := range r.numbers {
		r.numbers[i] = r.numbers[i][:0]
	}
	if err := r.eve.Read(line, &r.event); err != nil {
		return flow{}, err
	}
	if !r.event.Alert || len(r.label) == 0 || len(r.verdict) == 0 {
		return flow{}, fmt.Errorf("no truth record: event_type %q with pacgan.label and pacgan.verdict", truth.EventType)
	}
	var n [numbers]int64
	for i, text := range r.numbers {
		if len(text) == 0 {
			continue
		}
		var err error
		if n[i], err = strconv.ParseInt(string(text), 10, 64); err != nil {
			return flow{}, fmt.Errorf("pacgan.%s %q: must be a whole number", numberNames[i], text)
		}
	}
	class, err := r.classes.of(r.label, string(r.malicious) == "true")
	f := flow{
		handed: r.event.Time.UnixNano(), key: keyOf(r.event.Flow), community: communityKey(r.event.CommunityID),
		class: class, ending: endingOf(r.verdict), reversed: reversed(r.event.Flow), print: uint32(n[printNumber]),
	}
	f.times(n[leftNumber], n[spanNumber], n[rttNumber])
	return f, err
}

func (r *flowReader) part(name []byte) error {
	if string(name) == "pacgan" && r.eve.IsObject() {
		return r.eve.Members(r.visit)
	}
	return r.eve.Skip()
}

func (r *flowReader) member(name []byte) error {
	switch string(name) {
	case "label":
		return r.eve.Keep(&r.label)
	case "malicious":
		return r.eve.Keep(&r.malicious)
	case "verdict":
		return r.eve.Keep(&r.verdict)
	}
	for i, known := range numberNames {
		if string(name) == known {
			return r.eve.Keep(&r.numbers[i])
		}
	}
	return r.eve.Skip()
}
