package appliance

import (
	"fmt"
	"reflect"
	"strings"

	"pacgan-appliance/internal/config"
)

// setting is a part of the config that is in force as a whole. A live one can
// change in a running daemon.
type setting struct {
	key  string
	live bool
	of   func(config.Config) any
}

// settings are all there are: a test holds them against config.Config.
func settings() []setting {
	return []setting{
		{"gateway.lan", false, func(c config.Config) any { return c.Gateway.LAN }},
		{"gateway.wan", false, func(c config.Config) any { return c.Gateway.WAN }},
		{"gateway.nat", false, func(c config.Config) any { return c.Gateway.NAT }},
		{"safety.allow", true, func(c config.Config) any { return texts(c.Safety.Allow) }},
		{"safety.allow_reserved", true, func(c config.Config) any { return texts(c.Safety.AllowReserved) }},
		{"safety.max_rate", true, func(c config.Config) any { return c.Safety.MaxRate }},
		{"capture.payload", true, func(c config.Config) any { return c.Capture.Payload }},
		{"capture.retention", true, func(c config.Config) any { return c.Capture.Retention }},
		{"label", true, func(c config.Config) any { return c.Labels }},
		{"train.schedule", true, func(c config.Config) any { return c.Train.Schedule }},
		{"train.min_packets", true, func(c config.Config) any { return c.Train.MinPackets }},
		{"train.new_packets", true, func(c config.Config) any { return c.Train.NewPackets }},
		{"train.recipe", true, func(c config.Config) any { return c.Train.Recipe }},
		{"train.max_memory", true, func(c config.Config) any { return c.Train.MaxMemory }},
		{"train.max_memorised", true, func(c config.Config) any { return c.Train.MaxMemorised }},
		{"train.renew_secrets", true, func(c config.Config) any { return c.Train.RenewSecrets }},
		{"inject.rate", true, func(c config.Config) any { return c.Inject.Rate }},
		{"inject.source", false, func(c config.Config) any { return c.Inject.Source }},
		{"inject.source_address", false, func(c config.Config) any { return c.Inject.SourceAddress }},
		{"inject.engine", false, func(c config.Config) any { return c.Inject.Engine }},
		{"inject.timeout", false, func(c config.Config) any { return c.Inject.Timeout }},
		{"state.dir", false, func(c config.Config) any { return c.State.Dir }},
		{"state.max_bytes", true, func(c config.Config) any { return c.State.MaxBytes }},
		{"truth.enabled", false, func(c config.Config) any { return c.Truth.Enabled }},
		{"truth.dir", false, func(c config.Config) any { return c.Truth.Dir }},
		{"truth.max_bytes", false, func(c config.Config) any { return c.Truth.MaxBytes }},
		{"truth.packets", false, func(c config.Config) any { return c.Truth.Packets }},
		{"web.listen", false, func(c config.Config) any { return c.Web.Listen }},
		{"ids", false, func(c config.Config) any { return c.IDS }},
		{"fleet", false, func(c config.Config) any { return c.Fleet }},
		{"log.level", true, func(c config.Config) any { return c.Log.Level }},
	}
}

// texts are values as the config writes them: an empty list and none are one.
func texts[T fmt.Stringer](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = v.String()
	}
	return out
}

// changes are the keys that differ: those that a running daemon can take up,
// and those that it cannot.
func changes(from, to config.Config) (live, restart []string) {
	for _, s := range settings() {
		switch {
		case reflect.DeepEqual(s.of(from), s.of(to)):
		case s.key == "label":
			live = append(live, labelChanges(from.Labels, to.Labels)...)
		case s.live:
			live = append(live, s.key)
		default:
			restart = append(restart, s.key)
		}
	}
	return live, restart
}

// labelChanges name each label that differs, and in what.
func labelChanges(from, to []config.Label) []string {
	var out []string
	say := func(name, what string) { out = append(out, fmt.Sprintf("label %s (%s)", name, what)) }
	old := map[string]config.Label{}
	for _, l := range from {
		old[l.Name] = l
	}
	for _, l := range to {
		was, ok := old[l.Name]
		delete(old, l.Name)
		if !ok {
			say(l.Name, "added")
			continue
		}
		if what := labelChange(was, l); what != "" {
			say(l.Name, what)
		}
	}
	for _, l := range from {
		if _, ok := old[l.Name]; ok {
			say(l.Name, "removed")
		}
	}
	if len(out) == 0 {
		out = append(out, "label (order)")
	}
	return out
}

// labelChange names the keys in which two labels of one name differ.
func labelChange(a, b config.Label) string {
	var keys []string
	differ := func(key string, same bool) {
		if !same {
			keys = append(keys, key)
		}
	}
	differ("filter", a.Filter == b.Filter)
	differ("answer", a.Answer == b.Answer)
	differ("accept", reflect.DeepEqual(a.RCodes, b.RCodes) && reflect.DeepEqual(a.Statuses, b.Statuses))
	differ("contains", a.Contains == b.Contains)
	differ("malicious", a.Malicious == b.Malicious)
	differ("share", a.Share == b.Share)
	return strings.Join(keys, ", ")
}
