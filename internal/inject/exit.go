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

// ownSource are addresses that packets get as their source; one that is not
// valid stands for none.
type ownSource struct {
	v4, v6 netip.Addr
}

// ownSource are the wire's own addresses, where packets shall have them.
func (o *Options) ownSource(wire *net.Interface) (ownSource, error) {
	var own ownSource
	if !o.OwnSource {
		return own, nil
	}
	if o.Behind != "" {
		return own, errors.New("packets with the interface's own address do not come from the clients' side: no masquerading then")
	}
	addrs, err := wire.Addrs()
	if err != nil {
		return own, fmt.Errorf("interface %s: read addresses: %w", wire.Name, err)
	}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		switch {
		case err != nil || !p.Addr().IsGlobalUnicast():
		case p.Addr().Is4() && !own.v4.IsValid():
			own.v4 = p.Addr()
		case p.Addr().Is6() && !own.v6.IsValid():
			own.v6 = p.Addr()
		}
	}
	if !own.v4.IsValid() && !own.v6.IsValid() {
		return own, fmt.Errorf("interface %q has no address that packets could have as their source: give it one", wire.Name)
	}
	return own, nil
}

// readdress gives a packet the appliance's own source, where it shall have
// that; checksums are repaired afterwards. It reports whether it did.
func (in *Injector) readdress(ip []byte) bool {
	switch {
	case in.own.v4.IsValid() && len(ip) >= 20 && ip[0]>>4 == 4:
		copy(ip[12:16], in.own.v4.AsSlice())
	case in.own.v6.IsValid() && len(ip) >= 40 && ip[0]>>4 == 6:
		copy(ip[8:24], in.own.v6.AsSlice())
	default:
		return false
	}
	return true
}

// resized takes up another MTU of the wire. More than at first does not pass
// the cable, which was made for that.
func (in *Injector) resized(mtu int) { in.mtu.Store(int64(min(mtu, in.wire.MTU))) }
