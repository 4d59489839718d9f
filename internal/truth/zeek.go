package truth

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"
)

// zeekColumns are those of Zeek's conn.log, and the two that labelled data sets
// add to it (IoT-23, and what reads it): a generic and a detailed label.
func zeekColumns() [][2]string {
	return [][2]string{
		{"ts", "time"}, {"uid", "string"}, {"id.orig_h", "addr"}, {"id.orig_p", "port"}, {"id.resp_h", "addr"}, {"id.resp_p", "port"},
		{"proto", "enum"}, {"service", "string"}, {"duration", "interval"}, {"orig_bytes", "count"}, {"resp_bytes", "count"},
		{"conn_state", "string"}, {"local_orig", "bool"}, {"local_resp", "bool"}, {"missed_bytes", "count"}, {"history", "string"},
		{"orig_pkts", "count"}, {"orig_ip_bytes", "count"}, {"resp_pkts", "count"}, {"resp_ip_bytes", "count"},
		{"tunnel_parents", "set[string]"}, {"label", "string"}, {"detailed-label", "string"},
	}
}

// WriteZeek writes the records of packets that left for the wire in the form of
// Zeek's conn.log with labels, a line each, and returns how many. The uid is
// the record's UUID. What the record does not know is unset ("-"): a service, a
// conversation's bytes, the connection's state.
func WriteZeek(w io.Writer, records iter.Seq2[*Record, error]) (int, error) {
	out := bufio.NewWriter(w)
	var names, types []string
	for _, c := range zeekColumns() {
		names, types = append(names, c[0]), append(types, c[1])
	}
	fmt.Fprintf(out, "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n#fields\t%s\n#types\t%s\n",
		strings.Join(names, "\t"), strings.Join(types, "\t"))
	n := 0
	var line []byte
	for r, err := range records {
		if err != nil {
			return n, err
		}
		if !r.Pacgan.Verdict.Sent() || !r.SrcIP.IsValid() {
			continue
		}
		line = appendZeek(line[:0], r)
		if _, err := out.Write(line); err != nil {
			return n, err
		}
		n++
	}
	return n, out.Flush()
}

func appendZeek(b []byte, r *Record) []byte {
	p := &r.Pacgan
	b = strconv.AppendInt(b, r.Timestamp.Unix(), 10)
	b = fmt.Appendf(b, ".%06d\t", r.Timestamp.Nanosecond()/1000)
	b, _ = r.UUID.AppendText(b) // has no error
	from, to := r.SrcPort, r.DestPort
	icmp := r.Proto == protoICMP || r.Proto == protoICMPv6
	if icmp { // Zeek's ports of ICMP
		from, to = uint16(r.ICMPType), uint16(r.ICMPCode)
	}
	b = fmt.Appendf(b, "\t%s\t%d\t%s\t%d\t%s\t-", r.SrcIP, from, r.DestIP, to, zeekProto(r.Proto))
	if p.Verdict == Answered {
		b = fmt.Appendf(b, "\t%.6f", time.Duration(p.RTT).Seconds())
	} else {
		b = append(b, "\t-"...)
	}
	b = append(b, "\t-\t-\t-\t-\t-\t-\t-"...)
	if r.Proto == protoTCP { // a conversation around the packet
		b = append(b, "\t-\t-"...)
	} else {
		b = fmt.Appendf(b, "\t1\t%d", p.Bytes)
	}
	label := "Benign"
	if p.Malicious {
		label = "Malicious"
	}
	return fmt.Appendf(b, "\t-\t-\t-\t%s\t%s\n", label, p.Label)
}

// zeekProto is Zeek's transport_proto.
func zeekProto(proto string) string {
	switch proto {
	case protoTCP, protoUDP:
		return strings.ToLower(proto)
	case protoICMP, protoICMPv6:
		return "icmp"
	}
	return "unknown_transport"
}
