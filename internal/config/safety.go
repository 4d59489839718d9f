package config

import (
	"errors"
	"fmt"
	"net/netip"
)

// reservedPrefixes are those that need a name in safety.allow_reserved on
// every machine, and what they are.
var reservedPrefixes = []struct {
	prefix netip.Prefix
	what   string
}{
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
	{netip.MustParsePrefix("255.255.255.255/32"), "broadcast"},
	{netip.MustParsePrefix("127.0.0.0/8"), "this machine itself"},
	{netip.MustParsePrefix("::1/128"), "this machine itself"},
}

func (p *parser) safety(r rawSafety) {
	s := &p.config.Safety
	var allowAt, namedAt []int // lines
	s.Allow, allowAt = p.prefixes("safety.allow", r.Allow)
	s.AllowReserved, namedAt = p.prefixes("safety.allow_reserved", r.AllowReserved)
	setKey(p, "safety.max_rate", r.MaxRate, &s.MaxRate, number(MaxRate))
	p.reserved(allowAt, namedAt)
}

// reserved holds allow and allow_reserved against each other. The lines are of those networks that the text names.
func (p *parser) reserved(allowAt, namedAt []int) {
	s := p.config.Safety
	line := func(at []int, i int) int {
		if i < len(at) {
			return at[i]
		}
		return p.pos.at("safety")
	}
	for i, named := range s.AllowReserved {
		if !within(named, s.Allow) {
			p.faultAt(line(namedAt, i), "safety.allow_reserved %q: lies in no network of safety.allow: name it there, too", named)
		}
	}
	for i, allowed := range s.Allow {
		for _, reserved := range reservedPrefixes {
			if within(allowed, []netip.Prefix{reserved.prefix}) && !within(allowed, s.AllowReserved) {
				p.faultAt(line(allowAt, i), "safety.allow %q: is %s, which needs its name in safety.allow_reserved, too", allowed, reserved.what)
			}
		}
	}
}

// within reports whether one of the networks holds all of prefix.
func within(prefix netip.Prefix, networks []netip.Prefix) bool {
	for _, n := range networks {
		if n.Bits() <= prefix.Bits() && n.Contains(prefix.Addr()) {
			return true
		}
	}
	return false
}

// prefixes reads each prefix apart, so that each bad one has its own line, and
// says on which line each good one is.
func (p *parser) prefixes(key string, v any) (prefixes []netip.Prefix, lines []int) {
	if v == nil {
		return nil, nil
	}
	items, ok := v.([]any)
	if !ok {
		p.fault(key, key, v, errors.New(`must be a list such as ["10.77.2.0/24"]`))
		return nil, nil
	}
	for i, item := range items {
		prefix, err := allowedPrefix(item)
		path := fmt.Sprintf("%s[%d]", key, i)
		if err != nil {
			p.fault(path, key, item, err)
			continue
		}
		prefixes, lines = append(prefixes, prefix), append(lines, p.pos.at(path))
	}
	return prefixes, lines
}
