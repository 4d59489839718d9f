package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// compare lets cmp look at addresses by their text.
func compare() cmp.Option {
	return cmp.Options{
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
		cmpopts.EquateEmpty(),
	}
}

func mustParse(tb testing.TB, text string) Config {
	tb.Helper()
	c, err := Parse("config.toml", []byte(text))
	if err != nil {
		tb.Fatalf("Parse:\n%v", err)
	}
	return c
}

// TestShippedFile pins that config.toml shows the defaults, and every key there is.
func TestShippedFile(t *testing.T) {
	path := filepath.Join("..", "..", "config.toml")
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Gateway.LAN, want.Gateway.WAN = "lan0", "wan0"
	ping, dns, http := DefaultLabel(), DefaultLabel(), DefaultLabel()
	ping.Name, ping.Filter, ping.Answer = "ping", "icmp[icmptype] == icmp-echo", AnswerICMPEcho
	dns.Name, dns.Filter, dns.Answer = "dns", "udp dst port 53", AnswerDNS
	http.Name, http.Answer = "http", AnswerHTTP
	http.Filter = "tcp dst port 80 and tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420"
	want.Labels = []Label{ping, dns, http}
	for i := range want.Labels {
		want.Labels[i].defaultAccept()
	}
	if diff := cmp.Diff(want, got, compare()); diff != "" {
		t.Errorf("config.toml against the defaults (-want +got):\n%s", diff)
	}

	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// A sensor and a fleet are shown, but there is none: their lines are comments.
	withSensor := regexp.MustCompile(`(?m)^# (\[\[ids\]\]|\[fleet\]|[a-z]+ = )`).ReplaceAllString(string(data), "$1")
	shown, err := Loader{HostName: func() (string, error) { return "Gate-7.example", nil }}.Parse(path, []byte(withSensor))
	if err != nil {
		t.Fatal(err)
	}
	fleet := Fleet{URL: "tls://hub.example:4222", Name: "gate-7", Key: "/etc/pacgan-appliance/fleet.nk", Hub: "UA5WUJ54Z23KILLCUOUNAKTPBVZWKMQVO4O6EQ5GHLAERIMLLHNCTYM5", CA: "/etc/pacgan-appliance/fleet.crt", Train: FleetTrainFleet}
	if diff := cmp.Diff(fleet, shown.Fleet, compare()); diff != "" {
		t.Errorf("the fleet of config.toml (-want +got):\n%s", diff)
	}
	sensor := []IDS{{Name: "suricata", Kind: IDSSuricata, Path: "/var/log/suricata/eve.json", Silence: defaultSilence}}
	if diff := cmp.Diff(sensor, shown.IDS); diff != "" {
		t.Errorf("the sensor of config.toml against the defaults (-want +got):\n%s", diff)
	}
	lines := locate(withSensor).lines
	for _, section := range known("") {
		if section == "label" {
			continue // its keys are explained above the tables
		}
		for _, key := range known(section) {
			table := section
			if several(section) {
				table += "[0]"
			}
			if _, ok := lines[table+"."+key]; !ok {
				t.Errorf("config.toml does not show %s.%s", section, key)
			}
		}
	}
}

const everyKey = `
[gateway]
lan = "eth0.10"
wan = "eth1"
nat = "masquerade"
[safety]
allow = ["10.77.2.0/24", "2001:db8::/64"]
allow_reserved = ["10.77.2.255/32"]
max_rate = 2_000
[[label]]
name = "dns"
filter = "udp dst port 53"
answer = "dns"
accept = ["nxdomain", "NOERROR"]
malicious = true
share = 0.5
[[label]]
name = "http"
filter = "tcp dst port 80"
answer = "http"
accept = ["200", "4xx", "500-503"]
contains = "hello"
share = 2
[[label]]
name = "other"
filter = "ip"
[train]
schedule = "@every 90m"
min_packets = 16
new_packets = 0
recipe = "tree"
max_memory = "512MiB"
max_memorised = 0.01
renew_secrets = true
[inject]
rate = "learned"
source = "capture"
source_address = "interface"
engine = "auto"
timeout = "1500ms"
[state]
dir = "/srv/pacgan/"
max_bytes = 33554432
[capture]
payload = "hash"
retention = "720h"
[truth]
enabled = true
dir = "/srv/truth"
max_bytes = "8MiB"
packets = false
[web]
listen = "[::1]:80"
[[ids]]
name = "edge"
kind = "suricata"
path = "/var/log/eve.json"
silence = "1m"
[fleet]
url = "nats://10.0.0.1:4222, nats://10.0.0.2:4222"
name = "lab-a"
key = "/etc/fleet.nk"
hub = "UA5WUJ54Z23KILLCUOUNAKTPBVZWKMQVO4O6EQ5GHLAERIMLLHNCTYM5"
ca = "/etc/fleet.crt"
trust = ["UAR3YVERFQPG5EWEVBUCLSDH4J773RKVX755IJCPC6RGVP7752LF22PY"]
train = "self"
[log]
level = "debug"
`

func everyKeyConfig() Config {
	return Config{
		Gateway: Gateway{LAN: "eth0.10", WAN: "eth1", NAT: NATMasquerade},
		Safety: Safety{MaxRate: 2000,
			Allow:         []netip.Prefix{netip.MustParsePrefix("10.77.2.0/24"), netip.MustParsePrefix("2001:db8::/64")},
			AllowReserved: []netip.Prefix{netip.MustParsePrefix("10.77.2.255/32")}},
		Labels: []Label{
			{Name: "dns", Filter: "udp dst port 53", Answer: AnswerDNS, RCodes: []RCode{RCodeNoError, 3},
				Malicious: true, Share: 0.5},
			{Name: "http", Filter: "tcp dst port 80", Answer: AnswerHTTP, Contains: "hello", Share: 2,
				Statuses: []StatusRange{{200, 200}, {400, 499}, {500, 503}}},
			{Name: "other", Filter: "ip", Answer: AnswerReply, Share: 1},
		},
		Capture: Capture{Payload: PayloadHash, Retention: 720 * time.Hour},
		Train:   Train{Schedule: "@every 90m", MinPackets: 16, Recipe: RecipeTree, MaxMemory: 512 << 20, MaxMemorised: 0.01, RenewSecrets: true},
		Inject:  Inject{Rate: Rate{Learned: true}, Source: SourceCapture, SourceAddress: SourceAddressInterface, Engine: EngineAuto, Timeout: 1500 * time.Millisecond},
		State:   State{Dir: "/srv/pacgan", MaxBytes: 32 << 20},
		Truth:   Truth{Enabled: true, Dir: "/srv/truth", MaxBytes: 8 << 20},
		Web:     Web{Listen: netip.MustParseAddrPort("[::1]:80")},
		IDS:     []IDS{{Name: "edge", Kind: IDSSuricata, Path: "/var/log/eve.json", Silence: time.Minute}},
		Fleet: Fleet{URL: "nats://10.0.0.1:4222, nats://10.0.0.2:4222", Name: "lab-a", Key: "/etc/fleet.nk", Hub: "UA5WUJ54Z23KILLCUOUNAKTPBVZWKMQVO4O6EQ5GHLAERIMLLHNCTYM5", CA: "/etc/fleet.crt",
			Trust: []string{"UAR3YVERFQPG5EWEVBUCLSDH4J773RKVX755IJCPC6RGVP7752LF22PY"}, Train: FleetTrainSelf},
		Log: Log{Level: LogDebug},
	}
}

func TestEveryKey(t *testing.T) {
	if diff := cmp.Diff(everyKeyConfig(), mustParse(t, everyKey), compare()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDumpParsesToTheSame(t *testing.T) {
	noPage := everyKeyConfig()
	noPage.Web.Listen = netip.AddrPort{}
	noPage.Inject.Rate = Rate{PerSecond: 0.25}
	for name, want := range map[string]Config{
		"every key": everyKeyConfig(),
		"no page":   noPage,
		"defaults":  mustParse(t, minimal),
	} {
		t.Run(name, func(t *testing.T) {
			data, err := want.Dump()
			if err != nil {
				t.Fatal(err)
			}
			got, err := Parse("dump.toml", data)
			if err != nil {
				t.Fatalf("Parse of the dump: %v\n%s", err, data)
			}
			if diff := cmp.Diff(want, got, compare()); diff != "" {
				t.Errorf("after Dump and Parse (-want +got):\n%s\n%s", diff, data)
			}
		})
	}
}

func TestByteSize(t *testing.T) {
	for _, tt := range []struct {
		text string
		want ByteSize
		back string
	}{
		{"2GiB", 2 << 30, "2GiB"},
		{"512 MiB", 512 << 20, "512MiB"},
		{"1500kB", 1_500_000, "1500000B"},
		{"1TiB", 1 << 40, "1TiB"},
		{"17B", 17, "17B"},
		{"0B", 0, "0B"},
	} {
		got, err := parseByteSize(tt.text)
		if err != nil || got != tt.want || got.String() != tt.back {
			t.Errorf("parseByteSize(%q) = %d (%v), %v; want %d (%s)", tt.text, got, got, err, tt.want, tt.back)
		}
	}
	for _, bad := range []string{"", "2", "GiB", "-1GiB", "2gib", "9999999TiB", "1.5GiB"} {
		if got, err := parseByteSize(bad); err == nil {
			t.Errorf("parseByteSize(%q) = %d, want an error", bad, got)
		}
	}
}

func TestStringsOfValues(t *testing.T) {
	for got, want := range map[string]string{
		RCode(3).String():                   "NXDOMAIN",
		RCode(23).String():                  "RCODE23",
		StatusRange{200, 299}.String():      "2xx",
		StatusRange{404, 404}.String():      "404",
		StatusRange{200, 204}.String():      "200-204",
		Rate{Learned: true}.String():        "learned",
		Rate{PerSecond: 0.5}.String():       "0.5 packets/s",
		ByteSize(MinStateBytes).String():    "16MiB",
		Faults{{"f", 3, "bad"}}.Error():     "f:3: bad",
		Fault{"config.toml", 1, ""}.Error(): "config.toml:1: ",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
