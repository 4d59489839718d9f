package appliance

import (
	"os/exec"
	"strings"
	"testing"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/lab/labtest"
)

func TestShapeOf(t *testing.T) {
	labtest.NewCable(t, labtest.Cable{Near: "wan0", Far: "lan0"})
	const rules = "add table ip nat\nadd chain ip nat post { type nat hook postrouting priority srcnat; }\nadd rule ip nat post oifname wan0 masquerade\n"
	routed, own := shape{replies: "wan0"}, shape{replies: "wan0", ownSource: true}
	masquerading := shape{replies: "lan0", behind: "lan0"}
	tests := []struct {
		name   string
		rules  string
		lan    string
		nat    config.NAT
		source config.SourceAddress
		want   shape
		err    string
	}{
		{"nothing said, no rules", "", "lan0", config.NATAuto, config.SourceAddressAuto, routed, ""},
		{"nothing said, a rule", rules, "lan0", config.NATAuto, config.SourceAddressAuto, masquerading, ""},
		{"a rule, but the config says none", rules, "lan0", config.NATNone, config.SourceAddressAuto, routed, ""},
		{"no rule, but the config says masquerade", "", "lan0", config.NATMasquerade, config.SourceAddressAuto, masquerading, ""},
		{"one arm", "", "wan0", config.NATAuto, config.SourceAddressAuto, own, ""},
		{"one arm that routes", "", "wan0", config.NATAuto, config.SourceAddressPacket, routed, ""},
		{"own address", rules, "lan0", config.NATAuto, config.SourceAddressInterface, own, ""},
		{"one arm that masquerades", rules, "wan0", config.NATAuto, config.SourceAddressPacket, shape{},
			`gateway.nat "masquerade": lan and wan are both "wan0": say inject.source_address = "interface"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			nft := exec.Command("nft", "-f", "-")
			nft.Stdin = strings.NewReader("flush ruleset\n" + tt.rules)
			if out, err := nft.CombinedOutput(); err != nil {
				t.Fatalf("nft: %v\n%s", err, out)
			}
			t.Cleanup(func() { must(t, exec.Command("nft", "flush", "ruleset").Run()) })
			var cfg config.Config
			cfg.Gateway = config.Gateway{LAN: tt.lan, WAN: "wan0", NAT: tt.nat}
			cfg.Inject.SourceAddress = tt.source
			got, err := shapeOf(cfg)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if got != tt.want || text != tt.err {
				t.Errorf("%+v, error %q, want %+v, %q", got, text, tt.want, tt.err)
			}
		})
	}
}
