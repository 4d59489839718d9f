package gateway

import (
	"net"
	"os/exec"
	"strings"
	"testing"

	"pacgan-appliance/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

func mustIndex(tb testing.TB, name string) int {
	tb.Helper()
	link, err := net.InterfaceByName(name)
	if err != nil {
		tb.Fatal(err)
	}
	return link.Index
}

// TestMasquerade reads rules that nft has written.
func TestMasquerade(t *testing.T) {
	labtest.NewCable(t, labtest.Cable{Near: "wan0", Far: "far0"})
	const post = "add table ip nat\nadd chain ip nat post { type nat hook postrouting priority srcnat; }\n"
	tests := []struct {
		name  string
		rules string
		want  string
	}{
		{"no rules", "", ""},
		{"an empty chain", post, ""},
		{"everything", post + "add rule ip nat post masquerade", "table ip nat, chain post"},
		{"our interface", post + `add rule ip nat post oifname "wan0" masquerade`, "table ip nat, chain post"},
		{"our interface by number", post + `add rule ip nat post oif "wan0" masquerade`, "table ip nat, chain post"},
		{"interfaces like ours", post + `add rule ip nat post oifname "wan*" masquerade`, "table ip nat, chain post"},
		{"a set of interfaces", post + `add rule ip nat post oifname { "wan0", "wan1" } masquerade`, "table ip nat, chain post"},
		{"all but another", post + `add rule ip nat post oifname != "lo" masquerade`, "table ip nat, chain post"},
		{"some sources", post + `add rule ip nat post oifname "wan0" ip saddr 10.77.1.0/24 masquerade`, "table ip nat, chain post"},
		{"a fixed address", post + `add rule ip nat post oifname "wan0" snat to 10.77.2.1`, "table ip nat, chain post"},
		{"another interface", post + `add rule ip nat post oifname "far0" masquerade`, ""},
		{"another interface by number", post + `add rule ip nat post oif "far0" masquerade`, ""},
		{"others like it", post + `add rule ip nat post oifname "far*" masquerade`, ""},
		{"all but ours", post + `add rule ip nat post oifname != "wan0" masquerade`, ""},
		{"a name that begins like ours", post + `add rule ip nat post oifname "wan01" masquerade`, ""},
		{"destination only", "add table ip nat\nadd chain ip nat pre { type nat hook prerouting priority dstnat; }\nadd rule ip nat pre dnat to 10.77.2.1", ""},
		{"family inet", "add table inet fw\nadd chain inet fw p { type nat hook postrouting priority 100; }\nadd rule inet fw p masquerade", "table inet fw, chain p"},
		{"IPv6 only", "add table ip6 nat\nadd chain ip6 nat p { type nat hook postrouting priority 100; }\nadd rule ip6 nat p masquerade", ""},
		{"in a chain behind a jump", post + "add chain ip nat zone\nadd rule ip nat zone masquerade\nadd rule ip nat post oifname \"wan0\" jump zone",
			"table ip nat, chain zone"},
		{"in a chain that nothing jumps to", post + "add chain ip nat zone\nadd rule ip nat zone masquerade", ""},
		{"a jump for another interface", post + "add chain ip nat zone\nadd rule ip nat zone masquerade\nadd rule ip nat post oifname \"far0\" jump zone", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mustNFT(t, "flush ruleset\n"+tt.rules)
			got, err := Masquerade("wan0", mustIndex(t, "wan0"))
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

func mustNFT(tb testing.TB, rules string) {
	tb.Helper()
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("nft: %v\n%s\n%s", err, rules, out)
	}
}
