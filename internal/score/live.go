package score

import (
	"sync"
	"time"

	"pacgan-appliance/internal/idslog"
	"pacgan-appliance/internal/truth"
)

// LiveOptions of NewLive.
type LiveOptions struct {
	Sensors []LiveSource
	Window  time.Duration // from a flow's start to its last alert; 0: DefaultWindow
	// Patience is after which time the truth of every flow is known: the timeout
	// of a reply and some.
	Patience time.Duration
	Flows    int // at most, that are remembered; 0: DefaultFlows
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// DefaultFlows are a window's flows at 10,000 a second: 20 MB.
const DefaultFlows = 100_000

// LiveSource is a sensor that runs.
type LiveSource struct {
	Name string
	Kind idslog.Kind
	Path string // of its log
	// Silence is how long a sensor that sees traffic may say nothing, and a
	// signature that fired on a label nothing on more of it.
	Silence time.Duration
}

// Bounds of what a Live holds of each sensor.
const (
	mostPending         = 10_000 // alerts that wait for the truth of their flow
	mostLiveSignatures  = 1_000
	mostLiveTimes       = 4_096 // times to detect of each label
	mostDifferences     = 1_024
	leastAgreed         = 20 // alerts, before an offset of the clock is believed
	chainLooked         = 64 // uses of the same ports that an alert is compared with
	settleAfter         = 5 * time.Second
	remembered          = time.Minute // a flow, for alerts that are logged late
	estimateEvery       = time.Second
	shownLiveSignatures = 50
)

// Live scores sensors while they run: alerts are joined with truth records as
// both come in. It is given every record and event, remembers flows of the last
// while only, and what it counts is of bounded size. Its methods may be called
// by several goroutines.
type Live struct {
	mu      sync.Mutex
	options LiveOptions
	began   time.Time
	classes *classes
	flows   recentFlows
	sensors []*liveSensor
	arrived []uint64 // scored flows, by class
	settled []uint64 // of them, those whose alerts had the time to come
}

// NewLive makes a Live.
func NewLive(o LiveOptions) *Live {
	if o.Window == 0 {
		o.Window = DefaultWindow
	}
	if o.Flows == 0 {
		o.Flows = DefaultFlows
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &Live{options: o, began: o.Now(), classes: newClasses(), flows: newRecentFlows(o.Flows)}
	for _, s := range o.Sensors {
		l.sensors = append(l.sensors, newLiveSensor(s, l.began))
	}
	return l
}

// Truth takes up a record. They come in the order of their timestamps.
func (l *Live) Truth(r *truth.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	class, err := l.classes.of([]byte(r.Pacgan.Label), r.Pacgan.Malicious)
	if err != nil {
		return // more labels than there can be: the config's are at most 32
	}
	for int(class) >= len(l.arrived) {
		l.arrived, l.settled = append(l.arrived, 0), append(l.settled, 0)
	}
	f := liveFlow{
		flow: flow{
			handed: r.Timestamp.UnixNano(), class: class, ending: endingOf([]byte(r.Pacgan.Verdict)), print: r.Pacgan.Fingerprint,
		},
		arrived: l.options.Now(),
	}
	f.key, f.reversed = recordKey(r)
	f.times(r.Pacgan.Left, r.Pacgan.Span, r.Pacgan.RTT)
	if f.ending == scored {
		l.arrived[class]++
	}
	if l.flows.full() { // with flows of the last seconds: then they get no more time
		l.settleOldest()
	}
	for l.flows.outdated(f.arrived.Add(-remembered)) {
		n := l.flows.forget()
		for _, s := range l.sensors {
			delete(s.detections, n)
		}
	}
	l.flows.add(f)
	l.advance()
}

// Event takes up what a line of a sensor's log says.
func (l *Live) Event(sensor int, e *idslog.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sensors[sensor]
	s.events++
	s.last, s.flowsAtLast = l.options.Now(), sum(l.arrived)
	if !e.Alert {
		return
	}
	one := alertOf(e)
	var ok bool
	if one.signature, ok = s.of(e, mostLiveSignatures); !ok {
		s.dropped++
		return
	}
	if len(s.pending) == mostPending {
		l.resolve(s, s.pending[0])
		s.pending = s.pending[1:]
	}
	s.pending = append(s.pending, pendingAlert{one, keyOf(e.Flow), s.last})
	l.advance()
}

// Fault takes up that a sensor's log cannot be read now; nil: it can.
func (l *Live) Fault(sensor int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sensors[sensor].fault = err
}

// BadLine takes up a line of a sensor's log that cannot be read.
func (l *Live) BadLine(sensor int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sensors[sensor].badLines++
	l.sensors[sensor].badLine = err
}

// advance resolves the alerts whose flow must be known by now, and settles the
// flows whose alerts must be.
func (l *Live) advance() {
	now := l.options.Now()
	for _, s := range l.sensors {
		if now.Sub(s.estimated) >= estimateEvery {
			s.estimated = now
			s.estimate()
		}
		for len(s.pending) > 0 {
			p := s.pending[0]
			// By our clock: the sensor's may be wrong.
			known := l.flows.newestHanded() >= p.received.UnixNano()
			if !known && now.Sub(p.received) < l.options.Patience {
				break
			}
			l.resolve(s, p)
			s.pending = s.pending[1:]
		}
	}
	for l.flows.unsettled() && now.Sub(l.flows.nextToSettle().arrived) >= settleAfter {
		l.settleOldest()
	}
}

// resolve gives an alert to its flow.
func (l *Live) resolve(s *liveSensor, p pendingAlert) {
	c := choice{alert: &p.alert, offset: s.offset, window: int64(l.options.Window)}
	l.consider(s, &c, p.key)
	d, first := c.take()
	switch {
	case d != nil:
	case c.undecided():
		s.counted.ambiguous(p.signature)
		return
	default:
		s.counted.foreign(p.signature)
		return
	}
	n := d.number
	s.detections[n] = d
	if l.flows.isSettled(n) && len(d.fired) == 1 && first { // it was counted as a miss: now it is none
		s.counted.alerted(d.class, d.ending, d.handed, d.first-d.start)
	}
	s.counted.fired(p.signature, d.class, first)
	if first && d.ending == scored {
		s.canary(p.signature, d.class).fire(l.arrived[d.class], l.options.Now())
	}
}

// consider has a choice consider the last flows with a key.
func (l *Live) consider(s *liveSensor, c *choice, k key) {
	newest := l.flows.newest(k)
	for n, looked := newest, 0; n != 0 && looked < chainLooked; n, looked = l.flows.older(n), looked+1 {
		d := s.detections[n]
		if d == nil {
			made := newJoined(&l.flows.at(n).flow)
			d = &made
			d.number = n
		}
		s.differ(c.alert, d, l.flows.older(newest) == 0)
		c.consider(d)
	}
}

// settleOldest counts the oldest flow that was not counted yet.
func (l *Live) settleOldest() {
	n, f := l.flows.settle()
	if f.ending == scored {
		l.settled[f.class]++
	}
	for _, s := range l.sensors {
		s.counted.flow(f.class, f.ending, f.handed)
		if d := s.detections[n]; d != nil {
			s.counted.alerted(f.class, f.ending, f.handed, d.first-f.start)
		}
	}
}

func sum(counts []uint64) uint64 {
	n := uint64(0)
	for _, c := range counts {
		n += c
	}
	return n
}
