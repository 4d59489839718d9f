package score

import "pacgan-appliance/internal/idslog"

// mostSignatures is more than large rule sets have.
const mostSignatures = 100_000

// signature is a rule that fired.
type signature struct {
	id, text    string
	first, last int64 // ns by the sensor's clock
}

// signatures numbers a sensor's rules in the order in which they fire.
type signatures struct {
	rules []signature
	known map[string]int32 // by id
}

// of is the number of the signature that fired, and false where it is a
// further one than most.
func (s *signatures) of(e *idslog.Event, most int) (int32, bool) {
	at := e.Time.UnixNano()
	n, ok := s.known[string(e.ID)]
	if !ok {
		if len(s.rules) >= most {
			return 0, false
		}
		if s.known == nil {
			s.known = map[string]int32{}
		}
		n = int32(len(s.rules))
		one := signature{id: string(e.ID), text: string(e.Text), first: at, last: at}
		s.known[one.id] = n
		s.rules = append(s.rules, one)
	}
	one := &s.rules[n]
	one.first, one.last = min(one.first, at), max(one.last, at)
	return n, true
}
