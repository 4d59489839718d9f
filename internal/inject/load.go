package inject

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"
)

// load loads the guard with the matcher's maps in place of its own.
func (in *Injector) load() error {
	spec, err := loadGuard()
	if err != nil {
		return fmt.Errorf("read guard program: %w", err)
	}
	labels := uint32(len(in.options.Labels))
	shared := map[string]*ebpf.Map{
		guardMapExpectations: in.options.Maps.Expectations,
		guardMapRules:        in.options.Maps.Rules,
		guardMapHints:        in.options.Maps.Hints,
	}
	for name, m := range shared {
		spec.Maps[name].MaxEntries = m.MaxEntries()
	}
	spec.Maps[guardMapPassages].MaxEntries = labels
	set := func(variable string, value any) {
		err = errors.Join(err, spec.Variables[variable].Set(value))
	}
	set(guardVarWireIfindex, uint32(in.wire.Index))
	set(guardVarWireMac, [6]byte(in.wire.HardwareAddr))
	set(guardVarLabelCount, labels)
	if err != nil {
		return fmt.Errorf("set up guard program: %w", err)
	}
	if err := spec.LoadAndAssign(&in.guard, &ebpf.CollectionOptions{MapReplacements: shared}); err != nil {
		return fmt.Errorf("load guard program: %w", err)
	}
	return nil
}

// maxPrefixes is how many prefixes the guard's list has room for.
const maxPrefixes = 1024

// SetAllow replaces the allow-list as a whole. When it returns, the guard lets
// nothing out for a destination outside prefixes: the kernel waits until no
// program uses the old list.
func (in *Injector) SetAllow(prefixes []netip.Prefix) error {
	if len(prefixes) > maxPrefixes {
		return fmt.Errorf("allow-list of %d prefixes: at most %d are possible", len(prefixes), maxPrefixes)
	}
	spec, err := loadGuard()
	if err != nil {
		return fmt.Errorf("read guard program: %w", err)
	}
	list, err := ebpf.NewMap(spec.Maps[guardMapAllowNone])
	if err != nil {
		return fmt.Errorf("make allow-list: %w", err)
	}
	defer list.Close() // the guard's map holds it
	for _, p := range prefixes {
		if !p.IsValid() || !p.Addr().Is4() {
			return fmt.Errorf("allow-list: prefix %s is not IPv4", p)
		}
		p = p.Masked()
		addr := p.Addr().As4()
		key := guardPrefix{Bits: uint32(p.Bits()), Addr: nativeOrder(addr)}
		if err := list.Put(key, uint8(1)); err != nil {
			return fmt.Errorf("allow-list: prefix %s: %w", p, err)
		}
	}
	if err := in.guard.Allow.Put(uint32(0), list); err != nil {
		return fmt.Errorf("replace allow-list: %w", err)
	}
	copied := slices.Clone(prefixes)
	in.allow.Store(&copied)
	return nil
}

// allowed is the guard's decision, made early: a packet that it will refuse
// needs no next hop. The guard's is the one that counts.
func (in *Injector) allowed(dst netip.Addr) bool {
	for _, p := range *in.allow.Load() {
		if p.Contains(dst) {
			return true
		}
	}
	return false
}
