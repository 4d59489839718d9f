package plan

import (
	"net/netip"
	"strings"
)

// What follows is harmless to the lab's own servers, which answer it like anything else; the local rules of
// an IDS flag it.

// Flagged are the labels of what the testers send.
func Flagged() []string { return []string{"bigping", "blockedname", "traversal"} }

// Testers are the addresses on the LAN side that send what is flagged, and nothing else.
func Testers() []netip.Addr { return addrs(1, 200, 203) }

// TestersNetwork holds the Testers and no other client.
func TestersNetwork() netip.Prefix { return netip.PrefixFrom(Testers()[0], 30) }

// BlockedZone ends every blocked name.
const BlockedZone = "blocked.test"

// Blocked are made-up names that a rule flags. The resolvers know them, as a sinkhole does.
func Blocked() []Name {
	const hosts = "c2 drop update-7 beacon files.cdn stage2.cdn telemetry a1b2c3 x9f3q0 relay-04 panel.beta long-domain-name"
	sinkhole := PingHosts()[:1]
	var names []Name
	for _, h := range strings.Fields(hosts) {
		names = append(names, Name{Host: h + "." + BlockedZone, Addrs: sinkhole})
	}
	return names
}

// Traversals are queries of a URL with a path traversal in them, which no page here reads: the page
// comes with 200, as without them.
func Traversals() []string {
	return []string{
		"?f=../../etc/passwd", "?f=../../../etc/hosts", "?page=../../../../etc/motd", "?file=..%2f..%2fetc%2fpasswd",
		"?lang=../../var/log/syslog", "?theme=../config", "?d=../../../boot/grub", "?tpl=..%2fsecret.txt",
	}
}

// BigPings are how many bytes of data the testers' pings have; everybody else's have 56.
func BigPings() []int { return []int{600, 700, 800} }
