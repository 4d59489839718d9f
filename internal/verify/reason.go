package verify

import "strconv"

// rcodes names the DNS RCODEs (IANA) that a response may be rejected for.
// NOERROR is here only where the response has no answer.
var rcodes = [16]string{
	"empty", "formerr", "servfail", "nxdomain", "notimp", "refused", "yxdomain", "yxrrset",
	"nxrrset", "notauth", "notzone", "dsotypeni", "rcode-12", "rcode-13", "rcode-14", "rcode-15",
}

// unreachable names the codes of ICMP destination unreachable (RFC 792, RFC 1122, RFC 1812).
var unreachable = [16]string{
	"net-unreachable", "host-unreachable", "protocol-unreachable", "port-unreachable",
	"fragmentation-needed", "source-route-failed", "net-unknown", "host-unknown",
	"host-isolated", "net-prohibited", "host-prohibited", "net-unreachable-for-tos",
	"host-unreachable-for-tos", "prohibited", "precedence-violation", "precedence-cutoff",
}

// unreachable6 names the codes of ICMPv6 destination unreachable (RFC 4443, RFC
// 6550, RFC 8883).
var unreachable6 = [16]string{
	"no-route", "prohibited", "beyond-scope", "address-unreachable", "port-unreachable",
	"source-policy-failed", "route-rejected", "source-route-failed", "headers-too-long", "code-9",
	"code-10", "code-11", "code-12", "code-13", "code-14", "code-15",
}

// singles names the reasons that stand alone.
var singles = map[matchReason]string{
	matchReasonREASON_RST:        "rst",
	matchReasonREASON_CLOSED:     "closed without an answer",
	matchReasonREASON_NOT_HTTP:   "not http",
	matchReasonREASON_UNEXPECTED: "unexpected reply",
	matchReasonREASON_TRUNCATED:  "truncated reply",
	matchReasonREASON_MALFORMED:  "malformed reply",
	matchReasonREASON_NO_TEXT:    "text missing",
	matchReasonREASON_TIME:       "icmp ttl-exceeded",
	matchReasonREASON_TIME + 1:   "icmp reassembly-time-exceeded",
	matchReasonREASON_PARAMETER:  "icmp parameter-problem",
	matchReasonREASON_TOO_BIG:    "icmp6 packet-too-big",
}

// String is the reason as people read it: "nxdomain", "http 404", "rst",
// "icmp host-unreachable". There are few enough to be a metric's label.
func (r matchReason) String() string {
	if name, ok := singles[r]; ok {
		return name
	}
	switch {
	case r >= matchReasonREASON_RCODE && r < matchReasonREASON_RCODE+16:
		return rcodes[r-matchReasonREASON_RCODE]
	case r >= matchReasonREASON_UNREACH && r < matchReasonREASON_UNREACH+16:
		return "icmp " + unreachable[r-matchReasonREASON_UNREACH]
	case r >= matchReasonREASON_UNREACH6 && r < matchReasonREASON_UNREACH6+16:
		return "icmp6 " + unreachable6[r-matchReasonREASON_UNREACH6]
	case r >= matchReasonREASON_HTTP && r < matchReasonREASONS:
		return "http " + strconv.Itoa(int(r))
	}
	return "reason " + strconv.Itoa(int(r))
}
