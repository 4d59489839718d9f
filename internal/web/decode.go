package web

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// field is one decoded field of a packet.
type field struct{ Name, Value string }

// fieldPair is a field of the real and of the generated packet; Differ marks
// it. A field that only one of the two has is "" in the other.
type fieldPair struct {
	Name, Real, Generated string
	Differ                bool
}

// Bounds of what is shown of a packet that may hold anything.
const (
	longestValue  = 120
	mostHTTPLines = 8
	mostQuestions = 3
)

// pairFields sets the fields of two packets side by side, in the order of the
// real one, those that it has not at the end.
func pairFields(realPacket, generated []byte) []fieldPair {
	a, b := decode(realPacket), decode(generated)
	var out []fieldPair
	for _, f := range a {
		out = append(out, fieldPair{Name: f.Name, Real: f.Value})
	}
	for _, f := range b {
		i := slices.IndexFunc(out, func(p fieldPair) bool { return p.Name == f.Name })
		if i < 0 {
			out = append(out, fieldPair{Name: f.Name})
			i = len(out) - 1
		}
		out[i].Generated = f.Value
	}
	for i := range out {
		out[i].Differ = out[i].Real != out[i].Generated
	}
	return out
}

// decode lists the fields of an IPv4 packet, as far as it can be decoded; why
// it cannot further is the last. Checksums are left out: they are repaired
// after generation. Names do not repeat.
func decode(ip []byte) []field {
	var d decoder
	p := gopacket.NewPacket(ip, layers.LayerTypeIPv4, gopacket.NoCopy)
	for _, layer := range p.Layers() {
		if len(layer.LayerContents()) == 0 {
			continue // gopacket lists what it could not decode, too, empty
		}
		switch l := layer.(type) {
		case *layers.IPv4:
			d.ipv4(l)
		case *layers.ICMPv4:
			d.add("ICMP type", l.TypeCode.String())
			d.add("ICMP id", l.Id)
			d.add("ICMP sequence", l.Seq)
			d.add("payload", fmt.Sprintf("%d bytes", len(l.Payload)))
		case *layers.UDP:
			d.add("source port", uint16(l.SrcPort))
			d.add("destination port", uint16(l.DstPort))
			d.add("UDP length", l.Length)
		case *layers.TCP:
			d.tcp(l)
		case *layers.DNS:
			d.dns(l)
		}
	}
	if e := p.ErrorLayer(); e != nil {
		d.add("cannot be decoded", e.Error())
	}
	return d.fields
}

type decoder struct{ fields []field }

// add bounds the value and escapes what does not print.
func (d *decoder) add(name string, value any) {
	text := strconv.Quote(fmt.Sprint(value))
	text = strings.ReplaceAll(text[1:len(text)-1], `\"`, `"`)
	if r := []rune(text); len(r) > longestValue {
		text = string(r[:longestValue]) + "…"
	}
	d.fields = append(d.fields, field{name, text})
}

func (d *decoder) ipv4(l *layers.IPv4) {
	d.add("source", l.SrcIP)
	d.add("destination", l.DstIP)
	d.add("length", l.Length)
	d.add("TTL", l.TTL)
	d.add("id", l.Id)
	if l.TOS != 0 {
		d.add("TOS", l.TOS)
	}
	if l.Flags != 0 || l.FragOffset != 0 {
		d.add("fragment flags", fmt.Sprintf("%s offset %d", l.Flags, l.FragOffset))
	}
	d.add("protocol", l.Protocol)
}

func (d *decoder) tcp(l *layers.TCP) {
	d.add("source port", uint16(l.SrcPort))
	d.add("destination port", uint16(l.DstPort))
	d.add("TCP sequence", l.Seq)
	d.add("TCP acknowledgement", l.Ack)
	d.add("TCP window", l.Window)
	var kinds []string
	for _, o := range l.Options {
		kinds = append(kinds, o.OptionType.String())
	}
	if len(kinds) > 0 {
		d.add("TCP options", strings.Join(kinds, " "))
	}
	d.http(l.Payload)
}

// http lists the request line and the headers of what may be a request.
func (d *decoder) http(payload []byte) {
	if len(payload) == 0 {
		return
	}
	head, _, _ := strings.Cut(string(payload), "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	if !strings.Contains(lines[0], " HTTP/1.") {
		d.add("payload", fmt.Sprintf("%d bytes", len(payload)))
		return
	}
	d.add("HTTP request", lines[0])
	for _, line := range lines[1:min(len(lines), mostHTTPLines)] {
		name, value, _ := strings.Cut(line, ":")
		name = "HTTP " + strings.TrimSpace(name)
		if !slices.ContainsFunc(d.fields, func(f field) bool { return f.Name == name }) {
			d.add(name, strings.TrimSpace(value))
		}
	}
}

func (d *decoder) dns(l *layers.DNS) {
	d.add("DNS id", l.ID)
	d.add("DNS flags", fmt.Sprintf("response %t, recursion desired %t, opcode %s", l.QR, l.RD, l.OpCode))
	for i, q := range l.Questions[:min(len(l.Questions), mostQuestions)] {
		suffix := ""
		if i > 0 {
			suffix = fmt.Sprintf(" %d", i+1)
		}
		d.add("DNS name"+suffix, string(q.Name))
		d.add("DNS type"+suffix, q.Type)
	}
	if n := len(l.Additionals); n > 0 {
		d.add("DNS additional records", n)
	}
}
