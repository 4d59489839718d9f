package appliance

import (
	"net/netip"
	"testing"

	"pacgan-appliance/internal/config"
)

func TestCheckInterfaces(t *testing.T) {
	allow := []netip.Prefix{netip.MustParsePrefix("10.77.2.0/24")}
	for _, tt := range []struct {
		name     string
		lan, wan string
		allow    []netip.Prefix
		have     []string
		want     string
	}{
		{"all there", "eth0", "eth1", nil, []string{"lo", "eth0", "eth1"}, ""},
		{"one arm", "eth0", "eth0", allow, []string{"lo", "eth0"}, ""},
		{"as it is shipped", "lan0", "wan0", nil, []string{"lo", "eth0", "eth1"},
			`config.toml: this machine has no interface gateway.lan "lan0" and no gateway.wan "wan0"; write lan = "INTERFACE" and wan = "INTERFACE" under [gateway], ` +
				`and allow = ["NETWORK/BITS"] under [safety], the test servers' networks (it has eth0, eth1)`},
		{"one is missing", "eth0", "wan0", allow, []string{"lo", "eth0", "inj0", "inj1"},
			`config.toml: this machine has no interface gateway.wan "wan0"; write wan = "INTERFACE" under [gateway] (it has eth0)`},
		{"a machine without a network", "eth0", "eth1", allow, []string{"lo"},
			`config.toml: this machine has no interface gateway.lan "eth0" and no gateway.wan "eth1"; write lan = "INTERFACE" and wan = "INTERFACE" under [gateway] (it has none but lo)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config.Default()
			cfg.Gateway.LAN, cfg.Gateway.WAN, cfg.Safety.Allow = tt.lan, tt.wan, tt.allow
			got := ""
			if err := checkInterfaces("config.toml", cfg, tt.have); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
