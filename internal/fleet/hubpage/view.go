package hubpage

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"pacgan-appliance/internal/chart"
	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/wilson"
)

// lost is the state of a member that has been silent for fleet.LostAfter, and never that of a gateway that never came.
const (
	lost  = "lost"
	never = "never seen"
)

// view is what the page and the metrics show.
type view struct {
	Time      time.Time
	Connected bool // to a server: else all that is shown is old
	Gateways  []gatewayView
	States    []stateCount // of the gateways, the most first
	OnWire    float64      // packets per second lately, of all
	Spool     int64        // bytes that are not with the hub yet, of all
	Trainers  []memberView
	Models    []modelView
	Under     []fleet.Rollout // under way, the newest first
	Ended     []fleet.Rollout // the last ones
	Sensors   sensorTable
	Stop      *stopped
}

// stateCount says how many gateways are in a state.
type stateCount struct {
	State string
	Count int
}

// memberView is a member as its last beat says.
type memberView struct {
	fleet.Beat
	State string        // its own, or lost, or never
	Seen  time.Time     // by the server's clock
	Ago   time.Duration // since then
	Down  bool          // lost or never seen
}

// gatewayView is a gateway.
type gatewayView struct {
	memberView
	Labels  []labelView
	OnWire  rateView
	Desired uint64 // revision; 0: nothing is asked of it
	Trouble bool   // something that a person should look at
}

// Behind reports that the gateway has neither taken nor refused what is desired of it.
func (g *gatewayView) Behind() bool {
	return g.Desired > g.Applied && (g.Refused == nil || g.Refused.Revision < g.Desired)
}

// LostBytes is the truth that was removed for room before the hub had it.
func (g *gatewayView) LostBytes() int64 { return int64(min(g.Spool.Lost, math.MaxInt64)) }

// rateView is packets per second over a stretch of time; no stretch: not known.
type rateView struct {
	Rate float64
	Over time.Duration
}

// labelView is a label's success.
type labelView struct {
	fleet.LabelBeat
	All    share
	Lately share
	Over   time.Duration // how long Lately is; 0: not known
}

// share is so many of so many.
type share struct{ Hits, Of uint64 }

// String has the rate, how many it is of, and its 95 % interval.
func (s share) String() string {
	switch {
	case s.Of == 0 && s.Hits == 0:
		return "–"
	case s.Hits > s.Of:
		return fmt.Sprintf("%s of %s: counts that disagree", chart.Grouped(s.Hits), chart.Grouped(s.Of))
	}
	low, high := wilson.Interval(s.Hits, s.Of)
	return fmt.Sprintf("%s %% of %s (%s – %s)", chart.Percent(float64(s.Hits)/float64(s.Of)), chart.Grouped(s.Of), chart.Percent(low), chart.Percent(high))
}

// decided are the packets whose end is known, of those that expect an answer.
func decided(l fleet.LabelBeat) uint64 {
	return l.Generated - min(l.Generated, l.Inflight+l.Unasked)
}

// grown is how much a count has grown; one that fell has not.
func grown(from, to uint64) uint64 { return to - min(from, to) }

// view reads the picture.
func (p *Page) view() view {
	v := view{Time: p.now(), Connected: p.connected()}
	pic := p.picture
	pic.mu.Lock()
	defer pic.mu.Unlock()
	v.Stop = pic.stop
	for _, name := range pic.gatewayNames() {
		v.Gateways = append(v.Gateways, pic.gatewayView(name, v.Time))
	}
	for _, m := range pic.members {
		if m.Role == fleet.Trainer {
			v.Trainers = append(v.Trainers, m.view(v.Time))
		}
	}
	slices.SortFunc(v.Trainers, func(a, b memberView) int { return cmp.Compare(a.Name, b.Name) })
	states := map[string]int{}
	for i := range v.Gateways {
		g := &v.Gateways[i]
		states[g.State]++
		v.Spool += g.Spool.Bytes
		if !g.Down {
			v.OnWire += g.OnWire.Rate
		}
	}
	for state, n := range states {
		v.States = append(v.States, stateCount{state, n})
	}
	slices.SortFunc(v.States, func(a, b stateCount) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.State, b.State)) })
	v.Models = modelsOf(v.Gateways)
	v.Sensors = sensorsOf(v.Gateways)
	for _, r := range pic.rollouts {
		if r.State.Ended() {
			v.Ended = append(v.Ended, r)
		} else {
			v.Under = append(v.Under, r)
		}
	}
	for _, list := range [][]fleet.Rollout{v.Under, v.Ended} {
		slices.SortFunc(list, func(a, b fleet.Rollout) int { return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.Work, b.Work)) })
	}
	v.Ended = v.Ended[:min(len(v.Ended), endedShown)]
	slices.SortStableFunc(v.Gateways, func(a, b gatewayView) int { return cmp.Compare(boolean(b.Trouble), boolean(a.Trouble)) })
	return v
}

// endedShown is how many rollouts that have ended are shown.
const endedShown = 5

func (m *member) view(now time.Time) memberView {
	v := memberView{Beat: m.Beat, State: cmp.Or(m.State, "unknown"), Seen: m.seen, Ago: max(0, now.Sub(m.seen))}
	if v.Down = v.Ago > fleet.LostAfter; v.Down {
		v.State = lost
	}
	return v
}

func (p *picture) gatewayView(name string, now time.Time) gatewayView {
	m := p.members[name]
	if m == nil {
		return gatewayView{memberView: memberView{Beat: fleet.Beat{Name: name}, State: never, Down: true}, Desired: p.desired[name], Trouble: true}
	}
	g := gatewayView{memberView: m.view(now), Desired: p.desired[name]}
	var before sample
	if len(m.before) > 0 {
		before = m.before[0]
		over := m.seen.Sub(before.at)
		g.OnWire = rateView{float64(grown(before.onWire, m.OnWire)) / max(over.Seconds(), 1), over}
	}
	for _, l := range m.Labels {
		was := countsOf(before.labels, l.Name)
		one := labelView{LabelBeat: l, All: share{l.Answered, decided(l)}, Over: g.OnWire.Over}
		if one.Over > 0 {
			one.Lately = share{grown(was.Answered, l.Answered), grown(decided(was), decided(l))}
		}
		g.Labels = append(g.Labels, one)
	}
	g.Trouble = g.Down || g.Refused != nil || g.State == "failing" || g.Spool.Lost > 0 || (g.Tried != nil && !g.Tried.Promoted)
	return g
}

// modelView is a model and who uses it.
type modelView struct {
	SHA256   string
	Names    []string // directories of the gateways
	At       time.Time
	Gateways []string
}

// modelsOf lists the models in use, those of the most gateways first.
func modelsOf(gateways []gatewayView) []modelView {
	by := map[string]*modelView{}
	for _, g := range gateways {
		if g.Model == "" {
			continue
		}
		m := by[g.ModelSHA256]
		if m == nil {
			m = &modelView{SHA256: g.ModelSHA256, At: g.ModelAt}
			by[g.ModelSHA256] = m
		}
		m.Gateways = append(m.Gateways, g.Name)
		m.Names = append(m.Names, g.Model)
	}
	var out []modelView
	for _, m := range by {
		slices.Sort(m.Names)
		m.Names = slices.Compact(m.Names)
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b modelView) int {
		return cmp.Or(cmp.Compare(len(b.Gateways), len(a.Gateways)), cmp.Compare(a.SHA256, b.SHA256))
	})
	return out
}

// inBytes is a size for a person.
func inBytes(n int64) string {
	const unit = 1 << 10
	size, suffix := float64(n), 0
	for size >= unit && suffix < 4 {
		size /= unit
		suffix++
	}
	if suffix == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %ciB", size, "KMGT"[suffix-1])
}
