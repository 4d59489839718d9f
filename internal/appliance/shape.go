package appliance

import (
	"fmt"
	"log/slog"
	"net"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/gateway"
)

// shape is how packets leave this gateway and where their replies come by.
type shape struct {
	replies   string // interface
	behind    string // where packets enter, behind which the kernel masquerades them; "": it does not
	ownSource bool   // packets get the WAN interface's address
}

// shapeOf decides it, and says in the log what it has found out by itself.
func shapeOf(cfg config.Config) (shape, error) {
	log := slog.With("component", "gateway")
	g := cfg.Gateway
	auto := cfg.Inject.SourceAddress == config.SourceAddressAuto
	if cfg.Inject.SourceAddress == config.SourceAddressInterface || auto && g.LAN == g.WAN {
		log.Info("packets get this machine's own source address, since replies to others do not pass it", "interface", g.WAN)
		return shape{replies: g.WAN, ownSource: true}, nil
	}
	masquerades := g.NAT == config.NATMasquerade
	if g.NAT == config.NATAuto {
		rule, err := masqueradingRule(g.WAN)
		if err != nil {
			return shape{}, err
		}
		if rule != "" {
			log.Info("this gateway masquerades: packets enter it from the clients' side", "rule", rule)
		}
		masquerades = rule != ""
	}
	switch {
	case !masquerades:
		return shape{replies: g.WAN}, nil
	case g.LAN == g.WAN:
		return shape{}, fmt.Errorf(`gateway.nat "masquerade": lan and wan are both %q: say inject.source_address = "interface"`, g.WAN)
	}
	return shape{replies: g.LAN, behind: g.LAN}, nil
}

func masqueradingRule(wan string) (string, error) {
	link, err := net.InterfaceByName(wan)
	if err != nil {
		return "", fmt.Errorf(`gateway.wan: interface %q does not exist: "ip link" lists those that do`, wan)
	}
	rule, err := gateway.Masquerade(wan, link.Index)
	if err != nil {
		return "", fmt.Errorf(`gateway.nat "auto": %w`, err)
	}
	return rule, nil
}
