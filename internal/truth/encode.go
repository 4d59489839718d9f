package truth

import (
	"encoding/json"
	"net/netip"
	"strconv"
)

// appendRecord appends the record as one line, as encoding/json would write
// it but for what JSON's tags cannot say: ports stand for protocols that have
// them, type and code for ICMP, even where they are 0. By hand, because the
// daemon writes one for each packet: it allocates nothing.
func appendRecord(b []byte, r *Record) []byte {
	b = append(b, `{"timestamp":"`...)
	b, _ = r.Timestamp.AppendText(b) // has no error
	b = append(b, `","event_type":"`+EventType+`","flow_id":`...)
	b = strconv.AppendUint(b, r.FlowID, 10)
	b = append(b, `,"uuid":"`...)
	b, _ = r.UUID.AppendText(b) // has no error
	b = append(b, '"')
	b = appendFlow(b, r)
	b = append(b, `,"pacgan":{"label":`...)
	p := &r.Pacgan
	b = appendString(b, p.Label)
	b = append(b, `,"malicious":`...)
	b = strconv.AppendBool(b, p.Malicious)
	b = append(b, `,"source":`...)
	b = appendString(b, string(p.Source))
	b = appendSome(b, `,"model":`, p.Model)
	b = appendSome(b, `,"model_hash":`, p.ModelHash)
	b = append(b, `,"seed":`...)
	b = strconv.AppendUint(b, p.Seed, 10)
	b = append(b, `,"index":`...)
	b = strconv.AppendUint(b, p.Index, 10)
	b = append(b, `,"verdict":`...)
	b = appendString(b, string(p.Verdict))
	b = append(b, `,"reason":`...)
	b = appendString(b, p.Reason)
	b = append(b, `,"rtt_ns":`...)
	b = strconv.AppendInt(b, p.RTT, 10)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendInt(b, int64(p.Bytes), 10)
	if p.Left != 0 {
		b = append(b, `,"left_ns":`...)
		b = strconv.AppendInt(b, p.Left, 10)
	}
	if p.Span != 0 {
		b = append(b, `,"span_ns":`...)
		b = strconv.AppendInt(b, p.Span, 10)
	}
	if p.Fingerprint != 0 {
		b = append(b, `,"fingerprint":`...)
		b = strconv.AppendUint(b, uint64(p.Fingerprint), 10)
	}
	return append(b, "}}\n"...)
}

// appendFlow appends addresses, ports and what stands in their place.
func appendFlow(b []byte, r *Record) []byte {
	ports := r.Proto == protoTCP || r.Proto == protoUDP
	b = appendAddr(b, `,"src_ip":"`, r.SrcIP)
	if ports {
		b = append(b, `,"src_port":`...)
		b = strconv.AppendUint(b, uint64(r.SrcPort), 10)
	}
	b = appendAddr(b, `,"dest_ip":"`, r.DestIP)
	if ports {
		b = append(b, `,"dest_port":`...)
		b = strconv.AppendUint(b, uint64(r.DestPort), 10)
	}
	b = appendSome(b, `,"proto":`, r.Proto)
	if r.Proto == protoICMP || r.Proto == protoICMPv6 {
		b = append(b, `,"icmp_type":`...)
		b = strconv.AppendUint(b, uint64(r.ICMPType), 10)
		b = append(b, `,"icmp_code":`...)
		b = strconv.AppendUint(b, uint64(r.ICMPCode), 10)
	}
	return appendSome(b, `,"community_id":`, r.CommunityID)
}

func appendAddr(b []byte, key string, a netip.Addr) []byte {
	if !a.IsValid() {
		return b
	}
	b = append(b, key...)
	return append(a.AppendTo(b), '"')
}

func appendSome(b []byte, key, s string) []byte {
	if s == "" {
		return b
	}
	return appendString(append(b, key...), s)
}

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // of a string: no error
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// EVE's names of protocols.
const (
	protoTCP    = "TCP"
	protoUDP    = "UDP"
	protoICMP   = "ICMP"
	protoICMPv6 = "IPv6-ICMP"
)
