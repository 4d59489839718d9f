package appliance

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"

	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/packet"
	"pacgan-appliance/internal/truth"
	"pacgan-appliance/internal/wholefile"
)

// defaultTruth is where a daemon of the shipped config keeps its record.
const defaultTruth = "/var/lib/pacgan-appliance/truth"

// regenerate writes the packet of a truth record, made again from its model,
// seed and index: byte for byte the one that was injected.
func (p *Program) regenerate(o generateOptions) error {
	uuid, err := truth.ParseUUID(o.uuid)
	if err != nil {
		return usagef("generate: --uuid: %v", err)
	}
	r, err := truth.Find(o.truth, uuid)
	if err != nil {
		return err
	}
	if r.Pacgan.Source != truth.SourceModel {
		return fmt.Errorf("generate: %s is a captured packet, which no model makes again: it is in the .pcapng beside its record", uuid)
	}
	dir := o.model
	if dir == "" { // the state directory has both
		dir = filepath.Join(filepath.Dir(filepath.Clean(o.truth)), modelsDir, r.Pacgan.Model)
	}
	m, manifest, err := model.Load(dir)
	if err != nil {
		return err
	}
	if manifest.GeneratorSHA256 != r.Pacgan.ModelHash {
		return fmt.Errorf("generate: %s is not the model of %s, which was %s: name that with --model", dir, uuid, r.Pacgan.Model)
	}
	ip, err := p.drawAgain(m, r)
	if err != nil {
		return err
	}
	return wholefile.Write(o.out, 0o644, func(w io.Writer) error { return truth.WritePacket(w, r, ip) })
}

// drawAgain draws a record's packet, and those before it.
func (p *Program) drawAgain(m *model.Model, r *truth.Record) ([]byte, error) {
	sampler, err := m.NewSampler(r.Pacgan.Label, r.Pacgan.Seed)
	if err != nil {
		return nil, fmt.Errorf("generate: %w", err)
	}
	count := int(r.Pacgan.Index) + 1
	ph := p.startPhase("generate "+r.Pacgan.Label, count)
	var ip []byte
	for n := range count {
		if ip, err = sampler.Next(ip[:0]); err != nil {
			return nil, fmt.Errorf("generate %s: %w", r.Pacgan.Label, err)
		}
		ph.set(n+1, "")
	}
	ph.end("the last of them is " + r.UUID.String())
	readdress(ip, r.SrcIP)
	var framing *packet.FramingError
	if err := packet.RepairChecksums(ip); err != nil && !errors.As(err, &framing) {
		return nil, err
	}
	return ip, nil
}

// readdress gives a packet the source that it was sent from: its own, but where
// inject.source_address is that of the interface.
func readdress(ip []byte, src netip.Addr) {
	switch {
	case src.Is4() && len(ip) >= 20 && ip[0]>>4 == 4:
		copy(ip[12:16], src.AsSlice())
	case src.Is6() && len(ip) >= 40 && ip[0]>>4 == 6:
		copy(ip[8:24], src.AsSlice())
	}
}
