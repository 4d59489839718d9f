package appliance

import "pacgan-appliance/internal/model"

// tally is what became of packets by where they come from: of the config's
// labels, in its order, and then of labels that a reload took away.
type tally [allOrigins][]labelCounts

// counts reads the counts while packets pass, those of earlier daemons included.
func (s *service) counts() (tally, error) {
	all, err := s.wire.passingCounts()
	if err != nil {
		return tally{}, err
	}
	s.withPast(all)
	var t tally
	for o := range allOrigins {
		t[o] = s.wire.slots.of(o, labelNames(*s.cfg.Load()), all)
	}
	return t, nil
}

// ceilings are the success rates of captured packets, by label.
func (t tally) ceilings() map[string]model.Outcome {
	out := map[string]model.Outcome{}
	for _, c := range t[fromCapture] {
		if c.Generated > 0 {
			out[c.name] = outcomeOf(c.Generated, c.success())
		}
	}
	return out
}

// ceiling is the success rate of captured packets of all labels; nil where
// none was injected.
func (t tally) ceiling() *model.Outcome {
	all := totalOf(t[fromCapture])
	if all.Generated == 0 {
		return nil
	}
	out := outcomeOf(all.Generated, all.success())
	return &out
}

// of are the counts of one label's packets of an origin; zero where there are
// none.
func (t tally) of(o origin, label string) labelCounts {
	for _, c := range t[o] {
		if c.name == label {
			return c
		}
	}
	return labelCounts{name: label}
}
