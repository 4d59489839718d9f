package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const minimal = `[gateway]
lan = "lan0"
wan = "wan0"
[[label]]
name = "dns"
filter = "udp dst port 53"
`

// TestFaults pins the whole text of each error.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name string
		text string
		want string
	}{
		{"empty", "", `
config.toml:1: gateway.lan is missing: the interface on the clients' side, such as "lan0"
config.toml:1: gateway.wan is missing: the interface on the test servers' side, such as "wan0"
config.toml:1: no [[label]]: at least one is needed, with a name and a filter`},
		{"syntax", "[gateway]\nlan = \"lan0\nwan = 1\n", `
config.toml:2: gateway.lan: strings cannot contain newlines`},
		{"key twice", minimal + "share = 1\nshare = 2\n", `
config.toml:8: label.share: Key 'label.share' has already been defined.`},
		{"sections that are none", "gateway = 5\nlabel = {name = 5}\n[[train]]\n", `
config.toml:1: gateway 5: must be a section, [gateway]
config.toml:2: label {...}: must be a section, [[label]]
config.toml:3: train [...]: must be a section, [train]`},
		{"labels as values", "gateway = {lan = \"a\", wan = \"b\"}\nlabel = [\n{name = 5},\n{filter = \"ip\", nmae = 3}]\n", `
config.toml:3: label 1: filter is missing: a tcpdump expression, such as "udp dst port 53"
config.toml:3: label 1: name 5: must be a string in quotes
config.toml:4: unknown key "nmae" in [[label]]: known are name, filter, answer, accept, contains, malicious, share
config.toml:4: label 2: name is missing: 1 to 32 of a-z, 0-9 and "-"`},
		{"unknown section", minimal + "[safty]\nallow = []\n", `
config.toml:7: unknown section "safty": known are gateway, safety, capture, label, train, inject, state, truth, web, ids, fleet, log`},
		{"unknown key", minimal + "[train]\nrecipie = \"gan\"\n", `
config.toml:8: unknown key "recipie" in [train]: known are schedule, min_packets, new_packets, recipe, max_memory, max_memorised, renew_secrets`},
		{"unknown key in the second label", minimal + "\n[[label]]\nname = \"a\"\nfiltre = \"ip\"\nfilter = \"ip\"\n", `
config.toml:10: unknown key "filtre" in [[label]]: known are name, filter, answer, accept, contains, malicious, share`},
		{"a table for a value", minimal + "[inject.rate]\nsoft = 1\n", `
config.toml:7: inject.rate {...}: must be a number above 0, at most 10000000, in packets per second, or "learned"
config.toml:8: unknown key "soft": inject.rate is a value, not a section`},
		{"interfaces", "[gateway]\nlan = \"\"\nwan = \"a b\"\nnat = \"maybe\"\n[[label]]\nname=\"a\"\nfilter=\"ip\"\n", `
config.toml:2: gateway.lan "": must be an interface's name of 1 to 15 characters, as ` + "`ip link`" + ` shows it
config.toml:3: gateway.wan "a b": must be an interface's name of 1 to 15 characters, as ` + "`ip link`" + ` shows it
config.toml:4: gateway.nat "maybe": must be one of auto, none, masquerade`},
		{"safety", minimal + `[safety]
allow = [
  "10.77.2.0/24", # right
  "10.77.2.5",
  "10.77.2.1/24",
  "0.0.0.0/0",
  "servers",
  7,
]
max_rate = 0
`, `
config.toml:10: safety.allow "10.77.2.5": must be a network; for this one address write "10.77.2.5/32"
config.toml:11: safety.allow "10.77.2.1/24": has bits below its mask; the network is "10.77.2.0/24"
config.toml:12: safety.allow "0.0.0.0/0": allows every address: name the test servers' networks only
config.toml:13: safety.allow "servers": must be a network such as "10.77.2.0/24"
config.toml:14: safety.allow 7: must be a string in quotes
config.toml:16: safety.max_rate 0: must be a number above 0, at most 10000000`},
		{"reserved", minimal + `[safety]
allow = [
  "10.77.2.0/24",
  "bad",
  "224.0.0.0/24",
  "255.255.255.255/32",
  "ff02::1/128",
  "127.0.0.0/8",
]
allow_reserved = [
  "10.77.2.255/32", # right
  "ff02::1/128",    # right
  "10.77.3.255/32",
  "224.0.0.5",
]
`, `
config.toml:10: safety.allow "bad": must be a network such as "10.77.2.0/24"
config.toml:11: safety.allow "224.0.0.0/24": is multicast, which needs its name in safety.allow_reserved, too
config.toml:12: safety.allow "255.255.255.255/32": is broadcast, which needs its name in safety.allow_reserved, too
config.toml:14: safety.allow "127.0.0.0/8": is this machine itself, which needs its name in safety.allow_reserved, too
config.toml:19: safety.allow_reserved "10.77.3.255/32": lies in no network of safety.allow: name it there, too
config.toml:20: safety.allow_reserved "224.0.0.5": must be a network; for this one address write "224.0.0.5/32"`},
		{"privacy", minimal + "[capture]\npayload = \"none\"\nretention = \"5s\"\n[train]\nmax_memorised = 1.5\nrenew_secrets = 1\n", `
config.toml:8: capture.payload "none": must be one of keep, truncate, hash
config.toml:9: capture.retention "5s": must be a time such as "720h" (30 days), at least 1m0s, or "" to keep packets whatever their age
config.toml:11: train.max_memorised 1.5: must be a number from 0 to 1
config.toml:12: train.renew_secrets 1: must be true or false`},
		{"allow is no list", minimal + "[safety]\nallow = \"10.77.2.0/24\"\n", `
config.toml:8: safety.allow "10.77.2.0/24": must be a list such as ["10.77.2.0/24"]`},
		{"labels", minimal + `
[[label]]
name = "dns"
filter = " "
answer = "DNS"

[[label]]
filter = 5
share = 0.0
malicious = "no"

[[label]]
name = "Web_1"
answer = "icmp-echo"
accept = ["200"]
contains = "x"
`, `
config.toml:9: label "dns": the name is taken by line 5
config.toml:10: label "dns": filter " ": must be a tcpdump expression, such as "udp dst port 53"
config.toml:11: label "dns": answer "DNS": must be one of icmp-echo, dns, http, reply, none
config.toml:13: label 3: name is missing: 1 to 32 of a-z, 0-9 and "-"
config.toml:14: label 3: filter 5: must be a string in quotes
config.toml:15: label 3: share 0: must be a number above 0, at most 1000000
config.toml:16: label 3: malicious "no": must be true or false
config.toml:18: label "Web_1": filter is missing: a tcpdump expression, such as "udp dst port 53"
config.toml:19: label "Web_1": name "Web_1": must be 1 to 32 of a-z, 0-9 and "-"
config.toml:21: label "Web_1": accept [...]: has a meaning for the answers dns and http only, not for icmp-echo
config.toml:22: label "Web_1": contains "x": has a meaning for the answer http only, not for icmp-echo`},
		{"accept", minimal + `answer = "dns"
accept = ["NOERROR", "NOPE"]
[[label]]
name = "http"
filter = "tcp"
answer = "http"
accept = ["2xx", "600", "20x", 200]
contains = 7
[[label]]
name = "web"
filter = "tcp"
answer = "http"
accept = "2xx"
`, `
config.toml:8: label "dns": accept "NOPE": must be one of NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, YXDOMAIN, YXRRSET, NXRRSET, NOTAUTH, NOTZONE
config.toml:13: label "http": accept "600": must be a status such as "200", "2xx" or "200-204", from 100 to 599
config.toml:13: label "http": accept "20x": must be a status such as "200", "2xx" or "200-204", from 100 to 599
config.toml:13: label "http": accept 200: must be a string in quotes
config.toml:14: label "http": contains 7: must be a string in quotes
config.toml:19: label "web": accept "2xx": must be a list such as ["NXDOMAIN"] or ["2xx", "404"]`},
		{"train", minimal + "[train]\nschedule = \"0 25 * * *\"\nmin_packets = 3\nrecipe = \"magic\"\nmax_memory = \"1MiB\"\nnew_packets = 5\n", `
config.toml:8: train.schedule "0 25 * * *": end of range (25) above maximum (23): 25; must be five cron fields such as "0 */6 * * *", or "@every 6h"
config.toml:9: train.min_packets 3: must be a whole number of packets, at least 16
config.toml:10: train.recipe "magic": must be one of gan, paper, tree
config.toml:11: train.max_memory "1MiB": must be at least 64MiB
config.toml:12: train.new_packets 5: must be a whole number of packets, at least 16, or 0 to train on the schedule alone`},
		{"inject", minimal + "[inject]\nrate = \"fast\"\nsource = \"pcap\"\nsource_address = \"mine\"\nengine = \"dpdk\"\ntimeout = 2\n", `
config.toml:8: inject.rate "fast": must be a number above 0, at most 10000000, in packets per second, or "learned"
config.toml:9: inject.source "pcap": must be one of model, capture
config.toml:10: inject.source_address "mine": must be one of auto, packet, interface
config.toml:11: inject.engine "dpdk": must be one of auto, sendmmsg, xdp
config.toml:12: inject.timeout 2: must be a time such as "2s" or "500ms", from 1ms to 1h`},
		{"faster than allowed", minimal + "[inject]\nrate = 1000.5\n", `
config.toml:8: inject.rate 1000.5: above safety.max_rate 1000`},
		{"state, web, ids", minimal + "state = {dir = \"var\", max_bytes = \"1MiB\"}\n", `
config.toml:7: unknown key "state" in [[label]]: known are name, filter, answer, accept, contains, malicious, share`},
		{"inline tables", "state = {dir = \"var\", max_bytes = \"1MiB\"}\nweb.listen = \"localhost:80\"\n" +
			"ids = [{name = \"Edge\", kind = \"bro\", path = \"eve.json\", silence = 30}]\n" + minimal, `
config.toml:1: state.dir "var": must be a path from the root, beginning with /
config.toml:1: state.max_bytes "1MiB": must be at least 16MiB
config.toml:2: web.listen "localhost:80": must be an address and a port such as "127.0.0.1:9746", or "" for no page
config.toml:3: ids "Edge": name "Edge": must be 1 to 32 of a-z, 0-9 and "-"
config.toml:3: ids "Edge": kind "bro": must be one of suricata, zeek, snort
config.toml:3: ids "Edge": path "eve.json": must be a path from the root, beginning with /
config.toml:3: ids "Edge": silence 30: must be a time such as "30s" or "10m", from 5s to 24h`},
		{"sensors", minimal + "[[ids]]\nname = \"a\"\n[[ids]]\nname = \"a\"\nkind = \"zeek\"\npath = \"/notice.log\"\n", `
config.toml:7: ids "a": kind is missing: suricata, zeek or snort
config.toml:7: ids "a": path is missing: the log, such as "/var/log/suricata/eve.json"
config.toml:10: ids "a": the name is taken by line 8`},
		{"sensors without truth", minimal + "[truth]\nenabled = false\n[[ids]]\nname = \"a\"\nkind = \"zeek\"\npath = \"/notice.log\"\n", `
config.toml:9: [[ids]]: needs truth.enabled = true, which alerts are joined with`},
		{"one section for several sensors", minimal + "[ids]\neve = \"\"\n", `
config.toml:7: ids {...}: must be a section, [[ids]]`},
		{"fleet", minimal + `[fleet]
url = "http://hub:4222"
name = "Lab.A"
key = "fleet.nk"
hub = "NONE"
ca = 5
trust = ["AAR3YVERFQPG5EWEVBUCLSDH4J773RKVX755IJCPC6RGVP7752LF364H", 7]
train = "both"
`, `
config.toml:8: fleet.url "http://hub:4222": must be a NATS server such as "tls://hub.example:4222", or several by commas
config.toml:9: fleet.name "Lab.A": must be 1 to 32 of a-z, 0-9 and "-", with a letter or digit at both ends, and not "all"
config.toml:10: fleet.key "fleet.nk": must be a path from the root, beginning with /
config.toml:11: fleet.hub "NONE": must be the public NKey of a user, which begins with U
config.toml:12: fleet.ca 5: must be a string in quotes
config.toml:13: fleet.trust "AAR3YVERFQPG5EWEVBUCLSDH4J773RKVX755IJCPC6RGVP7752LF364H": must be the public NKey of a user, which begins with U: ` + "`pacgan-appliance hub init`" + ` prints a trainer's
config.toml:13: fleet.trust 7: must be a string in quotes
config.toml:14: fleet.train "both": must be one of fleet, self`},
		{"a fleet with a password", minimal + "[fleet]\nkey = \"/k\"\nhub = \"UA5WUJ54Z23KILLCUOUNAKTPBVZWKMQVO4O6EQ5GHLAERIMLLHNCTYM5\"\nurl = \"nats://a:4222,nats://me:secret@b:4222\"\nname = \"all\"\ntrust = \"U\"\n", `
config.toml:10: fleet.url "nats://a:4222,nats://me:secret@b:4222": holds a user or a password, which others can read here: name a file in fleet.key
config.toml:11: fleet.name "all": must be 1 to 32 of a-z, 0-9 and "-", with a letter or digit at both ends, and not "all"
config.toml:12: fleet.trust "U": must be a list of public NKeys of users, each beginning with U`},
		{"a fleet without keys", minimal + "[fleet]\nurl = \"nats://a:4222\"\nname = \"a\"\n", `
config.toml:7: fleet.key is missing: add key = "/etc/pacgan-appliance/fleet/member.nk", the file of this gateway's NKey: it signs what the gateway writes
config.toml:7: fleet.hub is missing: add hub = "U...", the hub's public NKey, which it says when it starts: what others write in its name is refused`},
		{"sizes", minimal + "[state]\nmax_bytes = true\n", `
config.toml:8: state.max_bytes true: must be a size such as "2GiB"`},
		{"size without a unit", minimal + "[state]\nmax_bytes = \"2\"\n", `
config.toml:8: state.max_bytes "2": must be a size such as "512MiB" or "2GiB"`},
		{"nan", minimal + "share = nan\n", `
config.toml:7: label "dns": share NaN: must be a number above 0, at most 1000000`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse("config.toml", []byte(tt.text))
			if err == nil {
				t.Fatalf("Parse accepted it: %+v", c)
			}
			if diff := cmp.Diff(strings.TrimPrefix(tt.want, "\n"), err.Error()); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
			var faults Faults
			if !errors.As(err, &faults) {
				t.Errorf("error is a %T, want Faults", err)
			}
		})
	}
}

func TestTooManyLabels(t *testing.T) {
	text := "[gateway]\nlan = \"a\"\nwan = \"a\"\n"
	for i := range MaxLabels + 1 {
		text += fmt.Sprintf("[[label]]\nname = \"l%d\"\nfilter = \"ip\"\n", i)
	}
	_, err := Parse("config.toml", []byte(text))
	want := "config.toml:100: 33 labels: at most 32 are possible"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestFilterCheck: what the caller knows of filters is told with their lines.
func TestFilterCheck(t *testing.T) {
	loader := Loader{CheckFilter: func(filter string) error {
		if strings.Contains(filter, "prt") {
			return errors.New(`syntax error at "prt"`)
		}
		return nil
	}}
	text := minimal + "\n[[label]]\nname = \"bad\"\nfilter = \"udp dst prt 53\"\n"
	_, err := loader.Parse("config.toml", []byte(text))
	want := `config.toml:10: label "bad": filter "udp dst prt 53": syntax error at "prt"`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := loader.Parse("config.toml", []byte(minimal)); err != nil {
		t.Errorf("a right filter: %v", err)
	}
}

// TestFleetName: the machine's name is taken where the file has none, if it can be.
func TestFleetName(t *testing.T) {
	const prefix = "config.toml:7: fleet.name is missing, "
	const keys = "[fleet]\nkey = \"/k\"\nhub = \"UA5WUJ54Z23KILLCUOUNAKTPBVZWKMQVO4O6EQ5GHLAERIMLLHNCTYM5\"\n"
	for host, want := range map[string]string{
		"gate": "gate", "Gate-7.lab.example": "gate-7", strings.Repeat("x", 31) + "-y": strings.Repeat("x", 31), "-a-": "a",
		"": prefix, "all": prefix, "lab_a": prefix, ".lan": prefix,
	} {
		c, err := Loader{HostName: func() (string, error) { return host, nil }}.Parse("config.toml", []byte(minimal+keys+"url = \"nats://a\"\n"))
		if got := c.Fleet.Name; err == nil && got != want || err != nil && (want != prefix || !strings.HasPrefix(err.Error(), prefix)) {
			t.Errorf("host %q: %q, %v; want %q", host, got, err, want)
		}
	}
	_, err := Parse("config.toml", []byte(minimal+keys+"url = \"nats://a\"\nname = \"\"\n"))
	if err == nil || !strings.HasPrefix(err.Error(), prefix) {
		t.Errorf("without a host's name: %v", err)
	}
}

func TestLoadWithoutFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.toml")
	_, err := Load(path)
	want := "config " + path + ": no such file or directory"
	if err == nil || err.Error() != want || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestLoadFleet reads a file of a trainer's, which has [fleet] alone.
func TestLoadFleet(t *testing.T) {
	const key = "UAMCJQ6WPRQF44SVBZWGLDSSBEZAAFVBZEPBL5RJ222HXZVT2XGYC7HT"
	good := "[fleet]\nurl = \"tls://hub:4222\"\nname = \"big\"\nkey = \"/k\"\nhub = \"" + key + "\"\nca = \"/ca\"\ntrust = [\"" + key + "\"]\n"
	for _, tt := range []struct{ name, text, want string }{
		{"good", good, ""},
		{"no hub's address", strings.Replace(good, "url = \"tls://hub:4222\"\n", "", 1), `:1: fleet.url is missing: add url = "tls://hub.example:4222", where the hub is reached`},
		{"another section", good + "[train]\nrecipe = \"tree\"\n", `:8: [train]: is not for a trainer: this file has [fleet] alone`},
		{"an unknown key", good + "tust = []\n", `:8: unknown key "tust" in [fleet]`},
		{"a bad key", strings.Replace(good, "trust = [\"U", "trust = [\"V", 1), `:7: fleet.trust "VAMCJQ6WPRQF44SVBZWGLDSSBEZAAFVBZEPBL5RJ222HXZVT2XGYC7HT": must be`},
	} {
		path := filepath.Join(t.TempDir(), "fleet.toml")
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Loader{}.LoadFleet(path)
		switch {
		case tt.want == "" && (err != nil || got.URL != "tls://hub:4222" || got.Name != "big" || len(got.Trust) != 1):
			t.Errorf("%s: %v, %+v", tt.name, err, got)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
	if _, err := (Loader{}).LoadFleet("nowhere.toml"); err == nil || err.Error() != "config nowhere.toml: no such file or directory" {
		t.Errorf("%v", err)
	}
}
