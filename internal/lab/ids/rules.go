package ids

import (
	"fmt"
	"strings"

	"pacgan-appliance/internal/lab/plan"
)

// Rule is one of the local rules, in Suricata's language.
type Rule struct {
	Label string // that it is meant to flag
	SID   int
	Text  string
}

// Rules are the lab's local rules: one for each label of plan.Flagged. They look at what is in a packet,
// never at who sent it.
func Rules() []Rule {
	return []Rule{
		rule("bigping", 7700001, `icmp any any -> any any`, `itype:8; dsize:>512; classtype:misc-attack;`, "oversized ping"),
		rule("blockedname", 7700002, `dns any any -> any any`,
			fmt.Sprintf(`dns.query; content:".%s"; nocase; endswith; classtype:domain-c2;`, plan.BlockedZone), "query of a blocked name"),
		rule("traversal", 7700003, `http any any -> any any`,
			`flow:established,to_server; http.uri.raw; content:".."; pcre:"/\.\.(\/|%2f)/i"; classtype:web-application-attack;`, "path traversal in a URL"),
	}
}

func rule(label string, sid int, header, options, message string) Rule {
	return Rule{label, sid, fmt.Sprintf(`alert %s (msg:"pacgan lab: %s"; %s sid:%d; rev:1;)`, header, message, options, sid)}
}

// rulesFile is what Suricata reads.
func rulesFile(rules []Rule) []byte {
	var b strings.Builder
	b.WriteString("# Written by pacgan-appliance lab.\n")
	for _, r := range rules {
		b.WriteString(r.Text + "\n")
	}
	return []byte(b.String())
}
