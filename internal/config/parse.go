package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Loader reads configurations. The zero Loader checks all that can be checked
// without help.
type Loader struct {
	// CheckFilter, if given, says what is wrong with a label's filter; its
	// error becomes a fault with the filter's line.
	CheckFilter func(filter string) error
	// HostName, if given, is the default of fleet.name.
	HostName func() (string, error)
}

// Load reads and checks the file at path. The error is a Faults unless the
// file cannot be read.
func Load(path string) (Config, error) { return Loader{}.Load(path) }

// Parse checks data; name stands for the file in faults. The error is a Faults.
func Parse(name string, data []byte) (Config, error) { return Loader{}.Parse(name, data) }

// Load is like the package's Load, with the Loader's checks.
func (l Loader) Load(path string) (Config, error) {
	data, err := readFile(path)
	if err != nil {
		return Config{}, err
	}
	return l.Parse(path, data)
}

func readFile(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		reason := err
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			reason = pathErr.Err
		}
		return nil, fmt.Errorf("config %s: %w", path, reason)
	}
	return data, nil
}

// Parse is like the package's Parse, with the Loader's checks.
func (l Loader) Parse(name string, data []byte) (Config, error) {
	p := parser{file: name, Loader: l, config: Default()}
	if r, ok := p.decode(string(data)); ok {
		p.read(r)
	}
	if len(p.faults) > 0 {
		return Config{}, p.faults.sorted()
	}
	return p.config, nil
}

// parser turns one raw into a Config, collecting faults.
type parser struct {
	Loader
	file   string
	pos    positions
	config Config
	faults Faults
}

func (p *parser) faultAt(line int, format string, args ...any) {
	p.faults = append(p.faults, Fault{File: p.file, Line: line, Text: fmt.Sprintf(format, args...)})
}

// fault reports a bad value: "gateway.nat "maybe": must be ...".
func (p *parser) fault(path, subject string, value any, err error) {
	p.faultAt(p.pos.at(path), "%s %s: %v", subject, show(value), err)
}

// missing reports a key that has no default.
func (p *parser) missing(section, what string) {
	p.faultAt(p.pos.at(section), "%s", what)
}

// set parses v into *to; a nil v leaves *to as it is.
func set[T any](p *parser, path, subject string, v any, to *T, parse func(any) (T, error)) {
	if v == nil {
		return
	}
	value, err := parse(v)
	if err != nil {
		p.fault(path, subject, v, err)
		return
	}
	*to = value
}

// setKey is set for a key of a section, whose subject is its path.
func setKey[T any](p *parser, path string, v any, to *T, parse func(any) (T, error)) {
	set(p, path, path, v, to, parse)
}

func (p *parser) read(r raw) {
	p.gateway(r.Gateway)
	c := &p.config
	p.safety(r.Safety)
	setKey(p, "capture.payload", r.Capture.Payload, &c.Capture.Payload, oneOf(PayloadKeep, PayloadTruncate, PayloadHash))
	setKey(p, "capture.retention", r.Capture.Retention, &c.Capture.Retention, retention)
	p.labels(r.Label)
	p.train(r.Train)
	p.inject(r.Inject)
	setKey(p, "state.dir", r.State.Dir, &c.State.Dir, absolutePath)
	setKey(p, "state.max_bytes", r.State.MaxBytes, &c.State.MaxBytes, atLeast(MinStateBytes))
	setKey(p, "truth.enabled", r.Truth.Enabled, &c.Truth.Enabled, boolean)
	setKey(p, "truth.dir", r.Truth.Dir, &c.Truth.Dir, optionalPath)
	setKey(p, "truth.max_bytes", r.Truth.MaxBytes, &c.Truth.MaxBytes, atLeast(MinTruthBytes))
	setKey(p, "truth.packets", r.Truth.Packets, &c.Truth.Packets, boolean)
	setKey(p, "web.listen", r.Web.Listen, &c.Web.Listen, listen)
	p.sensors(r.IDS)
	p.fleet(r.Fleet)
	setKey(p, "log.level", r.Log.Level, &c.Log.Level, oneOf(LogDebug, LogInfo, LogWarn, LogError))
	p.rateWithinBound()
}

// rateWithinBound is of two sections, either of which may be wrong.
func (p *parser) rateWithinBound() {
	if rate, most := p.config.Inject.Rate.PerSecond, p.config.Safety.MaxRate; rate > most {
		p.faultAt(p.pos.at("inject.rate"), "inject.rate %v: above safety.max_rate %v", rate, most)
	}
}

func (p *parser) gateway(r rawGateway) {
	g := &p.config.Gateway
	if r.LAN == nil {
		p.missing("gateway", `gateway.lan is missing: the interface on the clients' side, such as "lan0"`)
	}
	if r.WAN == nil {
		p.missing("gateway", `gateway.wan is missing: the interface on the test servers' side, such as "wan0"`)
	}
	setKey(p, "gateway.lan", r.LAN, &g.LAN, interfaceName)
	setKey(p, "gateway.wan", r.WAN, &g.WAN, interfaceName)
	setKey(p, "gateway.nat", r.NAT, &g.NAT, oneOf(NATAuto, NATNone, NATMasquerade))
}

func (p *parser) train(r rawTrain) {
	t := &p.config.Train
	setKey(p, "train.schedule", r.Schedule, &t.Schedule, schedule)
	setKey(p, "train.min_packets", r.MinPackets, &t.MinPackets, minPackets)
	setKey(p, "train.new_packets", r.NewPackets, &t.NewPackets, newPackets)
	setKey(p, "train.recipe", r.Recipe, &t.Recipe, oneOf(RecipeGAN, RecipePaper, RecipeTree))
	setKey(p, "train.max_memory", r.MaxMemory, &t.MaxMemory, atLeast(MinTrainMemory))
	setKey(p, "train.max_memorised", r.MaxMemorised, &t.MaxMemorised, fraction)
	setKey(p, "train.renew_secrets", r.RenewSecrets, &t.RenewSecrets, boolean)
}

func (p *parser) inject(r rawInject) {
	i := &p.config.Inject
	setKey(p, "inject.rate", r.Rate, &i.Rate, rate)
	setKey(p, "inject.source", r.Source, &i.Source, oneOf(SourceModel, SourceCapture))
	setKey(p, "inject.source_address", r.SourceAddress, &i.SourceAddress,
		oneOf(SourceAddressAuto, SourceAddressPacket, SourceAddressInterface))
	setKey(p, "inject.engine", r.Engine, &i.Engine, oneOf(EngineAuto, EngineSendmmsg, EngineXDP))
	setKey(p, "inject.timeout", r.Timeout, &i.Timeout, timeout)
}
