package appliance

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// patience is how long labels that have enough packets wait for the others to
// get theirs: each label that is trained later costs a training of all.
const patience = 10 * time.Minute

// ripening watches how many labels have enough packets to train.
type ripening struct {
	enough int
	since  time.Time // when it was last another number
}

// look reports whether to wait no longer for a label: all have enough packets,
// or some have and no further one for patience.
func (r *ripening) look(now time.Time, enough, labels int) bool {
	if enough != r.enough {
		r.enough, r.since = enough, now
	}
	return enough > 0 && (enough == labels || now.Sub(r.since) >= patience)
}

// shortfall is a label with too few packets to train.
type shortfall struct {
	Label string `json:"label"`
	Have  int    `json:"have"`
	Need  int    `json:"need"`
}

// shortfalls are the labels that have too few packets, in the config's order.
func (s *service) shortfalls() []shortfall {
	cfg := s.cfg.Load()
	out := []shortfall{}
	for _, l := range cfg.Labels {
		if n := s.store.Count(l.Name); n < cfg.Train.MinPackets {
			out = append(out, shortfall{l.Name, n, cfg.Train.MinPackets})
		}
	}
	return out
}

// missing says which labels have too few packets to train, "" where none has.
func (s *service) missing() string {
	var parts []string
	for _, m := range s.shortfalls() {
		parts = append(parts, fmt.Sprintf("%s %s of %s", m.Label, thousands(m.Have), thousands(m.Need)))
	}
	return strings.Join(parts, ", ")
}

// enough are the labels that have enough packets to train, in the config's order.
func (s *service) enough() []string {
	short := s.shortfalls()
	return slices.DeleteFunc(labelNames(*s.cfg.Load()), func(name string) bool {
		return slices.ContainsFunc(short, func(m shortfall) bool { return m.Label == name })
	})
}

// tooFew reports that a training would give a worse set of labels than there
// is: none at all, or without one that the model in use has learned.
func (s *service) tooFew(live *liveModel, enough []string) bool {
	if len(enough) == 0 {
		return true
	}
	return live != nil && slices.ContainsFunc(labelNames(*s.cfg.Load()), func(name string) bool {
		return !slices.Contains(enough, name) && !slices.Contains(live.lacks, name)
	})
}

// wants reports whether one of the labels that have enough packets is in no
// model, though nobody has found that it cannot be learned.
func (m *liveModel) wants(enough []string) bool {
	return m == nil || slices.ContainsFunc(m.untried(), func(name string) bool { return slices.Contains(enough, name) })
}
