package inject

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"
)

// maxPrefixes is how many prefixes an allow-list may have. The guard's table
// has room for as many that are refused within them.
const maxPrefixes = 1024

// reservedRule is RESERVED in bpf/guard.c.
const reservedRule = 0x80

// allowList is what may leave, and how it is known.
type allowList struct {
	allow, named []netip.Prefix
	rules        []destination
}

// SetAllow replaces the allow-list as a whole: generated packets go to allow's
// prefixes, and to what is reserved among them (Reserved, this machine's own
// addresses and the networks of interfaces that are not under test) only
// where named holds it. When it returns, the guard lets nothing out for
// another destination: the kernel waits until no program uses the old list.
func (in *Injector) SetAllow(allow, named []netip.Prefix) error {
	if len(allow) > maxPrefixes {
		return fmt.Errorf("allow-list of %d prefixes: at most %d are possible", len(allow), maxPrefixes)
	}
	for _, p := range slices.Concat(allow, named) {
		if !p.IsValid() || p.Addr().Is4In6() {
			return fmt.Errorf("allow-list: prefix %s is neither IPv4 nor IPv6", p)
		}
	}
	in.allowing.Lock()
	defer in.allowing.Unlock()
	around, err := in.surroundings()
	if err != nil {
		return fmt.Errorf("allow-list: %w", err)
	}
	return in.setDestinationsLocked(&allowList{slices.Clone(allow), slices.Clone(named), around.destinations(allow, named)})
}

// moved takes up that this machine has other addresses. While they
// cannot be read nothing leaves.
func (in *Injector) moved() {
	in.allowing.Lock()
	defer in.allowing.Unlock()
	now := *in.allow.Load()
	around, err := in.surroundings()
	if err == nil {
		next := around.destinations(now.allow, now.named)
		if !slices.Equal(next, now.rules) {
			err = in.setDestinationsLocked(&allowList{now.allow, now.named, next})
		}
	}
	if err != nil {
		err = fmt.Errorf("inject: %w", err)
	}
	_ = in.gate.fail(err) // shut or not, nothing is sent while err lasts
}

// setDestinationsLocked gives the guard a new list.
func (in *Injector) setDestinationsLocked(l *allowList) error {
	spec, err := loadGuard()
	if err != nil {
		return fmt.Errorf("read guard program: %w", err)
	}
	list, err := ebpf.NewMap(spec.Maps[guardMapAllowNone])
	if err != nil {
		return fmt.Errorf("make allow-list: %w", err)
	}
	defer list.Close() // the guard's map holds it
	for _, d := range l.rules {
		key, rule := guardPrefix{Bits: uint32(d.prefix.Bits()), Addr: kernelAddr(d.prefix.Addr())}, uint8(6)
		if d.prefix.Addr().Is4() {
			key.Bits += mappedBits
			rule = 4
		}
		if !d.allowed {
			rule |= reservedRule
		}
		if err := list.Put(key, rule); err != nil {
			return fmt.Errorf("allow-list: prefix %s: %w", d.prefix, err)
		}
	}
	if err := in.guard.Allow.Put(uint32(0), list); err != nil {
		return fmt.Errorf("replace allow-list: %w", err)
	}
	in.allow.Store(l)
	return nil
}

// allowed is the guard's decision, made early: a packet that it will refuse
// needs no next hop. The guard's is the one that counts.
func (in *Injector) allowed(dst netip.Addr) bool { return permits(in.allow.Load().rules, dst) }

// Refused are the prefixes within the allow-list that are refused all the
// same: reserved, and not named.
func (in *Injector) Refused() []netip.Prefix {
	var out []netip.Prefix
	for _, d := range in.allow.Load().rules {
		if !d.allowed {
			out = append(out, d.prefix)
		}
	}
	return out
}
