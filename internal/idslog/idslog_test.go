package idslog

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pacgan-appliance/internal/packet"
)

var near = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)

func flowKey(protocol uint8, src, dst string) packet.FlowKey {
	return packet.FlowKey{Protocol: protocol, Src: netip.MustParseAddrPort(src), Dst: netip.MustParseAddrPort(dst)}
}

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return t
}

const zeekHead = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tnotice\n#open\t2026-11-25-08-51-07\n" +
	"#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tfuid\tproto\tnote\tmsg\tactions\n" +
	"#types\ttime\tstring\taddr\tport\taddr\tport\tstring\tenum\tenum\tstring\tset[enum]\n"

// TestParse reads what Suricata 7, Zeek 6 and Snort 3 write; the last line of each log is compared.
func TestParse(t *testing.T) {
	tests := []struct {
		name string
		kind Kind
		log  string
		want Event
	}{
		{
			"Suricata: alert on HTTP", Suricata,
			`{"timestamp":"2026-11-25T08:51:07.198005+0100","flow_id":1154611008869142,"in_iface":"br0","event_type":"alert","src_ip":"10.77.1.5","src_port":59010,"dest_ip":"10.77.2.2","dest_port":80,"proto":"TCP","tx_id":0,"community_id":"1:LQU9qZlK+B5F3KDmev6m5PMibrg=","alert":{"action":"allowed","gid":1,"signature_id":2013028,"rev":6,"signature":"LOCAL \"path\" traversal","category":"","severity":2,"metadata":{"signature":["x"]}},"http":{"hostname":"a","url":"/..%2f"},"app_proto":"http","flow":{"pkts_toserver":4,"start":"2026-11-25T08:51:07.061942+0100","src_ip":"10.77.1.5"}}`,
			Event{
				Alert: true, Time: at("2026-11-25T07:51:07.198005Z"), Start: at("2026-11-25T07:51:07.061942Z"), Flow: flowKey(packet.ProtoTCP, "10.77.1.5:59010", "10.77.2.2:80"),
				ID: []byte("1:2013028"), Text: []byte(`LOCAL "path" traversal`), CommunityID: []byte("1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
			},
		},
		{
			"Suricata: ICMP", Suricata,
			`{"timestamp":"2026-11-25T08:51:07.1+0000","event_type":"alert","src_ip":"10.77.2.2","src_port":0,"dest_ip":"10.77.1.5","dest_port":0,"proto":"ICMP","icmp_type":0,"icmp_code":0,"alert":{"gid":1,"signature_id":7,"signature":"big"}}`,
			Event{Alert: true, Time: at("2026-11-25T08:51:07.1Z"), Flow: flowKey(packet.ProtoICMP, "10.77.2.2:0", "10.77.1.5:8"), ID: []byte("1:7"), Text: []byte("big")},
		},
		{
			"Suricata: ICMPv6", Suricata,
			`{"timestamp":"2026-11-25T08:51:07Z","event_type":"alert","src_ip":"fd00::1","dest_ip":"fd00::2","proto":"IPv6-ICMP","icmp_type":128,"icmp_code":0,"alert":{"gid":3,"signature_id":7}}`,
			Event{Alert: true, Time: at("2026-11-25T08:51:07Z"), Flow: flowKey(packet.ProtoICMPv6, "[fd00::1]:128", "[fd00::2]:129"), ID: []byte("3:7")},
		},
		{
			"Suricata: no alert, and no more read than that", Suricata, `{"timestamp":"2026-11-25T08:51:07.1+0000","event_type":"stats","stats":{"upt`,
			Event{Time: at("2026-11-25T08:51:07.1Z")},
		},
		{
			"Suricata: the event type first", Suricata, `{"event_type":"stats","timestamp":"2026-11-25T08:51:07.1+0000","stats":{}}`,
			Event{Time: at("2026-11-25T08:51:07.1Z")},
		},
		{
			"Zeek: notice of a connection", Zeek, zeekHead + "1764060667.123456\tCgkst131IUdHJOpuu7\t10.77.1.5\t59213\t10.77.2.2\t80\t-\ttcp\tLocal::Traversal\tseen in /..\tNotice::ACTION_LOG",
			Event{
				Alert: true, Time: at("2025-11-25T08:51:07.123456Z"), Flow: flowKey(packet.ProtoTCP, "10.77.1.5:59213", "10.77.2.2:80"),
				ID: []byte("Local::Traversal"), Connection: []byte("Cgkst131IUdHJOpuu7"),
			},
		},
		{
			"Zeek: notice of a host", Zeek, zeekHead + "1764060667.123456\t-\t-\t-\t-\t-\t-\t-\tScan::Port_Scan\t10.77.1.5 scanned\tNotice::ACTION_LOG",
			Event{Alert: true, Time: at("2025-11-25T08:51:07.123456Z"), ID: []byte("Scan::Port_Scan")},
		},
		{
			"Zeek: notice as JSON", Zeek, `{"ts":"2026-11-25T08:51:07.123456Z","uid":"C1","id.orig_h":"fd00::1","id.orig_p":128,"id.resp_h":"fd00::2","id.resp_p":129,"proto":"icmp","note":"Local::Big","msg":"big","actions":["Notice::ACTION_LOG"],"p":null}`,
			Event{Alert: true, Time: at("2026-11-25T08:51:07.123456Z"), Flow: flowKey(packet.ProtoICMPv6, "[fd00::1]:128", "[fd00::2]:129"), ID: []byte("Local::Big"), Connection: []byte("C1")},
		},
		{
			"Zeek: conn.log as JSON", Zeek, `{"ts":1764060667.5,"uid":"C2","id.orig_h":"10.77.1.5","id.orig_p":8,"id.resp_h":"10.77.2.2","id.resp_p":0,"proto":"icmp","conn_state":"OTH","orig_pkts":1,"community_id":"1:x"}`,
			Event{
				Time: at("2025-11-25T08:51:07.5Z"), Start: at("2025-11-25T08:51:07.5Z"), Flow: flowKey(packet.ProtoICMP, "10.77.1.5:8", "10.77.2.2:0"),
				Connection: []byte("C2"), CommunityID: []byte("1:x"),
			},
		},
		{
			"Snort: the default fields, of last year", Snort,
			`{ "timestamp" : "12/31-23:59:59.153899", "pkt_num" : 5, "proto" : "TCP", "pkt_gen" : "stream_tcp", "pkt_len" : 97, "dir" : "C2S", "src_ap" : "10.77.1.5:50284", "dst_ap" : "10.77.2.2:80", "rule" : "1:1000000:0", "action" : "would_drop" }`,
			Event{Alert: true, Time: at("2025-12-31T23:59:59.153899Z"), Flow: flowKey(packet.ProtoTCP, "10.77.1.5:50284", "10.77.2.2:80"), ID: []byte("1:1000000")},
		},
		{
			"Snort: ICMP of which the type is not said", Snort,
			`{ "timestamp" : "01/03-06:23:51.078597", "proto" : "ICMP", "src_ap" : "10.77.2.2:0", "dst_ap" : "10.77.1.5:0", "rule" : "1:10000002:0" }`,
			Event{Alert: true, Time: at("2026-01-03T06:23:51.078597Z"), Flow: flowKey(packet.ProtoICMP, "10.77.2.2:0", "10.77.1.5:8"), ID: []byte("1:10000002")},
		},
		{
			"Snort: all fields, seconds first", Snort,
			`{ "seconds" : 1764060667, "timestamp" : "25/11/25-09:51:07.078597", "proto" : "UDP", "src_addr" : "fd00::1", "src_port" : 40000, "dst_addr" : "fd00::2", "dst_port" : 53, "gid" : 1, "sid" : 9, "rev" : 2, "msg" : "name" }`,
			Event{Alert: true, Time: at("2025-11-25T08:51:07.078597Z"), Flow: flowKey(packet.ProtoUDP, "[fd00::1]:40000", "[fd00::2]:53"), ID: []byte("1:9"), Text: []byte("name")},
		},
		{
			"Snort: IPv6 without brackets", Snort, `{ "timestamp" : "01/03-06:23:51.0", "proto" : "ICMP", "src_ap" : "fd00::1:0", "dst_ap" : "fd00::2:0", "rule" : "1:3:0" }`,
			Event{Alert: true, Time: at("2026-01-03T06:23:51Z"), Flow: flowKey(packet.ProtoICMPv6, "[fd00::1]:128", "[fd00::2]:129"), ID: []byte("1:3")},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := NewParser(tt.kind, near)
			if err != nil {
				t.Fatal(err)
			}
			var got Event
			said := false
			for line := range strings.Lines(tt.log) {
				if said, err = p.Parse([]byte(strings.TrimSuffix(line, "\n")), &got); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" || !said {
				t.Errorf("said %t; (-want +got):\n%s", said, diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		name string
		kind Kind
		line string
		want string
	}{
		{"Suricata: no JSON", Suricata, `11/25/2026-08:51:07.1  [**] [1:7:1] fast.log`, "EVE: must be a JSON object"},
		{"Suricata: a list", Suricata, `[1]`, "EVE: must be a JSON object"},
		{"Suricata: other JSON", Suricata, `{"a":1}`, "EVE: timestamp is missing: is this EVE JSON?"},
		{"Suricata: time", Suricata, `{"timestamp":"yesterday"}`, `EVE: timestamp "yesterday": must be a time such as "2026-11-25T08:51:07.123456+0000"`},
		{"Suricata: port", Suricata, `{"timestamp":"2026-11-25T08:51:07Z","event_type":"alert","src_port":65536}`, `EVE: src_port "65536": must be a whole number from 0 to 65535`},
		{"Suricata: address", Suricata, `{"timestamp":"2026-11-25T08:51:07Z","event_type":"alert","src_ip":"host"}`, `EVE: src_ip "host": must be an IP address`},
		{"Zeek: no head", Zeek, "1764060667.1\tC1", "zeek: no #fields line before this one"},
		{"Zeek: time", Zeek, `{"ts":1e3}`, `zeek: ts "1e3": must be a time such as "1764060667.123456"`},
		{"Zeek: other JSON", Zeek, `{"uid":"C1"}`, "zeek: ts is missing: is this notice.log or conn.log?"},
		{"Snort: no rule", Snort, `{"timestamp":"01/03-06:23:51.0"}`, `alert_json: the signature is missing: add "rule", or "gid" and "sid", to fields`},
		{"Snort: time", Snort, `{"timestamp":"02/30-06:23:51.0"}`, `alert_json: timestamp "02/30-06:23:51.0": must be a time such as "11/25-08:51:07.123456"`},
		{"Snort: end", Snort, `{"src_ap":"10.0.0.1"}`, `alert_json: src_ap "10.0.0.1": must be an address and a port`},
		{"Snort: goes on", Snort, `{"timestamp":"01/03-06:23:51.0","rule":"1:2:3"} {}`, "alert_json: { after the object"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := NewParser(tt.kind, near)
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Parse([]byte(tt.line), new(Event))
			if got := errorText(err); got != tt.want {
				t.Errorf("error %q, want %q", got, tt.want)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestParseAllocatesNothing holds the lines that logs have most of.
func TestParseAllocatesNothing(t *testing.T) {
	for name, line := range map[string]string{
		"alert": `{"timestamp":"2026-11-25T08:51:07.198005+0000","event_type":"alert","src_ip":"10.77.1.5","src_port":59010,"dest_ip":"10.77.2.2","dest_port":80,"proto":"TCP","alert":{"gid":1,"signature_id":7,"signature":"a"},"flow":{"start":"2026-11-25T08:51:07.061942+0000"}}`,
		"flow":  `{"timestamp":"2026-11-25T08:51:07.198005+0000","event_type":"flow","src_ip":"10.77.1.5","src_port":59010,"flow":{}}`,
	} {
		p, err := NewParser(Suricata, near)
		if err != nil {
			t.Fatal(err)
		}
		var e Event
		text := []byte(line)
		if n := testing.AllocsPerRun(100, func() {
			if _, err := p.Parse(text, &e); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
