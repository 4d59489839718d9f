// Package privacy knows what in captured payloads is likely to be somebody's
// secret. It scrubs packets before they are stored, and measures how much a
// generator repeats of those that it was trained on. It judges nothing: what
// share is too much is the config's to say.
package privacy

import (
	"bytes"
	"math"
	"regexp"

	"golang.org/x/net/dns/dnsmessage"

	"pacgan-appliance/internal/packet"
)

// Kind is a kind of secret.
type Kind string

// The kinds. Tokens and names count only where one client alone has sent them:
// what several send is the servers' and no one's own.
const (
	KindAuthorization Kind = "authorization" // credentials of an HTTP request
	KindCookie        Kind = "cookie"        // the value of one
	KindEmail         Kind = "email"         // an address
	KindToken         Kind = "token"         // a long word of letters and digits without a pattern
	KindName          Kind = "name"          // that was asked for by DNS, or an HTTP host
)

// Kinds are all there are.
func Kinds() []Kind { return []Kind{KindAuthorization, KindCookie, KindEmail, KindToken, KindName} }

// shared tells the kinds that are secrets only where one client has them.
func (k Kind) shared() bool { return k == KindToken || k == KindName }

const (
	leastCookie  = 6   // bytes: shorter values are flags and counters
	leastName    = 4   // bytes
	leastEntropy = 3.0 // bits a byte of a token: words and numbers have less
	portDNS      = 53
)

var (
	authorizations = regexp.MustCompile(`(?i)\r\n(?:proxy-)?authorization:[ \t]*([^\r\n]+)`)
	cookieHeaders  = regexp.MustCompile(`(?i)\r\n(?:set-)?cookie:[ \t]*([^\r\n]+)`)
	hosts          = regexp.MustCompile(`(?i)\r\nhost:[ \t]*([^\r\n]+)`)
	emails         = regexp.MustCompile(`[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,8}\.[A-Za-z]{2,24}`)
	words          = regexp.MustCompile(`[A-Za-z0-9_-]{16,}`)
)

// secret is a range of a payload, [from, to).
type secret struct {
	kind     Kind
	from, to int
}

// payloadOf is what a packet carries for an application, and whether that is a
// DNS message. Nothing where it cannot be told.
func payloadOf(p packet.IP) (payload []byte, dns bool) {
	if p.FragmentOffset() != 0 {
		return nil, false
	}
	payload = p.L4Data()
	if p.Protocol() == packet.ProtoUDP && len(p.Payload()) >= 8 {
		udp := packet.UDP(p.Payload())
		dns = udp.SrcPort() == portDNS || udp.DstPort() == portDNS
	}
	return payload, dns
}

// secretsIn finds what looks like a secret in a payload. Ranges of different
// kinds may overlap.
func secretsIn(payload []byte, dns bool) []secret {
	if dns {
		return namesIn(payload)
	}
	var found []secret
	add := func(kind Kind, least int, from, to int) {
		if to-from >= least {
			found = append(found, secret{kind, from, to})
		}
	}
	for _, at := range authorizations.FindAllSubmatchIndex(payload, -1) {
		add(KindAuthorization, 1, at[2], at[3])
	}
	for _, at := range cookieHeaders.FindAllSubmatchIndex(payload, -1) {
		for from := at[2]; from < at[3]; {
			end := at[3]
			if i := bytes.IndexByte(payload[from:at[3]], ';'); i >= 0 {
				end = from + i
			}
			if i := bytes.IndexByte(payload[from:end], '='); i >= 0 {
				add(KindCookie, leastCookie, from+i+1, end)
			}
			from = end + 1
		}
	}
	for _, at := range emails.FindAllIndex(payload, -1) {
		add(KindEmail, 1, at[0], at[1])
	}
	for _, at := range words.FindAllIndex(payload, -1) {
		if random(payload[at[0]:at[1]]) {
			add(KindToken, 1, at[0], at[1])
		}
	}
	for _, at := range hosts.FindAllSubmatchIndex(payload, -1) {
		add(KindName, leastName, at[2], at[3])
	}
	return found
}

// namesIn is the question of a DNS message, as it stands on the wire.
func namesIn(message []byte) []secret {
	var p dnsmessage.Parser
	if _, err := p.Start(message); err != nil {
		return nil
	}
	if _, err := p.Question(); err != nil {
		return nil
	}
	const header = 12
	at := header
	for at < len(message) && message[at] != 0 && message[at] < 64 {
		at += 1 + int(message[at])
	}
	if at > len(message) || at-header < leastName {
		return nil
	}
	return []secret{{KindName, header, at}}
}

// random tells a word that nobody has chosen: letters, digits, and hardly one
// like another.
func random(word []byte) bool {
	var count [256]int
	letters, digits := 0, 0
	for _, c := range word {
		count[c]++
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c != '_' && c != '-':
			letters++
		}
	}
	if letters == 0 || digits == 0 {
		return false
	}
	entropy := 0.0
	for _, n := range count {
		if n > 0 {
			share := float64(n) / float64(len(word))
			entropy -= share * math.Log2(share)
		}
	}
	return entropy >= leastEntropy
}
