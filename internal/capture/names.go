package capture

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// checkNames refuses every word of a filter that tcpdump would look up as a
// host or a network: a filter must compile without a resolver, and mean the
// same tomorrow. It reads words as libpcap's scanner does and lets pass
// keywords, numbers, addresses, and names where only a port or a protocol can
// stand; when in doubt it refuses.
func checkNames(expr string) error {
	named := false // after port, portrange, proto or protochain, whose names come from files
	for rest := strings.TrimLeft(expr, " \t\r\n"); rest != ""; rest = strings.TrimLeft(rest, " \t\r\n") {
		word, kind := nextWord(rest)
		rest = rest[len(word):]
		switch {
		case kind == wordName && !named:
			return fmt.Errorf("syntax error at %q: no keyword of pcap-filter(7), and host names are not looked up: write an address", strings.TrimPrefix(word, `\`))
		case kind == wordName, kind == wordNumber, slices.Contains(connectives(), word):
			// what was said before holds on, as in "port domain or 5353"
		default:
			named = slices.Contains([]string{"port", "portrange", "proto", "protochain"}, word)
		}
	}
	return nil
}

type wordKind int

const (
	wordOther wordKind = iota // keyword, address, operator
	wordNumber
	wordName
)

var (
	numberWord  = regexp.MustCompile(`^(0[xX][0-9A-Fa-f]+|[0-9]+)`)
	dottedWord  = regexp.MustCompile(`^[0-9]+(\.[0-9]+){1,3}`)
	macWord     = regexp.MustCompile(`^[0-9A-Fa-f]{1,2}((:[0-9A-Fa-f]{1,2}){5}|(-[0-9A-Fa-f]{1,2}){5}|(\.[0-9A-Fa-f]{1,2}){5})`)
	ipv6Word    = regexp.MustCompile(`^[0-9A-Fa-f:.]*`)
	nameWord    = regexp.MustCompile(`^[A-Za-z0-9]([-_.A-Za-z0-9]*[.A-Za-z0-9])?`)
	escapedWord = regexp.MustCompile(`^\\[^ !()\n\t]+`)
)

// nextWord cuts the longest word off s, which is not empty.
func nextWord(s string) (string, wordKind) {
	if word := escapedWord.FindString(s); word != "" {
		return word, wordName
	}
	address := longest(dottedWord.FindString(s), macWord.FindString(s), ipv6(s))
	number := numberWord.FindString(s)
	name := nameWord.FindString(s)
	switch {
	case address != "" && len(address) >= max(len(name), len(number)):
		return address, wordOther
	case number != "" && len(number) >= len(name):
		return number, wordNumber
	case keywords[name]:
		return name, wordOther
	case name != "":
		return name, wordName
	case strings.HasPrefix(s, "&&"), strings.HasPrefix(s, "||"):
		return s[:2], wordOther
	}
	return s[:1], wordOther
}

func ipv6(s string) string {
	word := ipv6Word.FindString(s)
	if addr, err := netip.ParseAddr(word); err != nil || !addr.Is6() {
		return ""
	}
	return word
}

func longest(words ...string) string {
	return slices.MaxFunc(words, func(a, b string) int { return len(a) - len(b) })
}

// connectives join identifiers that share one qualifier.
func connectives() []string { return []string{"and", "or", "not", "&&", "||", "!", "("} }

// keywords of libpcap 1.10's scanner that mean anything on Ethernet.
var keywords = wordSet(`
	dst src link ether ppp slip fddi tr wlan arp rarp ip sctp tcp udp icmp igmp igrp pim vrrp carp ip6 icmp6 ah esp
	atalk aarp decnet lat sca moprc mopdl iso esis es-is isis is-is l1 l2 iih lsp snp csnp psnp clnp stp ipx netbeui
	host net mask port portrange proto protochain gateway less greater byte broadcast multicast and or not len length
	inbound outbound vlan mpls pppoed pppoes geneve llc
	icmptype icmpcode icmp-echoreply icmp-unreach icmp-sourcequench icmp-redirect icmp-echo icmp-routeradvert
	icmp-routersolicit icmp-timxceed icmp-paramprob icmp-tstamp icmp-tstampreply icmp-ireq icmp-ireqreply icmp-maskreq
	icmp-maskreply icmp6type icmp6code icmp6-destinationunreach icmp6-packettoobig icmp6-timeexceeded
	icmp6-parameterproblem icmp6-echo icmp6-echoreply icmp6-multicastlistenerquery icmp6-multicastlistenerreportv1
	icmp6-multicastlistenerdone icmp6-routersolicit icmp6-routeradvert icmp6-neighborsolicit icmp6-neighboradvert
	icmp6-redirect icmp6-multicastlistenerreportv2
	tcpflags tcp-fin tcp-syn tcp-rst tcp-push tcp-ack tcp-urg tcp-ece tcp-cwr`)

func wordSet(text string) map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields(text) {
		set[word] = true
	}
	return set
}
