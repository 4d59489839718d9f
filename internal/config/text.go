package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// NAT says whether the gateway rewrites the clients' addresses.
type NAT string

// The values of gateway.nat.
const (
	NATAuto       NAT = "auto" // found out at start
	NATNone       NAT = "none"
	NATMasquerade NAT = "masquerade"
)

// Answer says what a valid response to a label's packet is.
type Answer string

// The values of label.answer.
const (
	AnswerICMPEcho Answer = "icmp-echo" // echo reply of the same id, sequence and payload
	AnswerDNS      Answer = "dns"       // same id and question, an accepted RCODE, at least one answer
	AnswerHTTP     Answer = "http"      // an accepted status
	AnswerReply    Answer = "reply"     // anything of the reversed flow
	AnswerNone     Answer = "none"      // nothing is expected; left out of the success rate
)

// Recipe names a way to train.
type Recipe string

// The values of train.recipe.
const (
	RecipeGAN   Recipe = "gan"
	RecipePaper Recipe = "paper"
	RecipeTree  Recipe = "tree"
)

// Source says where injected packets come from.
type Source string

// The values of inject.source.
const (
	SourceModel   Source = "model"
	SourceCapture Source = "capture"
)

// SourceAddress says which source address injected packets have.
type SourceAddress string

// The values of inject.source_address.
const (
	SourceAddressAuto      SourceAddress = "auto"      // interface where lan and wan are one, else packet
	SourceAddressPacket    SourceAddress = "packet"    // the packet's own
	SourceAddressInterface SourceAddress = "interface" // the wan interface's
)

// Engine says how injected frames are handed to the kernel.
type Engine string

// The values of inject.engine.
const (
	EngineAuto     Engine = "auto"     // the faster one, measured at start
	EngineSendmmsg Engine = "sendmmsg" // a packet socket
	EngineXDP      Engine = "xdp"      // the kernel's live frames, for what is sent as fast as it goes
)

// LogLevel is the least important kind of event that is logged.
type LogLevel string

// The values of log.level.
const (
	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
)

// Payload is what is stored of captured payloads.
type Payload string

// The payloads.
const (
	PayloadKeep     Payload = "keep"     // all
	PayloadTruncate Payload = "truncate" // nothing: packets end with their headers
	PayloadHash     Payload = "hash"     // all, secrets replaced by others of the same form
)

// Rate is a number of packets per second, or the gaps that were captured.
type Rate struct {
	PerSecond float64 // above 0, unless Learned
	Learned   bool
}

// String is "learned", or the number with its unit.
func (r Rate) String() string {
	if r.Learned {
		return "learned"
	}
	return strconv.FormatFloat(r.PerSecond, 'g', -1, 64) + " packets/s"
}

// RCode is a DNS response code (RFC 1035 4.1.1).
type RCode uint8

// RCodeNoError is success.
const RCodeNoError RCode = 0

// rcodeName returns the mnemonics of RFC 1035 and RFC 2136 in the order of their codes.
func rcodeNames() []string {
	return []string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
		"YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE"}
}

// String is the code's mnemonic, as dig prints it.
func (c RCode) String() string {
	if names := rcodeNames(); int(c) < len(names) {
		return names[c]
	}
	return "RCODE" + strconv.Itoa(int(c))
}

func parseRCode(s string) (RCode, error) {
	i := slices.Index(rcodeNames(), strings.ToUpper(s))
	if i < 0 {
		return 0, fmt.Errorf("must be one of %s", strings.Join(rcodeNames(), ", "))
	}
	return RCode(i), nil
}

// StatusRange is a range of HTTP status codes, both ends included.
type StatusRange struct {
	From, To uint16
}

// String is the range as config.toml writes it: "2xx", "404" or "200-204".
func (r StatusRange) String() string {
	switch {
	case r.From == r.To:
		return strconv.Itoa(int(r.From))
	case r.From%100 == 0 && r.To == r.From+99:
		return strconv.Itoa(int(r.From/100)) + "xx"
	}
	return fmt.Sprintf("%d-%d", r.From, r.To)
}

func parseStatusRange(s string) (StatusRange, error) {
	bad := fmt.Errorf(`must be a status such as "200", "2xx" or "200-204", from 100 to 599`)
	if len(s) == 3 && strings.HasSuffix(s, "xx") && s[0] >= '1' && s[0] <= '5' {
		from := uint16(s[0]-'0') * 100
		return StatusRange{from, from + 99}, nil
	}
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	from, err1 := strconv.ParseUint(first, 10, 16)
	to, err2 := strconv.ParseUint(last, 10, 16)
	if err1 != nil || err2 != nil || from < 100 || to > 599 || from > to {
		return StatusRange{}, bad
	}
	return StatusRange{uint16(from), uint16(to)}, nil
}

// ByteSize is a number of bytes.
type ByteSize int64

type byteUnit struct {
	name  string
	bytes ByteSize
}

// byteUnits returns the units, binary ones first and largest first in each.
func byteUnits() []byteUnit {
	return []byteUnit{
		{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
	}
}

// String is the size in the largest binary unit that divides it.
func (b ByteSize) String() string {
	for _, u := range byteUnits() {
		if b != 0 && b%u.bytes == 0 && (strings.HasSuffix(u.name, "iB") || u.bytes == 1) {
			return fmt.Sprintf("%d%s", b/u.bytes, u.name)
		}
	}
	return "0B"
}

// Set implements pflag.Value: sizes are the same on the command line.
func (b *ByteSize) Set(s string) error {
	size, err := parseByteSize(s)
	if err == nil {
		*b = size
	}
	return err
}

// Type implements pflag.Value.
func (*ByteSize) Type() string { return "size" }

func parseByteSize(s string) (ByteSize, error) {
	bad := fmt.Errorf(`must be a size such as "512MiB" or "2GiB"`)
	for _, u := range byteUnits() {
		number, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/int64(u.bytes) {
			return 0, bad
		}
		return ByteSize(n) * u.bytes, nil
	}
	return 0, bad
}
