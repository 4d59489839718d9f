package config

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/BurntSushi/toml"
)

// Dump writes the configuration in force, defaults included, as TOML that
// parses to the same value.
func (c Config) Dump() ([]byte, error) {
	r := raw{
		Gateway: rawGateway{LAN: c.Gateway.LAN, WAN: c.Gateway.WAN, NAT: string(c.Gateway.NAT)},
		Safety:  rawSafety{Allow: texts(c.Safety.Allow), AllowReserved: texts(c.Safety.AllowReserved), MaxRate: c.Safety.MaxRate},
		Capture: rawCapture{Payload: string(c.Capture.Payload), Retention: ""},
		Train: rawTrain{Schedule: c.Train.Schedule, MinPackets: c.Train.MinPackets, NewPackets: c.Train.NewPackets,
			Recipe: string(c.Train.Recipe), MaxMemory: c.Train.MaxMemory.String(), MaxMemorised: c.Train.MaxMemorised, RenewSecrets: c.Train.RenewSecrets},
		Inject: rawInject{Rate: c.Inject.Rate.raw(), Source: string(c.Inject.Source), SourceAddress: string(c.Inject.SourceAddress),
			Engine: string(c.Inject.Engine), Timeout: c.Inject.Timeout.String()},
		State: rawState{Dir: c.State.Dir, MaxBytes: c.State.MaxBytes.String()},
		Truth: rawTruth{Enabled: c.Truth.Enabled, Dir: c.Truth.Dir, MaxBytes: c.Truth.MaxBytes.String(), Packets: c.Truth.Packets},
		Web:   rawWeb{Listen: ""},
		Fleet: rawFleet{URL: c.Fleet.URL, Name: c.Fleet.Name, Key: c.Fleet.Key, Hub: c.Fleet.Hub, CA: c.Fleet.CA, Trust: slices.Concat([]string{}, c.Fleet.Trust), Train: string(c.Fleet.Train)},
		Log:   rawLog{Level: string(c.Log.Level)},
	}
	if c.Capture.Retention > 0 {
		r.Capture.Retention = c.Capture.Retention.String()
	}
	if c.Web.Listen.IsValid() {
		r.Web.Listen = c.Web.Listen.String()
	}
	for _, l := range c.Labels {
		r.Label = append(r.Label, l.raw())
	}
	for _, i := range c.IDS {
		r.IDS = append(r.IDS, rawIDS{Name: i.Name, Kind: string(i.Kind), Path: i.Path, Silence: i.Silence.String()})
	}
	var out bytes.Buffer
	encoder := toml.NewEncoder(&out)
	encoder.Indent = ""
	if err := encoder.Encode(r); err != nil {
		return nil, fmt.Errorf("write config: %w", err)
	}
	return out.Bytes(), nil
}

func (r Rate) raw() any {
	if r.Learned {
		return "learned"
	}
	return r.PerSecond
}

func (l Label) raw() rawLabel {
	r := rawLabel{Name: l.Name, Filter: l.Filter, Answer: string(l.Answer), Malicious: l.Malicious, Share: l.Share}
	switch l.Answer {
	case AnswerDNS:
		r.Accept = texts(l.RCodes)
	case AnswerHTTP:
		r.Accept = texts(l.Statuses)
		r.Contains = l.Contains
	}
	return r
}

func texts[T fmt.Stringer](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = v.String()
	}
	return out
}
