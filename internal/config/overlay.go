package config

import (
	"net/netip"
	"slices"
	"strings"
)

// overlaid are the sections that somebody else may lay over a file.
func overlaid() []string { return []string{"safety", "inject", "train", "label"} }

// Overlay lays a text in the file's language over a configuration that was read: what the text does not say stays, and
// its labels, if it has any, replace all. It may have [safety], [inject], [train] and [[label]] alone, and safety may
// only narrow own's: each network of allow and allow_reserved lies within one of own's, and max_rate is not above it.
// Where it narrows allow or max_rate alone, allow_reserved and inject.rate are cut to fit. name stands for the text in
// faults. The error is a Faults, and own is the configuration to stay with.
func (l Loader) Overlay(own Config, name string, text []byte) (Config, error) {
	p := parser{Loader: l, file: name, config: own}
	if r, ok := p.decode(string(text)); ok && p.onlyOverlaid() {
		p.overlay(own.Safety, r)
	}
	if len(p.faults) > 0 {
		return Config{}, p.faults.sorted()
	}
	return p.config, nil
}

// onlyOverlaid refuses every section that is not for others to say.
func (p *parser) onlyOverlaid() bool {
	said := overlaid()
	for _, path := range p.pos.paths {
		section, _, _ := strings.Cut(withoutIndexes(path), ".")
		if !slices.Contains(said, section) && slices.Contains(known(""), section) { // an unknown one was told
			said = append(said, section)
			p.faultAt(p.pos.at(path), "%s: is the gateway's own to say: only [safety], [inject], [train] and [[label]] may be laid over it", header(section))
		}
	}
	return len(said) == len(overlaid())
}

func (p *parser) overlay(own Safety, r raw) {
	p.narrow(own, r.Safety)
	if len(r.Label) > 0 {
		p.config.Labels = nil
		p.labels(r.Label)
	}
	p.train(r.Train)
	p.inject(r.Inject)
	if c := &p.config; r.Inject.Rate == nil {
		c.Inject.Rate.PerSecond = min(c.Inject.Rate.PerSecond, c.Safety.MaxRate)
	}
	p.rateWithinBound()
}

// narrow reads a safety that may only narrow own.
func (p *parser) narrow(own Safety, r rawSafety) {
	s := &p.config.Safety
	var allowAt, namedAt []int
	s.Allow, allowAt = p.prefixes("safety.allow", r.Allow)
	s.AllowReserved, namedAt = p.prefixes("safety.allow_reserved", r.AllowReserved)
	for i, allowed := range s.Allow {
		if !within(allowed, own.Allow) {
			p.faultAt(allowAt[i], "safety.allow %q: lies in no network of the gateway's own safety.allow, which others may only narrow", allowed)
		}
	}
	for i, named := range s.AllowReserved {
		if !within(named, own.AllowReserved) {
			p.faultAt(namedAt[i], "safety.allow_reserved %q: lies in no network of the gateway's own safety.allow_reserved, which others may only narrow", named)
		}
	}
	if r.Allow == nil {
		s.Allow = own.Allow
	}
	if r.AllowReserved == nil {
		s.AllowReserved = common(own.AllowReserved, s.Allow)
	}
	setKey(p, "safety.max_rate", r.MaxRate, &s.MaxRate, number(MaxRate))
	if s.MaxRate > own.MaxRate {
		p.faultAt(p.pos.at("safety.max_rate"), "safety.max_rate %v: above the gateway's own, %v, which others may only lower", s.MaxRate, own.MaxRate)
	}
	if len(p.faults) == 0 {
		p.reserved(allowAt, namedAt)
	}
}

// common are the networks that lie in both.
func common(a, b []netip.Prefix) []netip.Prefix {
	var out []netip.Prefix
	for _, one := range a {
		for _, other := range b {
			switch {
			case within(one, []netip.Prefix{other}):
				out = append(out, one)
			case within(other, []netip.Prefix{one}):
				out = append(out, other)
			}
		}
	}
	return out
}
