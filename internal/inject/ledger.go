package inject

import (
	"maps"
	"sync"
	"sync/atomic"
)

// ledger counts, for each label, what user space does with generated packets.
// The kernel's counts are apart from it.
type ledger struct {
	labels   []labelLedger
	recorder Recorder // hears of the packets that are counted here
	mu       sync.Mutex
	failed   []map[string]uint64 // by label, then reason
}

type labelLedger struct {
	generated   atomic.Uint64 // by the source
	malformed   atomic.Uint64
	repaired    atomic.Uint64 // their checksums were wrong
	readdressed atomic.Uint64 // given our own source address
	submitted   atomic.Uint64 // opening frames that the kernel took from us
	waiting     atomic.Int64  // for a next hop, or for another conversation to end
}

func newLedger(labels int, r Recorder) *ledger {
	l := &ledger{recorder: r, labels: make([]labelLedger, labels), failed: make([]map[string]uint64, labels)}
	for i := range l.failed {
		l.failed[i] = map[string]uint64{}
	}
	return l
}

func (l *ledger) submit(label int) { l.labels[label].submitted.Add(1) }

func (l *ledger) wait(label, n int) { l.labels[label].waiting.Add(int64(n)) }

// malform counts a packet that cannot be framed.
func (l *ledger) malform(p Packet, why error) {
	l.labels[p.Label].malformed.Add(1)
	l.recorder.Malformed(p, why)
}

// fail counts a packet that ended here. reason is one of few.
func (l *ledger) fail(p Packet, reason string) {
	l.count(p.Label, reason)
	l.recorder.Failed(p, reason)
}

// refuse counts a packet that was handed over, and not taken.
func (l *ledger) refuse(label int, id uint32, reason string) {
	l.count(label, reason)
	l.recorder.Refused(id, reason)
}

func (l *ledger) count(label int, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed[label][reason]++
}

func (l *ledger) failures(label int) map[string]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.failed[label])
}
