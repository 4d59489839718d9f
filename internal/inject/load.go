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
	shared := map[string]*ebpf.Map{
		guardMapExpectations: in.options.Maps.Expectations,
		guardMapRules:        in.options.Maps.Rules,
		guardMapHints:        in.options.Maps.Hints,
		guardMapTidings:      in.options.Maps.Tidings,
		guardMapUntold:       in.options.Maps.Untold,
	}
	for name, m := range shared {
		spec.Maps[name].MaxEntries = m.MaxEntries()
	}
	spec.Maps[guardMapPassages].MaxEntries = maxLabels
	set := func(variable string, value any) {
		err = errors.Join(err, spec.Variables[variable].Set(value))
	}
	set(guardVarWireIfindex, uint32(in.exit.index))
	set(guardVarWireFlags, in.exit.flags)
	set(guardVarWireMac, in.exit.mac)
	if in.options.Tell {
		set(guardVarTelling, uint8(1))
	}
	if err != nil {
		return fmt.Errorf("set up guard program: %w", err)
	}
	if err := spec.LoadAndAssign(&in.guard, &ebpf.CollectionOptions{MapReplacements: shared}); err != nil {
		return fmt.Errorf("load guard program: %w", err)
	}
	return in.setLabels(in.options.Labels)
}

// SetLabel changes what a label's packets expect, or adds the next label:
// index is at most the number of labels. The counts under an index stay. Not
// to be called twice at the same time.
func (in *Injector) SetLabel(index int, l Label) error {
	labels := slices.Clone(*in.labels.Load())
	switch {
	case index < 0 || index > len(labels) || index >= maxLabels:
		return fmt.Errorf("inject: label %q: index %d: there are %d labels, and at most %d are possible", l.Name, index, len(labels), maxLabels)
	case index == len(labels):
		labels = append(labels, l)
	default:
		labels[index] = l
	}
	if err := in.setLabels(labels); err != nil {
		return fmt.Errorf("inject: label %q: %w", l.Name, err)
	}
	return nil
}

// setLabels tells the guard how many labels it may let out.
func (in *Injector) setLabels(labels []Label) error {
	if err := in.guard.LabelCount.Set(uint32(len(labels))); err != nil {
		return fmt.Errorf("tell the guard of %d labels: %w", len(labels), err)
	}
	in.labels.Store(&labels)
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
		if !p.IsValid() || p.Addr().Is4In6() {
			return fmt.Errorf("allow-list: prefix %s is neither IPv4 nor IPv6", p)
		}
		p = p.Masked()
		key, version := guardPrefix{Bits: uint32(p.Bits()), Addr: kernelAddr(p.Addr())}, uint8(6)
		if p.Addr().Is4() {
			key.Bits += mappedBits
			version = 4
		}
		if err := list.Put(key, version); err != nil {
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
