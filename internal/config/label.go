package config

import (
	"errors"
	"fmt"
	"strings"
)

const nameAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789-"

func (p *parser) labels(raws []rawLabel) {
	if len(raws) == 0 {
		p.faultAt(1, "no [[label]]: at least one is needed, with a name and a filter")
	}
	if len(raws) > MaxLabels {
		p.faultAt(p.pos.at(fmt.Sprintf("label[%d]", MaxLabels)), "%d labels: at most %d are possible", len(raws), MaxLabels)
		return
	}
	seen := map[string]int{} // name -> line
	for i, r := range raws {
		path := fmt.Sprintf("label[%d]", i)
		label := p.label(path, subject(r, i), r)
		line := p.pos.at(path + ".name")
		if first, ok := seen[label.Name]; ok && label.Name != "" {
			p.faultAt(line, "label %q: the name is taken by line %d", label.Name, first)
		}
		seen[label.Name] = line
		p.config.Labels = append(p.config.Labels, label)
	}
}

// subject names a label in faults, by its place where it has no name.
func subject(r rawLabel, i int) string {
	if name, ok := r.Name.(string); ok && name != "" {
		return fmt.Sprintf("label %q", name)
	}
	return fmt.Sprintf("label %d", i+1)
}

func (p *parser) label(path, subject string, r rawLabel) Label {
	l := DefaultLabel()
	key := func(name string) (string, string) { return path + "." + name, subject + ": " + name }
	if r.Name == nil {
		p.missing(path, subject+`: name is missing: 1 to 32 of a-z, 0-9 and "-"`)
	}
	if r.Filter == nil {
		p.missing(path, subject+`: filter is missing: a tcpdump expression, such as "udp dst port 53"`)
	}
	at, what := key("name")
	set(p, at, what, r.Name, &l.Name, labelName)
	at, what = key("filter")
	set(p, at, what, r.Filter, &l.Filter, p.filter)
	at, what = key("answer")
	set(p, at, what, r.Answer, &l.Answer, oneOf(AnswerICMPEcho, AnswerDNS, AnswerHTTP, AnswerReply, AnswerNone))
	at, what = key("accept")
	p.accept(at, what, r.Accept, &l)
	at, what = key("contains")
	set(p, at, what, r.Contains, &l.Contains, containsFor(l.Answer))
	at, what = key("malicious")
	set(p, at, what, r.Malicious, &l.Malicious, boolean)
	at, what = key("share")
	set(p, at, what, r.Share, &l.Share, number(1e6))
	l.defaultAccept()
	return l
}

func labelName(v any) (string, error) {
	s, err := text(v)
	if err != nil {
		return "", err
	}
	if s == "" || len(s) > maxNameLen || strings.Trim(s, nameAlphabet) != "" {
		return "", fmt.Errorf(`must be 1 to %d of a-z, 0-9 and "-"`, maxNameLen)
	}
	return s, nil
}

func (p *parser) filter(v any) (string, error) {
	s, err := text(v)
	if err != nil {
		return "", err
	}
	if strings.TrimSpace(s) == "" {
		return "", errors.New(`must be a tcpdump expression, such as "udp dst port 53"`)
	}
	if p.CheckFilter == nil {
		return s, nil
	}
	return s, p.CheckFilter(s)
}

// accept reads what counts as answered, which DNS and HTTP mean differently:
// NOERROR always counts, whereas HTTP's list replaces 2xx and 3xx.
func (p *parser) accept(path, subject string, v any, l *Label) {
	if v == nil {
		return
	}
	if l.Answer != AnswerDNS && l.Answer != AnswerHTTP {
		p.fault(path, subject, v, fmt.Errorf("has a meaning for the answers dns and http only, not for %s", l.Answer))
		return
	}
	items, ok := v.([]any)
	if !ok {
		p.fault(path, subject, v, errors.New(`must be a list such as ["NXDOMAIN"] or ["2xx", "404"]`))
		return
	}
	if l.Answer == AnswerDNS {
		l.RCodes = []RCode{RCodeNoError}
	}
	for i, item := range items {
		if err := l.acceptOne(item); err != nil {
			p.fault(fmt.Sprintf("%s[%d]", path, i), subject, item, err)
		}
	}
}

func (l *Label) acceptOne(item any) error {
	s, err := text(item)
	if err != nil {
		return err
	}
	if l.Answer == AnswerHTTP {
		statuses, err := parseStatusRange(s)
		if err == nil {
			l.Statuses = append(l.Statuses, statuses)
		}
		return err
	}
	code, err := parseRCode(s)
	if err == nil && code != RCodeNoError {
		l.RCodes = append(l.RCodes, code)
	}
	return err
}

func containsFor(answer Answer) func(any) (string, error) {
	return func(v any) (string, error) {
		s, err := text(v)
		if err != nil {
			return "", err
		}
		if answer != AnswerHTTP && s != "" {
			return "", fmt.Errorf("has a meaning for the answer http only, not for %s", answer)
		}
		if len(s) > maxContainsLen {
			return "", fmt.Errorf("must be at most %d bytes", maxContainsLen)
		}
		return s, nil
	}
}
