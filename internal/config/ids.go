package config

import (
	"errors"
	"fmt"
	"time"
)

// IDS is a sensor whose log is scored while it runs.
type IDS struct {
	Name    string // as a label's
	Kind    IDSKind
	Path    string        // of its log, absolute
	Silence time.Duration // after which a sensor or a rule that ought to say something is missed
}

// IDSKind names a program that writes logs.
type IDSKind string

// The values of ids.kind.
const (
	IDSSuricata IDSKind = "suricata" // EVE JSON
	IDSZeek     IDSKind = "zeek"     // notice.log
	IDSSnort    IDSKind = "snort"    // alert_json
)

// MaxIDS bounds the sensors: each is a file that is followed, and metrics.
const MaxIDS = 8

const (
	defaultSilence = 30 * time.Second
	minSilence     = 5 * time.Second
	maxSilence     = 24 * time.Hour
)

func (p *parser) sensors(raws []rawIDS) {
	if len(raws) > MaxIDS {
		p.faultAt(p.pos.at(fmt.Sprintf("ids[%d]", MaxIDS)), "%d [[ids]]: at most %d are possible", len(raws), MaxIDS)
		return
	}
	if len(raws) > 0 && !p.config.Truth.Enabled {
		p.faultAt(p.pos.at("ids[0]"), "[[ids]]: needs truth.enabled = true, which alerts are joined with")
	}
	seen := map[string]int{} // name -> line
	for i, r := range raws {
		path := fmt.Sprintf("ids[%d]", i)
		one := IDS{Silence: defaultSilence}
		subject := fmt.Sprintf("ids %d", i+1)
		if name, ok := r.Name.(string); ok && name != "" {
			subject = fmt.Sprintf("ids %q", name)
		}
		if r.Name == nil {
			p.missing(path, subject+`: name is missing: 1 to 32 of a-z, 0-9 and "-"`)
		}
		if r.Kind == nil {
			p.missing(path, subject+": kind is missing: suricata, zeek or snort")
		}
		if r.Path == nil {
			p.missing(path, subject+`: path is missing: the log, such as "/var/log/suricata/eve.json"`)
		}
		set(p, path+".name", subject+": name", r.Name, &one.Name, labelName)
		set(p, path+".kind", subject+": kind", r.Kind, &one.Kind, oneOf(IDSSuricata, IDSZeek, IDSSnort))
		set(p, path+".path", subject+": path", r.Path, &one.Path, absolutePath)
		set(p, path+".silence", subject+": silence", r.Silence, &one.Silence, silence)
		line := p.pos.at(path + ".name")
		if first, ok := seen[one.Name]; ok && one.Name != "" {
			p.faultAt(line, "ids %q: the name is taken by line %d", one.Name, first)
		}
		seen[one.Name] = line
		p.config.IDS = append(p.config.IDS, one)
	}
}

func silence(v any) (time.Duration, error) {
	s, _ := v.(string)
	d, err := time.ParseDuration(s)
	if err != nil || d < minSilence || d > maxSilence {
		return 0, errors.New(`must be a time such as "30s" or "10m", from 5s to 24h`)
	}
	return d, nil
}
