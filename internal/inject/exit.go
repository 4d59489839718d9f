package inject

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// redirectIngress is BPF_F_INGRESS of bpf_redirect.
const redirectIngress = 1

// exit is where the guard sends frames.
type exit struct {
	index int      // of the interface
	flags uint32   // of bpf_redirect
	mac   [6]byte  // the frames' source
	hop   *[6]byte // where all frames go; nil: to the next hop of their destination
}

// exit is the wire itself, or the way in from the clients' side, from where
// the kernel routes and masquerades packets as it does the clients'.
func (o *Options) exit(wire *net.Interface) (exit, error) {
	if o.Behind == "" {
		return exit{index: wire.Index, mac: [6]byte(wire.HardwareAddr)}, nil
	}
	lan, err := wireInterface(o.Behind)
	if err != nil {
		return exit{}, err
	}
	mac := [6]byte(lan.HardwareAddr)
	return exit{index: lan.Index, flags: redirectIngress, mac: mac, hop: &mac}, nil
}

// ownSource is the wire's own address, where packets shall have it.
func (o *Options) ownSource(wire *net.Interface) (netip.Addr, error) {
	if !o.OwnSource {
		return netip.Addr{}, nil
	}
	if o.Behind != "" {
		return netip.Addr{}, errors.New("packets with the interface's own address do not come from the clients' side: no masquerading then")
	}
	addrs, err := wire.Addrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("interface %s: read addresses: %w", wire.Name, err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && p.Addr().IsGlobalUnicast() {
			return p.Addr(), nil
		}
	}
	return netip.Addr{}, fmt.Errorf("interface %q has no IPv4 address that packets could have as their source: give it one", wire.Name)
}

// readdress gives a packet the appliance's own source, where it shall have
// that; checksums are repaired afterwards. It reports whether it did.
func (in *Injector) readdress(ip []byte) bool {
	if !in.own.IsValid() || len(ip) < 20 || ip[0]>>4 != 4 {
		return false
	}
	source := in.own.As4()
	copy(ip[12:16], source[:])
	return true
}
