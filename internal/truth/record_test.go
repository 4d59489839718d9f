package truth

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// testRecord is record i of a label's.
func testRecord(i int) Record {
	at := time.Date(2026, 11, 25, 8, 51, 7, 123456789, time.UTC).Add(time.Duration(i) * time.Millisecond)
	return Record{
		Timestamp: Time{at}, EventType: EventType, FlowID: 1234567890123456, UUID: UUID{0x01, 0x8f, 14: byte(i >> 8), 15: byte(i)},
		SrcIP: netip.MustParseAddr("10.77.1.5"), SrcPort: 40000, DestIP: netip.MustParseAddr("10.77.2.2"), DestPort: 53,
		Proto: "UDP", CommunityID: "1:abcdefghijklmnopqrstuvwxyz0=",
		Pacgan: Pacgan{
			Label: "dns", Source: SourceModel, Model: "20261125T083830Z-78428678", ModelHash: "7842", Seed: 17, Index: uint64(i),
			Verdict: Answered, RTT: 135000, Bytes: 75, Left: -7, Span: 136000, Fingerprint: 1<<32 - 1,
		},
	}
}

func TestEncodedForm(t *testing.T) {
	echo := testRecord(1)
	echo.SrcIP, echo.DestIP = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	echo.Proto, echo.SrcPort, echo.DestPort, echo.ICMPType = protoICMPv6, 0, 0, 0
	echo.Pacgan.Malicious = true
	bad := Record{Timestamp: echo.Timestamp, EventType: EventType, Pacgan: Pacgan{
		Label: "häß\"lich", Source: SourceCapture, Verdict: Malformed, Reason: "malformed packet: \n", Bytes: 3,
	}}
	for _, tt := range []struct {
		name string
		give Record
		want string
	}{
		{"udp", testRecord(0), `{"timestamp":"2026-11-25T08:51:07.123456789+0000","event_type":"pacgan","flow_id":1234567890123456,` +
			`"uuid":"018f0000-0000-0000-0000-000000000000","src_ip":"10.77.1.5","src_port":40000,"dest_ip":"10.77.2.2","dest_port":53,` +
			`"proto":"UDP","community_id":"1:abcdefghijklmnopqrstuvwxyz0=","pacgan":{"label":"dns","malicious":false,"source":"model",` +
			`"model":"20261125T083830Z-78428678","model_hash":"7842","seed":17,"index":0,"verdict":"answered","reason":"","rtt_ns":135000,"bytes":75,"left_ns":-7,"span_ns":136000,"fingerprint":4294967295}}` + "\n"},
		{"type 0 of ICMP is written", echo, `{"timestamp":"2026-11-25T08:51:07.124456789+0000","event_type":"pacgan","flow_id":1234567890123456,` +
			`"uuid":"018f0000-0000-0000-0000-000000000001","src_ip":"2001:db8::1","dest_ip":"2001:db8::2",` +
			`"proto":"IPv6-ICMP","icmp_type":0,"icmp_code":0,"community_id":"1:abcdefghijklmnopqrstuvwxyz0=","pacgan":{"label":"dns","malicious":true,"source":"model",` +
			`"model":"20261125T083830Z-78428678","model_hash":"7842","seed":17,"index":1,"verdict":"answered","reason":"","rtt_ns":135000,"bytes":75,"left_ns":-7,"span_ns":136000,"fingerprint":4294967295}}` + "\n"},
		{"no IP packet, words that need escapes", bad, `{"timestamp":"2026-11-25T08:51:07.124456789+0000","event_type":"pacgan","flow_id":0,` +
			`"uuid":"00000000-0000-0000-0000-000000000000","pacgan":{"label":"häß\"lich","malicious":false,"source":"capture",` +
			`"seed":0,"index":0,"verdict":"malformed","reason":"malformed packet: \n","rtt_ns":0,"bytes":3}}` + "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			line := appendRecord(nil, &tt.give)
			if diff := cmp.Diff(tt.want, string(line)); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
			var back Record
			if err := json.Unmarshal(line, &back); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.give, back, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("read again (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	for _, tt := range []struct{ name, give, want string }{
		{"time without a zone", `{"timestamp":"2026-11-25T08:51:07"}`, `timestamp "2026-11-25T08:51:07": must have the form of 2006-01-02T15:04:05.000000000-0700`},
		{"time as a number", `{"timestamp":17}`, `timestamp 17: must be a string such as "2006-01-02T15:04:05.000000000-0700"`},
		{"short uuid", `{"uuid":"018f"}`, `uuid "018f": must look like 018f1e2d-3c4b-7a69-8877-665544332211`},
		{"uuid of no digits", `{"uuid":"018f1e2d-3c4b-7a69-8877-66554433221x"}`, `uuid "018f1e2d-3c4b-7a69-8877-66554433221x": must look like 018f1e2d-3c4b-7a69-8877-665544332211`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := json.Unmarshal([]byte(tt.give), new(Record))
			if err == nil || err.Error() != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

// TestReadsEVEsTime reads what Suricata writes: microseconds, a zone of its own.
func TestReadsEVEsTime(t *testing.T) {
	var got Time
	if err := got.UnmarshalText([]byte("2026-11-25T09:51:07.123456+0100")); err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 11, 25, 8, 51, 7, 123456000, time.UTC); !got.Equal(want) {
		t.Errorf("time %v, want %v", got, want)
	}
}

func TestUUIDText(t *testing.T) {
	const text = "018f1e2d-3c4b-7a69-8877-665544332211"
	u, err := ParseUUID(text)
	if err != nil || u.String() != text {
		t.Errorf("ParseUUID(%s) = %s, %v", text, u, err)
	}
}

func TestReadDirectory(t *testing.T) {
	dir := t.TempDir()
	line := func(i int) string { r := testRecord(i); return string(appendRecord(nil, &r)) }
	for name, text := range map[string]string{
		"00000002-20261125T085107Z.jsonl":  line(2) + "{}x\n" + line(3) + line(4)[:40],
		"00000001-20261125T085107Z.jsonl":  line(0) + line(1),
		"00000010-20261125T085107Z.jsonl":  line(5),
		"00000010-20261125T085107Z.pcapng": "not read",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var indices []uint64
	var errs []string
	for r, err := range Read(dir) {
		if err != nil {
			errs = append(errs, err.Error())
			continue
		}
		indices = append(indices, r.Pacgan.Index)
	}
	if diff := cmp.Diff([]uint64{0, 1, 2, 3, 5}, indices); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	second := filepath.Join(dir, "00000002-20261125T085107Z.jsonl")
	want := []string{
		"truth " + second + ": line 2: invalid character 'x' after top-level value",
		"truth " + second + ": line 4: last line is cut off",
	}
	if diff := cmp.Diff(want, errs); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

func TestReadMissing(t *testing.T) {
	empty := t.TempDir()
	gone := filepath.Join(empty, "gone")
	for path, want := range map[string]string{
		empty: "truth " + empty + ": no *.jsonl file in this directory",
		gone:  "truth " + gone + ": no such file or directory",
	} {
		var errs []string
		for r, err := range Read(path) {
			if r != nil || err == nil {
				t.Fatalf("Read(%s) gave %v, %v", path, r, err)
			}
			errs = append(errs, err.Error())
		}
		if diff := cmp.Diff([]string{want}, errs); diff != "" {
			t.Errorf("Read(%s) (-want +got):\n%s", path, diff)
		}
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{})
	for i := range 1000 {
		mustAppend(t, l, testRecord(i))
	}
	mustClose(t, l)
	for _, i := range []int{0, 517, 999} {
		want := testRecord(i)
		got, err := Find(dir, want.UUID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, *got, cmp.Comparer(sameAddr)); diff != "" {
			t.Errorf("record (-want +got):\n%s", diff)
		}
	}
	_, err := Find(dir, UUID{1})
	want := "truth " + dir + ": 01000000-0000-0000-0000-000000000000: no record has this uuid: old ones go first where truth.max_bytes is reached"
	if !errors.Is(err, ErrNotFound) || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
