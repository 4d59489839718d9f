package score

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"pacgan-appliance/internal/idslog"
	"pacgan-appliance/internal/packet"
)

// TestJoinTellsOthersRequestsApart has a client's own requests come between
// injected ones of the same addresses and ports.
func TestJoinTellsOthersRequestsApart(t *testing.T) {
	type event struct {
		after  time.Duration // since the beginning; of an injected flow, when it left
		reply  bool          // the alert is about a reply
		start  time.Duration // of the flow, as the sensor saw it
		packet byte          // what it holds; 0: the log does not say
		label  string        // of an injected one; "": an alert
	}
	type counts struct {
		Flows              map[string]uint64 // with alerts by label
		Foreign, Ambiguous uint64
	}
	const ms, us = time.Millisecond, time.Microsecond
	const span = 200 * us // of each injected flow
	for _, c := range []struct {
		name, proto string
		events      []event
		want        counts
	}{
		{"each its own", "UDP", []event{{label: "a"}, {after: 20 * us}, {after: 5 * ms, label: "b"}, {after: 5*ms + 20*us}},
			counts{map[string]uint64{"a": 1, "b": 1}, 0, 0}},
		{"request and reply", "UDP", []event{{label: "a"}, {after: 20 * us}, {after: 160 * us, reply: true}}, counts{map[string]uint64{"a": 1}, 0, 0}},
		{"another's request behind it", "UDP", []event{{label: "a"}, {after: 20 * us}, {after: 300 * us}}, counts{map[string]uint64{"a": 1}, 1, 0}},
		{"another's ping before it", "ICMP", []event{{after: 80 * us}, {after: 90 * us, label: "a"}, {after: 100 * us}}, counts{map[string]uint64{"a": 1}, 1, 0}},
		{"another's request at once", "UDP", []event{{label: "a"}, {after: 20 * us}, {after: 30 * us}}, counts{map[string]uint64{"a": 1}, 0, 1}},
		{"another's, later", "UDP", []event{{label: "a"}, {after: time.Second}}, counts{map[string]uint64{}, 1, 0}},
		{"two under way", "ICMP", []event{{label: "a"}, {after: 10 * us}, {after: 20 * us, label: "b"}, {after: 30 * us}},
			counts{map[string]uint64{"a": 1, "b": 1}, 0, 0}},
		{"one of two under way", "ICMP", []event{{label: "a"}, {after: 20 * us, label: "b"}, {after: 30 * us}}, counts{map[string]uint64{}, 0, 1}},
		{"another's packet at once", "UDP", []event{{label: "a", packet: 'a'}, {after: 20 * us, packet: 'x'}, {after: 30 * us, packet: 'a'}},
			counts{map[string]uint64{"a": 1}, 1, 0}},
		{"another's packet alone", "ICMP", []event{{label: "a", packet: 'a'}, {after: 20 * us, packet: 'x'}, {after: 50 * us, packet: 'x', reply: true}},
			counts{map[string]uint64{}, 2, 0}},
		{"packets out of order", "ICMP", []event{{label: "a", packet: 'a'}, {after: us, label: "b", packet: 'b'}, {after: 20 * us, packet: 'b'}, {after: 30 * us, packet: 'a'}},
			counts{map[string]uint64{"a": 1, "b": 1}, 0, 0}},
		{"equal packets", "ICMP", []event{{label: "a", packet: 'a'}, {after: us, label: "b", packet: 'a'}, {after: 20 * us, packet: 'a'}, {after: 30 * us, packet: 'a'}},
			counts{map[string]uint64{"a": 1, "b": 1}, 0, 0}},
		{"a packet seen late", "UDP", []event{{label: "a", packet: 'a'}, {after: 20 * ms, packet: 'a'}}, counts{map[string]uint64{"a": 1}, 0, 0}},
		{"an answer has another packet", "UDP", []event{{label: "a", packet: 'a'}, {after: 90 * us, packet: 'x', reply: true}}, counts{map[string]uint64{"a": 1}, 0, 0}},
		{"a conversation's alerts", "TCP", []event{{label: "a"}, {after: 500 * us, start: 20 * us}, {after: 900 * ms, start: 20 * us}},
			counts{map[string]uint64{"a": 1}, 0, 0}},
		{"another's conversation on its ports", "TCP", []event{{label: "a"}, {after: 500 * us, start: 20 * us}, {after: 50 * ms, start: 300 * us}},
			counts{map[string]uint64{"a": 1}, 1, 0}},
		{"another's conversation at once", "TCP", []event{{label: "a"}, {after: 500 * us, start: 20 * us}, {after: 50 * ms, start: 40 * us}},
			counts{map[string]uint64{"a": 1}, 0, 1}},
		{"another's conversation later", "TCP", []event{{label: "a"}, {after: 700 * ms, start: 690 * ms}}, counts{map[string]uint64{}, 1, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var truth, eve strings.Builder
			for i, e := range c.events {
				f := worldFlow{src: netip.MustParseAddr("10.77.1.11"), dst: netip.MustParseAddr("10.77.2.53"), sport: 40000, dport: 5353, proto: c.proto}
				if e.label != "" {
					handed, digest := e.after-70*us, uint32(0)
					if e.packet != 0 {
						digest, _ = packet.FingerprintOf(mustIP(t, frameOf(f, false, l4Of(f, false), []byte{e.packet})))
					}
					fmt.Fprintf(&truth, `{"timestamp":"%s","event_type":"pacgan","uuid":"018f1e2d-3c4b-7a69-8877-%012x",%s,"pacgan":{"label":"%s","verdict":"answered","rtt_ns":135000,"left_ns":70000,"span_ns":%d,"fingerprint":%d}}`+"\n",
						worldBegan.Add(handed).Format("2006-01-02T15:04:05.000000000-0700"), i, f.ends(false), e.label, span, digest)
					continue
				}
				held := ""
				if e.packet != 0 {
					held = fmt.Sprintf(`"packet":"%s","packet_info":{"linktype":1},`, base64.StdEncoding.EncodeToString(frameOf(f, e.reply, l4Of(f, e.reply), []byte{e.packet})))
				}
				fmt.Fprintf(&eve, `{"timestamp":"%s","event_type":"alert",%s,%s"alert":{"gid":1,"signature_id":7,"signature":"s"},"flow":{"start":"%s"}}`+"\n",
					worldBegan.Add(e.after).Format(eveTime), f.ends(e.reply), held, worldBegan.Add(e.start).Format(eveTime))
			}
			dir := t.TempDir()
			for name, text := range map[string]string{"truth.jsonl": truth.String(), "eve.json": eve.String()} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			s, err := Run(t.Context(), Options{Truth: filepath.Join(dir, "truth.jsonl"), Sources: []Source{
				{Name: "suricata", Kind: idslog.Suricata, Paths: []string{filepath.Join(dir, "eve.json")}},
			}})
			if err != nil {
				t.Fatal(err)
			}
			got := counts{map[string]uint64{}, s.Sensors[0].Foreign, s.Sensors[0].Ambiguous}
			for _, l := range s.Sensors[0].Labels {
				if l.Detected.Hits > 0 {
					got.Flows[l.Name] = l.Detected.Hits
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func mustIP(tb testing.TB, frame []byte) packet.IP {
	tb.Helper()
	ip, err := packet.IPOf(frame)
	if err != nil {
		tb.Fatal(err)
	}
	p, err := packet.ParseIP(ip)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// l4Of is a header of UDP, or of a ping or its reply.
func l4Of(f worldFlow, back bool) gopacket.SerializableLayer {
	if f.proto == "UDP" {
		u := &layers.UDP{SrcPort: layers.UDPPort(f.sport), DstPort: layers.UDPPort(f.dport)}
		if back {
			u.SrcPort, u.DstPort = u.DstPort, u.SrcPort
		}
		return u
	}
	kind := map[bool]uint8{false: layers.ICMPv4TypeEchoRequest, true: layers.ICMPv4TypeEchoReply}[back]
	return &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(kind, 0), Id: 7}
}

func TestPerfectIsOne(t *testing.T) {
	for n := uint64(1); n < 1<<40; n = 3*n + 1 {
		if m := measuresOf(Confusion{TP: n, TN: 2*n + 1}); *m.MCC != 1 || *m.F1 != 1 {
			t.Errorf("%d flows: MCC %v, F1 %v", n, *m.MCC, *m.F1)
		}
	}
}
