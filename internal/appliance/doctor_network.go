package appliance

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/config"
)

// networkFindings look at a config's interfaces and routes.
func networkFindings(cfg config.Config) []finding {
	lan, wan := interfaceFinding("gateway.lan", cfg.Gateway.LAN), interfaceFinding("gateway.wan", cfg.Gateway.WAN)
	out := []finding{lan}
	if cfg.Gateway.WAN != cfg.Gateway.LAN {
		out = append(out, wan)
	}
	if lan.Verdict != verdictMissing {
		out = append(out, offloadFinding(cfg.Gateway.LAN))
	}
	if cfg.Gateway.WAN != cfg.Gateway.LAN {
		out = append(out, forwardingFinding("/proc/sys/net/ipv4/ip_forward"))
	}
	if wan.Verdict != verdictMissing {
		out = append(out, natFinding(cfg))
	}
	if len(cfg.Safety.Allow) == 0 {
		out = append(out, warning("safety.allow", "empty: nothing will be injected", "list the test servers' networks"))
	}
	for _, prefix := range cfg.Safety.Allow {
		out = append(out, routeFinding(prefix, cfg.Gateway.WAN))
	}
	return out
}

func interfaceFinding(key, name string) finding {
	what := key + " " + name
	link, err := netlink.LinkByName(name)
	if _, gone := errors.AsType[netlink.LinkNotFoundError](err); gone {
		return missing(what, "no such interface", `"ip link" lists those that there are; name one in `+key)
	}
	if err != nil {
		return missing(what, err.Error(), `see "ip link show `+name+`"`)
	}
	a := link.Attrs()
	switch {
	case a.EncapType != "ether":
		return missing(what, "carries no Ethernet frames, but "+a.EncapType, "the appliance works on Ethernet interfaces only")
	case a.Flags&net.FlagUp == 0:
		return missing(what, "is down", "ip link set "+name+" up")
	case a.OperState == netlink.OperDown || a.OperState == netlink.OperLowerLayerDown:
		return warning(what, "is up, but has no carrier", "is its cable plugged in, and the other end up?")
	}
	return good(what, "up, MTU %d", a.MTU)
}

// merging are the offloads, by the kernel's names, that make one frame of
// several before the capture sees them.
func merging() []string { return []string{"rx-gro", "rx-lro", "rx-gro-hw"} }

// offloadFinding looks for offloads that would spoil what is captured.
func offloadFinding(name string) finding {
	tool, err := ethtool.NewEthtool()
	if err != nil {
		return warning("offloads of "+name, err.Error(), "check them with: ethtool -k "+name)
	}
	defer tool.Close()
	features, err := tool.Features(name)
	if err != nil {
		return warning("offloads of "+name, err.Error(), "check them with: ethtool -k "+name)
	}
	return judgeOffloads(name, features)
}

func judgeOffloads(name string, features map[string]bool) finding {
	var on []string
	for _, feature := range merging() {
		if features[feature] {
			on = append(on, feature)
		}
	}
	if len(on) > 0 {
		return warning("offloads of "+name, strings.Join(on, ", ")+" on: segments are merged before they are captured, and those longer than 2,048 bytes are left out",
			"ethtool -K "+name+" gro off lro off")
	}
	return good("offloads of "+name, "frames are captured as they were on the wire")
}

// natFinding says how packets would leave.
func natFinding(cfg config.Config) finding {
	switch cfg.Gateway.NAT {
	case config.NATNone:
		return good("NAT", "none, the config says")
	case config.NATMasquerade:
		return good("NAT", "masquerading, the config says")
	}
	rule, err := masqueradingRule(cfg.Gateway.WAN)
	switch {
	case err != nil:
		return warning("NAT", err.Error(), `say gateway.nat = "none" or "masquerade" in the config`)
	case rule != "":
		return good("NAT", "masquerading: %s", rule)
	}
	return good("NAT", "no masquerading rule: packets are routed")
}

// forwardingFinding warns of a gateway that does not route.
func forwardingFinding(path string) finding {
	text, err := os.ReadFile(path)
	if err != nil {
		return warning("forwarding", err.Error(), "is /proc mounted?")
	}
	if strings.TrimSpace(string(text)) != "1" {
		return warning("forwarding", "net.ipv4.ip_forward is off: this machine routes nothing for its clients", "sysctl -w net.ipv4.ip_forward=1, unless something else carries their packets")
	}
	return good("forwarding", "on")
}

// routeFinding asks the kernel for the way to a network's first host.
func routeFinding(prefix netip.Prefix, wan string) finding {
	what := "route to " + prefix.String()
	host := prefix.Addr()
	if !prefix.IsSingleIP() {
		host = host.Next()
	}
	add := fmt.Sprintf("ip route add %s dev %s, or via a router behind it", prefix, wan)
	routes, err := netlink.RouteGet(host.AsSlice())
	switch {
	case errors.Is(err, unix.ENETUNREACH) || err == nil && len(routes) == 0:
		return missing(what, "none", add)
	case err != nil:
		return missing(what, err.Error(), add)
	}
	link, err := netlink.LinkByIndex(routes[0].LinkIndex)
	if err != nil {
		return missing(what, err.Error(), add)
	}
	name := link.Attrs().Name
	switch {
	case routes[0].Type == unix.RTN_LOCAL && !prefix.IsSingleIP():
		return good(what, "its first address, %s, is this machine's own", host)
	case routes[0].Type == unix.RTN_LOCAL:
		return missing(what, "it is this machine's own address", "allow the test servers' addresses")
	case name != wan:
		return missing(what, fmt.Sprintf("leads through %s, not gateway.wan %s", name, wan), "packets for it would fail: name "+name+" as gateway.wan, or change the route")
	case routes[0].Gw != nil:
		return good(what, "through %s by %s", name, routes[0].Gw)
	}
	return good(what, "through %s", name)
}
