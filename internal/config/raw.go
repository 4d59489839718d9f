package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// raw is the file's shape. Leaves are any, so that a value of the wrong type
// is one fault among others and not the end of decoding; nil means not given.
type raw struct {
	Gateway rawGateway `toml:"gateway"`
	Safety  rawSafety  `toml:"safety"`
	Capture rawCapture `toml:"capture"`
	Label   []rawLabel `toml:"label"`
	Train   rawTrain   `toml:"train"`
	Inject  rawInject  `toml:"inject"`
	State   rawState   `toml:"state"`
	Truth   rawTruth   `toml:"truth"`
	Web     rawWeb     `toml:"web"`
	IDS     []rawIDS   `toml:"ids"`
	Fleet   rawFleet   `toml:"fleet"`
	Log     rawLog     `toml:"log"`
}

type rawGateway struct {
	LAN any `toml:"lan"`
	WAN any `toml:"wan"`
	NAT any `toml:"nat"`
}

type rawSafety struct {
	Allow         any `toml:"allow"`
	AllowReserved any `toml:"allow_reserved"`
	MaxRate       any `toml:"max_rate"`
}

type rawCapture struct {
	Payload   any `toml:"payload"`
	Retention any `toml:"retention"`
}

type rawLabel struct {
	Name      any `toml:"name"`
	Filter    any `toml:"filter"`
	Answer    any `toml:"answer"`
	Accept    any `toml:"accept"`
	Contains  any `toml:"contains"`
	Malicious any `toml:"malicious"`
	Share     any `toml:"share"`
}

type rawTrain struct {
	Schedule     any `toml:"schedule"`
	MinPackets   any `toml:"min_packets"`
	NewPackets   any `toml:"new_packets"`
	Recipe       any `toml:"recipe"`
	MaxMemory    any `toml:"max_memory"`
	MaxMemorised any `toml:"max_memorised"`
	RenewSecrets any `toml:"renew_secrets"`
}

type rawInject struct {
	Rate          any `toml:"rate"`
	Source        any `toml:"source"`
	SourceAddress any `toml:"source_address"`
	Engine        any `toml:"engine"`
	Timeout       any `toml:"timeout"`
}

type rawState struct {
	Dir      any `toml:"dir"`
	MaxBytes any `toml:"max_bytes"`
}

type rawTruth struct {
	Enabled  any `toml:"enabled"`
	Dir      any `toml:"dir"`
	MaxBytes any `toml:"max_bytes"`
	Packets  any `toml:"packets"`
}

type rawWeb struct {
	Listen any `toml:"listen"`
}

type rawLog struct {
	Level any `toml:"level"`
}

type rawIDS struct {
	Name    any `toml:"name"`
	Kind    any `toml:"kind"`
	Path    any `toml:"path"`
	Silence any `toml:"silence"`
}

type rawFleet struct {
	URL   any `toml:"url"`
	Name  any `toml:"name"`
	Key   any `toml:"key"`
	Hub   any `toml:"hub"`
	CA    any `toml:"ca"`
	Trust any `toml:"trust"`
	Train any `toml:"train"`
}

// decode reads data strictly: what raw has no place for is a fault.
func (p *parser) decode(data string) (raw, bool) {
	sections := map[string]any{}
	if _, err := toml.Decode(data, &sections); err != nil {
		p.syntax(err)
		return raw{}, false
	}
	p.pos = locate(data)
	if !p.shape(sections) {
		return raw{}, false
	}
	var r raw
	meta, err := toml.Decode(data, &r)
	if err != nil {
		p.syntax(err)
		return raw{}, false
	}
	p.unknown(meta.Undecoded())
	return r, true
}

// shape checks that sections are tables, and those of which there may be
// several tables of an array.
func (p *parser) shape(sections map[string]any) bool {
	right := true
	for _, name := range known("") {
		value, ok := sections[name]
		if !ok {
			continue
		}
		_, isTable := value.(map[string]any)
		if isTable && !several(name) || isTables(value) && several(name) {
			continue
		}
		p.faultAt(p.pos.at(name), "%s %s: must be a section, %s", name, show(value), header(name))
		right = false
	}
	return right
}

// several says of which section a file may have several.
func several(name string) bool { return name == "label" || name == "ids" }

// isTables tells [[name]] tables, or a list of inline ones.
func isTables(value any) bool {
	if _, ok := value.([]map[string]any); ok {
		return true
	}
	items, ok := value.([]any)
	return ok && !slices.ContainsFunc(items, func(item any) bool {
		_, isTable := item.(map[string]any)
		return !isTable
	})
}

func (p *parser) syntax(err error) {
	var parse toml.ParseError
	if !errors.As(err, &parse) {
		p.faultAt(1, "%v", err)
		return
	}
	text := parse.Message
	if parse.LastKey != "" {
		text = fmt.Sprintf("%s: %s", parse.LastKey, text)
	}
	p.faultAt(max(1, parse.Position.Line), "%s", strings.ReplaceAll(text, "\n", " "))
}

// unknown reports keys that no section has, but not what lies below them.
func (p *parser) unknown(undecoded []toml.Key) {
	names := map[string]bool{}
	for _, key := range undecoded {
		names[key.String()] = true
	}
	for _, path := range p.pos.paths {
		parent, key := split(path)
		if names[withoutIndexes(path)] && !names[withoutIndexes(parent)] {
			p.faultAt(p.pos.at(path), "%s", unknownKey(parent, key))
		}
	}
}

// known lists the keys of one of raw's tables, "" for the sections themselves.
func known(table string) []string {
	t := reflect.TypeFor[raw]()
	if table != "" {
		field, ok := t.FieldByNameFunc(func(name string) bool {
			f, _ := t.FieldByName(name)
			return f.Tag.Get("toml") == table
		})
		if !ok {
			return nil
		}
		t = field.Type
		if t.Kind() == reflect.Slice {
			t = t.Elem()
		}
	}
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i] = t.Field(i).Tag.Get("toml")
	}
	return keys
}

func unknownKey(parent, key string) string {
	table := withoutIndexes(parent)
	keys := known(table)
	switch {
	case table == "":
		return fmt.Sprintf("unknown section %q: known are %s", key, strings.Join(keys, ", "))
	case slices.Contains(known(""), table):
		return fmt.Sprintf("unknown key %q in %s: known are %s", key, header(table), strings.Join(keys, ", "))
	}
	return fmt.Sprintf("unknown key %q: %s is a value, not a section", key, parent)
}

// header is a section's name as the file writes it.
func header(table string) string {
	if several(table) {
		return "[[" + table + "]]"
	}
	return "[" + table + "]"
}

// split cuts a path before its last key.
func split(path string) (parent, key string) {
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}

// withoutIndexes turns `label[1].name` into `label.name`, toml's name for it.
func withoutIndexes(path string) string {
	for {
		open := strings.IndexByte(path, '[')
		if open < 0 {
			return path
		}
		end := strings.IndexByte(path[open:], ']')
		if end < 0 {
			return path
		}
		path = path[:open] + path[open+end+1:]
	}
}
