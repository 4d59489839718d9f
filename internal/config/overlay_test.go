package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ownText is a gateway's file that others' words are laid over.
const ownText = minimal + `[safety]
allow = ["10.77.0.0/16", "2001:db8::/32", "224.0.0.0/24"]
allow_reserved = ["10.77.2.255/32", "224.0.0.0/24"]
max_rate = 500
[inject]
rate = 200
[train]
min_packets = 100
[log]
level = "warn"
`

func TestOverlay(t *testing.T) {
	own := mustParse(t, ownText)
	for _, tt := range []struct {
		name string
		text string
		want string // what own's file would say to the same effect, in place of own's [safety] and below
	}{
		{"nothing", "# as it is\n", ownText[len(minimal):]},
		{"narrower", "[safety]\nallow = [\"10.77.2.0/24\"]\nmax_rate = 100\n", `[safety]
allow = ["10.77.2.0/24"]
allow_reserved = ["10.77.2.255/32"]
max_rate = 100
[inject]
rate = 100
[train]
min_packets = 100
[log]
level = "warn"
`},
		{"nothing allowed", "[safety]\nallow = []\n", `[safety]
max_rate = 500
[inject]
rate = 200
[train]
min_packets = 100
[log]
level = "warn"
`},
		{"a part of what is reserved", "safety.allow = [\"224.0.0.5/32\"]\n", `[safety]
allow = ["224.0.0.5/32"]
allow_reserved = ["224.0.0.5/32"]
max_rate = 500
[inject]
rate = 200
[train]
min_packets = 100
[log]
level = "warn"
`},
		{"the same bounds, other settings", `[safety]
allow = ["10.77.0.0/16", "2001:db8::/32"]
allow_reserved = []
max_rate = 500
[inject]
rate = 500
[train]
min_packets = 50
`, `[safety]
allow = ["10.77.0.0/16", "2001:db8::/32"]
max_rate = 500
[inject]
rate = 500
[train]
min_packets = 50
[log]
level = "warn"
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Loader{}.Overlay(own, "desired revision 7", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(mustParse(t, minimal+tt.want), got, compare()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("labels", func(t *testing.T) {
		got, err := Loader{}.Overlay(own, "f", []byte("[[label]]\nname = \"web\"\nfilter = \"tcp\"\n"))
		if err != nil || len(got.Labels) != 1 || got.Labels[0].Name != "web" || own.Labels[0].Name != "dns" {
			t.Errorf("labels %+v, %v; own %+v", got.Labels, err, own.Labels)
		}
	})
}

// TestOverlayFaults pins the whole text of each refusal.
func TestOverlayFaults(t *testing.T) {
	own := mustParse(t, ownText)
	for _, tt := range []struct {
		name string
		text string
		want string
	}{
		{"wider", `[safety]
allow = [
  "10.77.2.0/24",
  "10.78.0.0/24",
  "10.0.0.0/8",
]
allow_reserved = ["10.77.3.255/32"]
max_rate = 501
`, `
desired revision 7:4: safety.allow "10.78.0.0/24": lies in no network of the gateway's own safety.allow, which others may only narrow
desired revision 7:5: safety.allow "10.0.0.0/8": lies in no network of the gateway's own safety.allow, which others may only narrow
desired revision 7:7: safety.allow_reserved "10.77.3.255/32": lies in no network of the gateway's own safety.allow_reserved, which others may only narrow
desired revision 7:8: safety.max_rate 501: above the gateway's own, 500, which others may only lower`},
		{"reserved outside of allow", "[safety]\nallow = [\"10.77.3.0/24\"]\nallow_reserved = [\"10.77.2.255/32\"]\n", `
desired revision 7:3: safety.allow_reserved "10.77.2.255/32": lies in no network of safety.allow: name it there, too`},
		{"reserved by its name alone", "[safety]\nallow = [\"224.0.0.0/24\"]\nallow_reserved = []\n", `
desired revision 7:2: safety.allow "224.0.0.0/24": is multicast, which needs its name in safety.allow_reserved, too`},
		{"reserved, though own allow names it", "[safety]\nallow_reserved = []\n", `
desired revision 7:1: safety.allow "224.0.0.0/24": is multicast, which needs its name in safety.allow_reserved, too`},
		{"not for others to say", "[gateway]\nlan = \"x\"\n[state]\ndir = \"/\"\n[[ids]]\nname = \"a\"\n[web]\nlisten = \"0.0.0.0:80\"\n[fleet]\ntrust = []\n", `
desired revision 7:1: [gateway]: is the gateway's own to say: only [safety], [inject], [train] and [[label]] may be laid over it
desired revision 7:3: [state]: is the gateway's own to say: only [safety], [inject], [train] and [[label]] may be laid over it
desired revision 7:5: [[ids]]: is the gateway's own to say: only [safety], [inject], [train] and [[label]] may be laid over it
desired revision 7:7: [web]: is the gateway's own to say: only [safety], [inject], [train] and [[label]] may be laid over it
desired revision 7:9: [fleet]: is the gateway's own to say: only [safety], [inject], [train] and [[label]] may be laid over it`},
		{"as a dotted key, too", "log.level = \"debug\"\n", `
desired revision 7:1: [log]: is the gateway's own to say: only [safety], [inject], [train] and [[label]] may be laid over it`},
		{"faster than allowed", "[inject]\nrate = 501\n", `
desired revision 7:2: inject.rate 501: above safety.max_rate 500`},
		{"faster than it allows itself", "[safety]\nmax_rate = 10\n[inject]\nrate = 20\n", `
desired revision 7:4: inject.rate 20: above safety.max_rate 10`},
		{"wrong in itself", "[inject]\nrat = 5\n[train]\nmin_packets = 1\n", `
desired revision 7:2: unknown key "rat" in [inject]: known are rate, source, source_address, engine, timeout
desired revision 7:4: train.min_packets 1: must be a whole number of packets, at least 16`},
		{"no TOML", "[inject\n", `
desired revision 7:2: expected '.' or ']' to end table name, but got '\n' instead`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Loader{}.Overlay(own, "desired revision 7", []byte(tt.text))
			if err == nil {
				t.Fatalf("Overlay accepted it: %+v", got)
			}
			if diff := cmp.Diff(strings.TrimPrefix(tt.want, "\n"), err.Error()); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
	if diff := cmp.Diff(mustParse(t, ownText), own, compare()); diff != "" {
		t.Errorf("own has changed (-want +got):\n%s", diff)
	}
}

// FuzzOverlay: nothing that is laid over a configuration lets packets go where the configuration does not.
func FuzzOverlay(f *testing.F) {
	own := mustParse(f, ownText)
	f.Add("[safety]\nallow = [\"10.77.2.0/24\"]\nmax_rate = 100\n")
	f.Add("safety = {allow = [\"10.77.2.255/32\"], allow_reserved = [\"10.77.2.255/32\"]}\n")
	f.Add("[[label]]\nname = \"web\"\nfilter = \"tcp\"\n[inject]\nrate = \"learned\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Loader{}.Overlay(own, "f", []byte(text))
		if err != nil {
			return
		}
		for _, one := range c.Safety.Allow {
			if !within(one, own.Safety.Allow) {
				t.Errorf("allows %v", one)
			}
		}
		for _, one := range c.Safety.AllowReserved {
			if !within(one, own.Safety.AllowReserved) {
				t.Errorf("allows the reserved %v", one)
			}
		}
		if c.Safety.MaxRate > own.Safety.MaxRate || c.Inject.Rate.PerSecond > c.Safety.MaxRate {
			t.Errorf("max_rate %v, rate %v", c.Safety.MaxRate, c.Inject.Rate)
		}
		c.Safety, c.Inject, c.Train, c.Labels = own.Safety, own.Inject, own.Train, own.Labels
		if diff := cmp.Diff(own, c, compare()); diff != "" {
			t.Errorf("other sections have changed (-want +got):\n%s", diff)
		}
	})
}
