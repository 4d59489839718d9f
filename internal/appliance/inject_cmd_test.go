package appliance

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/lab/labtest"
)

// TestInjectRefuses pins what inject says to a command line or a config that
// it cannot follow. It needs no root: nothing is opened before.
func TestInjectRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	mustWrite(t, "config.toml", goodConfig+"[state]\ndir = \""+t.TempDir()+"\"\n")
	mustWrite(t, "closed.toml", strings.ReplaceAll(goodConfig, `"10.77.2.0/24"`, ""))
	mustWritePcap(t, "other.pcap", 3, 0) // to port 5300: no label's
	mustWritePcap(t, "torn.pcap", 3, 10)
	tests := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"source", []string{"--source", "tape"}, ExitUsage, `pacgan-appliance: --source "tape": must be model or capture: see pacgan-appliance --help`},
		{"no end", []string{"--source", "model"}, ExitUsage, `pacgan-appliance: --count or --duration is missing: this source never ends: see pacgan-appliance --help`},
		{"no end by the config", nil, ExitUsage, `pacgan-appliance: --count or --duration is missing: this source never ends: see pacgan-appliance --help`},
		{"a loop has no end", []string{"--pcap", "other.pcap", "--loop"}, ExitUsage, `pacgan-appliance: --count or --duration is missing: this source never ends: see pacgan-appliance --help`},
		{"model and file", []string{"--source", "model", "--count", "1", "--pcap", "x"}, ExitUsage, `pacgan-appliance: --pcap: replays captured packets: leave --source model out: see pacgan-appliance --help`},
		{"model for a file", []string{"--model", "m", "--pcap", "x"}, ExitUsage, `pacgan-appliance: --model: captured packets need none: see pacgan-appliance --help`},
		{"label", []string{"--label", "ntp", "--count", "1"}, ExitUsage, `pacgan-appliance: --label "ntp": config.toml has dns: see pacgan-appliance --help`},
		{"duration", []string{"--duration", "-1s"}, ExitUsage, `pacgan-appliance: --duration -1s: must not be negative: see pacgan-appliance --help`},
		{"rate", []string{"--count", "1", "--rate", "fast"}, ExitUsage, `pacgan-appliance: --rate "fast": must be packets per second, above 0, or "learned": see pacgan-appliance --help`},
		{"rate above the bound", []string{"--count", "1", "--rate", "5000"}, ExitFailed, `pacgan-appliance: --rate 5000: above safety.max_rate 1000 of config.toml`},
		{"nothing allowed", []string{"-c", "closed.toml", "--count", "1"}, ExitFailed,
			`pacgan-appliance: closed.toml: safety.allow is empty, so that nothing may be injected: list the test servers' networks there`},
		{"no such file", []string{"--pcap", "none.pcap"}, ExitFailed, `pacgan-appliance: none.pcap: no such file or directory`},
		{"torn file", []string{"--pcap", "torn.pcap"}, ExitFailed,
			`pacgan-appliance: torn.pcap: truncated after 2 whole packets: to go on with those, cut the rest off with "tcpdump -r torn.pcap -w whole.pcap"`},
		{"no packet of a label", []string{"--pcap", "other.pcap"}, ExitFailed,
			`other.pcap: left out 0 frames that a snap length cut, 0 shorter than their header, 3 of no label; 0 are left
label "dns": no captured packets, left out
pacgan-appliance: no captured packets to replay: capture some first, or name a file with --pcap`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := run(t, append([]string{"inject"}, tt.args...)...)
			want := result{Code: tt.code, Stderr: tt.want + "\n"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("inject %v (-want +got):\n%s", tt.args, diff)
			}
		})
	}
	if got := run(t, "inject", "--count", "1"); got.Code != ExitFailed || !strings.Contains(got.Stderr, "no model yet: train one") {
		t.Errorf("without a model: %+v", got)
	}
}

// TestInject is the command against the lab's servers, from each source: the
// model, what was captured, and a file with more in it than requests.
func TestInject(t *testing.T) {
	r := mustRig(t, lab.Embedded, 200)
	config, dir := filepath.Join(r.state, "config.toml"), t.TempDir()
	file := mustMixedPcap(t, filepath.Join(dir, "mixed.pcap"))
	tests := []struct {
		name      string
		args      []string
		generated map[string]uint64
		answered  map[string]uint64 // nil: all that is generated
	}{
		{"model", []string{"--model", r.labRun.model, "--count", "300"}, map[string]uint64{"ping": 100, "dns": 100, "http": 100}, map[string]uint64{"ping": 100}},
		{"capture", []string{"--source", "capture"}, map[string]uint64{"ping": 200, "dns": 200, "http": 200}, nil},
		{"capture in a loop, one label", []string{"--source", "capture", "--label", "ping", "--loop", "--count", "500"}, map[string]uint64{"ping": 500}, nil},
		{"learned", []string{"--source", "capture", "--rate", "learned", "--label", "ping,dns"}, map[string]uint64{"ping": 200, "dns": 200}, nil},
		{"learned model", []string{"--model", r.labRun.model, "--rate", "learned", "--label", "ping", "--count", "50"}, map[string]uint64{"ping": 50}, nil},
		{"file", []string{"--pcap", file}, map[string]uint64{"ping": 20, "http": 1}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(dir, "out.json")
			out := run(t, append([]string{"inject", "-c", config, "--json", path}, tt.args...)...)
			if out.Code != ExitDone {
				t.Fatalf("%+v", out)
			}
			text, err := os.ReadFile(path)
			must(t, err)
			var report InjectReport
			must(t, json.Unmarshal(text, &report))
			generated := map[string]uint64{}
			for _, l := range report.Labels {
				generated[l.Label] = l.Generated
				want, some := tt.answered[l.Label]
				if tt.answered == nil {
					want, some = l.Generated, true
				}
				if some && l.Answered != want {
					t.Errorf("label %s: %d answered, want %d: %+v", l.Label, l.Answered, want, l.Counts)
				}
			}
			if diff := cmp.Diff(tt.generated, generated); diff != "" {
				t.Errorf("generated (-want +got):\n%s", diff)
			}
			if report.RateAsked <= 0 || report.RateAchieved <= 0 || len(report.Warnings) > 0 {
				t.Errorf("rate %v asked, %v achieved, warnings %q", report.RateAsked, report.RateAchieved, report.Warnings)
			}
			if !strings.Contains(out.Stdout, "packets/s asked") || !strings.Contains(out.Stdout, "ping") {
				t.Errorf("standard output:\n%s", out.Stdout)
			}
		})
	}
}

// mustMixedPcap writes 20 pings, and the whole of a connection whose request
// spans three segments, as a client's host would have captured it.
func mustMixedPcap(t *testing.T, path string) string {
	t.Helper()
	var file bytes.Buffer
	w := pcapgo.NewWriterNanos(&file)
	must(t, w.WriteFileHeader(65536, layers.LinkTypeEthernet))
	write := func(frame []byte) {
		must(t, w.WritePacket(gopacket.CaptureInfo{CaptureLength: len(frame), Length: len(frame)}, frame))
	}
	eth := &layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4}
	for i := range 20 {
		buf := gopacket.NewSerializeBuffer()
		must(t, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth,
			&layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolICMPv4, SrcIP: []byte{10, 77, 1, 11}, DstIP: []byte{10, 77, 2, 80}},
			&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 7, Seq: uint16(i)}, gopacket.Payload("abcdefgh")))
		write(buf.Bytes())
	}
	request := "GET / HTTP/1.1\r\nHost: www.shop.test\r\nX-Filler: " + strings.Repeat("a", 3000) + "\r\n\r\n"
	for at := 0; at < len(request); at += 1400 {
		part := request[at:min(at+1400, len(request))]
		write(tcp{"", 40001, uint32(1000 + at), 77, at+1400 >= len(request), part}.frame(t).Frame)
	}
	must(t, os.WriteFile(path, file.Bytes(), 0o644))
	return path
}

// TestOneProcessOnTheWire: while one injects, another is refused, and says who
// is in its way.
func TestOneProcessOnTheWire(t *testing.T) {
	labtest.RequireRoot(t)
	lock, err := lockWire()
	must(t, err)
	_, err = lockWire()
	if err == nil || !strings.HasPrefix(err.Error(), "another pacgan-appliance (process ") {
		t.Errorf("error %v", err)
	}
	must(t, lock.Close())
	lock, err = lockWire()
	must(t, err)
	must(t, lock.Close())
}
