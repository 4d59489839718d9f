package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/wilson"
)

// step looks at what gateways say of themselves and reports whether the rollout is another now.
func (r *roller) step(now *fleet.Rollout, beats map[string]fleet.Beat, at time.Time) bool {
	heard := r.hear(now, beats, at)
	switch now.State {
	case fleet.RolloutFirst:
		return r.first(now, at) || heard
	case fleet.RolloutWatch:
		return r.watch(now, beats, at) || heard
	case fleet.RolloutAll:
		return r.all(now, beats, at) || heard
	}
	return heard
}

// hear writes down who has answered, and what the counts were when it was asked.
func (r *roller) hear(now *fleet.Rollout, beats map[string]fleet.Beat, at time.Time) bool {
	heard := false
	for i := range now.Gateways {
		g := &now.Gateways[i]
		b, ok := beats[g.Name]
		if !ok || g.Tried != nil {
			continue
		}
		if g.Asked == nil && len(b.Labels) > 0 {
			g.Asked, heard = b.Labels, true
		}
		if b.Tried != nil && b.Tried.SHA256 == now.Model {
			g.Tried, g.At, heard = b.Tried, at, true
		}
	}
	return heard
}

// first waits for the gateway whose data was learned.
func (r *roller) first(now *fleet.Rollout, at time.Time) bool {
	g := now.Gateways[0]
	switch {
	case g.Tried == nil && at.Sub(now.Since) < r.Wait:
		return false
	case g.Tried == nil:
		return enter(now, fleet.RolloutRefused, at, fmt.Sprintf("%s has not tried it for %v", g.Name, r.Wait))
	case !g.Tried.Promoted:
		return enter(now, fleet.RolloutRefused, at, g.Name+": "+g.Tried.Reason)
	}
	return enter(now, fleet.RolloutWatch, at, fmt.Sprintf("%s uses it and is watched for %v", g.Name, r.Watch))
}

// watch looks once, when the first gateway has used the model for long enough: who looks again and again finds by chance
// what is not there.
func (r *roller) watch(now *fleet.Rollout, beats map[string]fleet.Beat, at time.Time) bool {
	g := now.Gateways[0]
	if at.Sub(g.At) < r.Watch {
		return false
	}
	b := beats[g.Name]
	if b.Time.Before(g.At.Add(r.Watch - fleet.LostAfter)) { // it was last heard before the end
		if at.Sub(g.At) < r.Watch+r.Wait {
			return false
		}
		return enter(now, fleet.RolloutBack, at, g.Name+" is lost since it uses it")
	}
	if fault := worse(g, b); fault != "" {
		return enter(now, fleet.RolloutBack, at, fault)
	}
	for _, name := range others(now, beats, at) {
		now.Gateways = append(now.Gateways, fleet.RolloutGateway{Name: name, Asked: beats[name].Labels})
	}
	return enter(now, fleet.RolloutAll, at, fmt.Sprintf("%d more gateways try it", len(now.Gateways)-1))
}

// others are the gateways that are there, beside those that were asked, whose labels the model has all learned.
func others(now *fleet.Rollout, beats map[string]fleet.Beat, at time.Time) []string {
	var names []string
	for name, b := range beats {
		asked := slices.ContainsFunc(now.Gateways, func(g fleet.RolloutGateway) bool { return g.Name == name })
		lacks := slices.ContainsFunc(b.Labels, func(l fleet.LabelBeat) bool { return !slices.Contains(now.Labels, l.Name) })
		if !asked && !lacks && len(b.Labels) > 0 && at.Sub(b.Time) < fleet.LostAfter {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// all waits until every gateway has answered, and has been watched where it took the model. What a gateway refuses is its
// own: it goes on with the model that it has.
func (r *roller) all(now *fleet.Rollout, beats map[string]fleet.Beat, at time.Time) bool {
	took := 0
	var others []string
	for _, g := range now.Gateways {
		switch {
		case g.Tried == nil && at.Sub(now.Since) < r.Wait:
			return false
		case g.Tried == nil:
			others = append(others, g.Name+" has not answered")
		case !g.Tried.Promoted:
			others = append(others, g.Name+" refused it: "+g.Tried.Reason)
		case at.Sub(g.At) < r.Watch:
			return false
		default:
			took++
			if fault := worse(g, beats[g.Name]); fault != "" {
				return enter(now, fleet.RolloutBack, at, fault)
			}
		}
	}
	reason := fmt.Sprintf("in use at %d of %d gateways", took, len(now.Gateways))
	if len(others) > 0 {
		reason += "; " + strings.Join(others, "; ")
	}
	return enter(now, fleet.RolloutPromoted, at, reason)
}

func enter(now *fleet.Rollout, state fleet.RolloutState, at time.Time, reason string) bool {
	now.State, now.Since, now.Reason = state, at, reason
	return true
}

// fewest is of how many packets a success must be to be compared; with fewer, that of all packets before is.
const fewest = 100

// worse says which label's success has fallen since a gateway took the model, beyond what chance makes of an equal one;
// "": none.
func worse(g fleet.RolloutGateway, b fleet.Beat) string {
	for _, now := range b.Labels {
		took := labelOf(g.Tried.Counts, now.Name)
		answered, decided := since(labelOf(g.Asked, now.Name), took)
		if decided < fewest {
			answered, decided = since(fleet.LabelBeat{}, took)
		}
		nowAnswered, nowDecided := since(took, now)
		if decided < fewest || nowDecided == 0 {
			continue
		}
		low, _ := wilson.Interval(answered, decided)
		if _, high := wilson.Interval(nowAnswered, nowDecided); high < low {
			return fmt.Sprintf("%s: %s: %d of %d packets answered, before it %d of %d", g.Name, now.Name, nowAnswered, nowDecided, answered, decided)
		}
	}
	return ""
}

func labelOf(labels []fleet.LabelBeat, name string) fleet.LabelBeat {
	for _, l := range labels {
		if l.Name == name {
			return l
		}
	}
	return fleet.LabelBeat{}
}

// since is what came of the packets between two counts; counts that began again count from nothing.
func since(was, now fleet.LabelBeat) (answered, decided uint64) {
	if now.Generated < was.Generated || now.Answered < was.Answered {
		was = fleet.LabelBeat{}
	}
	ends := func(l fleet.LabelBeat) uint64 { return l.Generated - min(l.Generated, l.Inflight+l.Unasked) }
	answered, decided = now.Answered-was.Answered, ends(now)-min(ends(now), ends(was))
	return min(answered, decided), decided
}
