package idslog

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"pacgan-appliance/internal/bounded"
)

// fuzzLog reads a log twice, by one parser and by another: what is said of a
// line depends on the lines above it and on nothing else. Each event is one
// that a score can be made of.
func fuzzLog(f *testing.F, kind Kind, seeds ...string) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, log []byte) {
		defer bounded.Input(t, len(log))()
		var parsers [2]Parser
		for i := range parsers {
			var err error
			if parsers[i], err = NewParser(kind, near); err != nil {
				t.Fatal(err)
			}
		}
		for line := range bytes.Lines(log) {
			line = bytes.TrimSuffix(line, []byte("\n"))
			var e, again Event
			said, err := parsers[0].Parse(line, &e)
			saidAgain, errAgain := parsers[1].Parse(bytes.Clone(line), &again)
			if said != saidAgain || errorText(err) != errorText(errAgain) || !bytes.Equal(e.ID, again.ID) || e.Flow != again.Flow || !e.Time.Equal(again.Time) {
				t.Fatalf("%q: %t, %v, %+v and then %t, %v, %+v", line, said, err, e, saidAgain, errAgain, again)
			}
			if strings.Contains(errorText(err), "\n") {
				t.Errorf("%q: an error of several lines: %v", line, err)
			}
			if err != nil && said {
				t.Errorf("%q: said something, and error %v", line, err)
			}
			if !said {
				continue
			}
			if e.Time.IsZero() || e.Alert && len(e.ID) == 0 {
				t.Errorf("%q: event without time or signature: %+v", line, e)
			}
			if e.Flow.Protocol != 0 && (!e.Flow.Src.Addr().IsValid() || !e.Flow.Dst.Addr().IsValid()) {
				t.Errorf("%q: flow without an address: %+v", line, e.Flow)
			}
			if kind != Zeek && e.Alert && !json.Valid(line) && bytes.Equal(bytes.ToValidUTF8(line, nil), line) {
				t.Errorf("%q: an alert that is no JSON", line)
			}
		}
	})
}

func FuzzSuricata(f *testing.F) {
	fuzzLog(f, Suricata,
		`{"timestamp":"2026-11-25T08:51:07.198005+0100","event_type":"alert","src_ip":"10.77.1.5","src_port":1,"dest_ip":"10.77.2.2","dest_port":80,"proto":"TCP","community_id":"1:x","alert":{"gid":1,"signature_id":7,"signature":"\"a\""},"flow":{"start":"2026-11-25T08:51:07+0100"}}`,
		`{"timestamp":"2026-11-25T08:51:07Z","event_type":"alert","src_ip":"fd00::1","dest_ip":"fd00::2","proto":"IPv6-ICMP","icmp_type":128,"icmp_code":0,"alert":{}}`,
		`{"timestamp":"2026-11-25T08:51:07.198005+0100","event_type":"stats","sta`, // torn
		`{"timestamp":"2026-11-25T08:51:07Z","event_type":"alert","alert":[],"flow":null}`,
	)
}

func FuzzZeek(f *testing.F) {
	fuzzLog(f, Zeek,
		zeekHead+"1764060667.123456\tC1\t10.77.1.5\t59213\t10.77.2.2\t80\t-\ttcp\tLocal::Traversal\tm\tNotice::ACTION_LOG",
		"#separator \\x2c\n#fields,ts,note\n1.5,A\n",
		`{"ts":1764060667.5,"uid":"C2","id.orig_h":"10.77.1.5","id.orig_p":8,"id.resp_h":"10.77.2.2","id.resp_p":0,"proto":"icmp","conn_state":"OTH"}`,
		`{"ts":"2026-11-25T08:51:07Z","note":"A","actions":[1],"p":null}`,
		"#close\t2026\n",
	)
}

func FuzzSnort(f *testing.F) {
	fuzzLog(f, Snort,
		`{ "timestamp" : "12/31-23:59:59.153899", "proto" : "TCP", "src_ap" : "10.77.1.5:50284", "dst_ap" : "[fd00::1]:80", "rule" : "1:1000000:0" }`,
		`{ "seconds" : 1764060667, "proto" : "ICMP", "src_addr" : "fd00::1", "dst_addr" : "fd00::2", "gid" : 1, "sid" : 9, "icmp_type" : 128, "msg" : "name" }`,
		`{ "timestamp" : "02/29-00:00:00", "rule" : "::" }`,
	)
}
