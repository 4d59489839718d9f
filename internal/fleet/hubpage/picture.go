package hubpage

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"pacgan-appliance/internal/fleet"
)

// What is kept of what a member says, whoever it is: its key lets it say anything of itself.
const (
	mostMembers  = 10_000
	mostLabels   = 64  // of a gateway
	mostScores   = 256 // of a gateway's sensors
	mostRollouts = 100
	longest      = 300 // characters of a text
)

// picture is what is known of the fleet. Its methods may be called by several goroutines at once.
type picture struct {
	mu       sync.Mutex
	expected []string // gateways that ought to be there
	members  map[string]*member
	desired  map[string]uint64 // revision, by gateway
	rollouts map[string]fleet.Rollout
	stop     *stopped // nil: nobody has used the button
}

// member is one of them, as its last beat says.
type member struct {
	fleet.Beat
	seen   time.Time // by the server's clock
	before []sample  // the oldest first, at most a minute before seen
}

// sample is what a gateway's counts were.
type sample struct {
	at     time.Time
	onWire uint64
	labels []fleet.LabelBeat
}

// Lately is the stretch of time that is shown beside all of it, and how far apart samples in it are.
const (
	lately     = time.Minute
	sampleStep = 10 * time.Second
)

func newPicture() *picture {
	return &picture{members: map[string]*member{}, desired: map[string]uint64{}, rollouts: map[string]fleet.Rollout{}}
}

// expect notes which gateways ought to be there, whether they ever were or not.
func (p *picture) expect(names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = names
	for _, name := range names {
		if m := p.members[name]; m != nil {
			m.Role = fleet.Gateway
		}
	}
}

// beat takes in a beat that its member has signed.
func (p *picture) beat(b fleet.Beat, at time.Time) {
	name := b.Name
	clean(&b)
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.Contains(p.expected, name) {
		b.Role = fleet.Gateway // whatever it says: the button must ask it
	}
	m := p.members[name]
	if m == nil {
		if len(p.members) >= mostMembers {
			return
		}
		m = &member{}
		p.members[name] = m
	}
	if !at.After(m.seen) {
		return // known: the watch began anew
	}
	m.remember(b.OnWire, b.Labels)
	m.Beat, m.seen = b, at
}

// remember keeps the counts of the last beat beside earlier ones, unless the new ones say that they began anew.
func (m *member) remember(onWire uint64, labels []fleet.LabelBeat) {
	if m.seen.IsZero() {
		return
	}
	if onWire < m.OnWire || slices.ContainsFunc(labels, func(l fleet.LabelBeat) bool { return l.Generated < countsOf(m.Labels, l.Name).Generated }) {
		m.before = nil
		return
	}
	if n := len(m.before); n == 0 || m.seen.Sub(m.before[n-1].at) >= sampleStep {
		m.before = append(m.before, sample{m.seen, m.OnWire, m.Labels})
	}
	for len(m.before) > 1 && m.seen.Sub(m.before[1].at) >= lately {
		m.before = slices.Delete(m.before, 0, 1)
	}
}

// countsOf are a label's; zero where there is none.
func countsOf(labels []fleet.LabelBeat, name string) fleet.LabelBeat {
	if i := slices.IndexFunc(labels, func(l fleet.LabelBeat) bool { return l.Name == name }); i >= 0 {
		return labels[i]
	}
	return fleet.LabelBeat{}
}

// vanish forgets a member, whose key was removed from the bucket.
func (p *picture) vanish(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.members, name)
}

// desire notes the revision of what a gateway ought to do; 0: nothing is asked of it.
func (p *picture) desire(name string, revision uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if revision == 0 || fleet.CheckName(name) != nil {
		delete(p.desired, name)
		return
	}
	p.desired[name] = revision
}

// roll notes what became of a candidate.
func (p *picture) roll(work string, r *fleet.Rollout) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r == nil {
		delete(p.rollouts, work)
		return
	}
	p.rollouts[work] = *r
	if len(p.rollouts) > mostRollouts {
		oldest := work
		for id, r := range p.rollouts {
			if r.Since.Before(p.rollouts[oldest].Since) {
				oldest = id
			}
		}
		delete(p.rollouts, oldest)
	}
}

// gateways are the names of all that ought to be there and of all that have been.
func (p *picture) gateways() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gatewayNames()
}

func (p *picture) gatewayNames() []string {
	names := slices.Clone(p.expected)
	for name, m := range p.members {
		if m.Role == fleet.Gateway {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (p *picture) setStop(s *stopped) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop = s
}

// clean bounds what a beat says: each label and each sensor's label once, texts on one line.
func clean(b *fleet.Beat) {
	for _, text := range []*string{&b.Version, &b.State, &b.Status, &b.Model, &b.ModelSHA256} {
		*text = short(*text)
	}
	seen := map[string]bool{}
	for i := range b.Labels {
		b.Labels[i].Name = short(b.Labels[i].Name)
	}
	b.Labels = slices.DeleteFunc(b.Labels, func(l fleet.LabelBeat) bool { return again(seen, l.Name) })
	b.Labels = b.Labels[:min(len(b.Labels), mostLabels)]
	seen = map[string]bool{}
	for i := range b.Sensors {
		b.Sensors[i].Sensor, b.Sensors[i].Label = short(b.Sensors[i].Sensor), short(b.Sensors[i].Label)
	}
	b.Sensors = slices.DeleteFunc(b.Sensors, func(s fleet.IDSScore) bool { return again(seen, s.Sensor+"\n"+s.Label) })
	b.Sensors = b.Sensors[:min(len(b.Sensors), mostScores)]
	slices.SortStableFunc(b.Sensors, func(a, c fleet.IDSScore) int { return cmp.Compare(a.Sensor, c.Sensor) })
	if b.Refused != nil {
		b.Refused.Reason = short(b.Refused.Reason)
	}
	if b.Tried != nil {
		b.Tried.Reason, b.Tried.SHA256 = short(b.Tried.Reason), short(b.Tried.SHA256)
	}
}

// again reports a name that was there before, and notes it.
func again(seen map[string]bool, name string) bool {
	was := seen[name]
	seen[name] = true
	return was
}

// short is a text on one line of bounded length.
func short(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) > longest {
		text = string([]rune(text)[:longest]) + "…"
	}
	return text
}
