package appliance

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/lab"
)

// labConfigText is the lab's config: the lab runs what the daemon runs.
const labConfigText = `# The lab's config, written by pacgan-appliance lab.
[gateway]
lan = "{{.LAN}}"
wan = "{{.WAN}}"
nat = "none"

[safety]
allow = ["{{.Servers}}"]
max_rate = {{.Rate}}
{{range .Labels}}
[[label]]
name = "{{.Name}}"
filter = "{{.Filter}}"
answer = "{{.Answer}}"
{{if .Malicious}}malicious = true
{{end}}{{end}}
[train]
recipe = "{{.Recipe}}"

[inject]
rate = {{.Rate}}

[state]
dir = "{{.State}}"
`

type labLabel struct {
	Name, Filter, Answer string
	Malicious            bool
}

// labLabels are the kinds of traffic that the lab's clients make. The first
// filter that matches wins: what the testers send comes first.
func labLabels() []labLabel {
	testers := "src net " + lab.TestersNetwork().String() + " and "
	const ping, dns = "icmp[icmptype] == icmp-echo", "udp dst port 53"
	const http = "tcp dst port 80 and tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420"
	return []labLabel{
		{"bigping", testers + ping, "icmp-echo", true},
		{"blockedname", testers + dns, "dns", true},
		{"traversal", testers + http, "http", true},
		{"ping", ping, "icmp-echo", false},
		{"dns", dns, "dns", false},
		{"http", http, "http", false},
	}
}

// defaultLabels are the labels that nobody named: a sensor is shown what it
// flags, too.
func defaultLabels(ids string) []string {
	if ids == "" {
		return lab.Labels()
	}
	return append(lab.Labels(), lab.Flagged()...)
}

// chooseLabels keeps the labels that names lists, in the lab's own order.
func chooseLabels(names []string) ([]labLabel, error) {
	known := labLabels()
	for _, name := range names {
		if !slices.ContainsFunc(known, func(l labLabel) bool { return l.Name == name }) {
			return nil, fmt.Errorf("--labels %q: the lab has %s", name, strings.Join(append(lab.Labels(), lab.Flagged()...), ", "))
		}
	}
	return slices.DeleteFunc(known, func(l labLabel) bool { return !slices.Contains(names, l.Name) }), nil
}

// config writes and reads the lab's config.
func (o labOptions) config(state string) (config.Config, []byte, error) {
	labels, err := chooseLabels(o.labels)
	if err != nil {
		return config.Config{}, nil, err
	}
	t, err := template.New("lab").Parse(labConfigText)
	if err != nil {
		return config.Config{}, nil, err
	}
	var text bytes.Buffer
	err = t.Execute(&text, map[string]any{
		"LAN": lab.GatewayLAN, "WAN": lab.GatewayWAN, "Servers": lab.ServersNetwork(),
		"Labels": labels, "Rate": o.rate, "Recipe": o.recipe, "State": state,
	})
	if err != nil {
		return config.Config{}, nil, err
	}
	cfg, err := configLoader().Parse("lab config", text.Bytes())
	return cfg, text.Bytes(), err
}
