package appliance

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/lab/labtest"
)

// result is what a command line gave.
type result struct {
	Code           int
	Stdout, Stderr string
}

func run(t *testing.T, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p := Program{Version: "test", Stdout: &stdout, Stderr: &stderr}
	code := p.Run(t.Context(), args)
	return result{code, stdout.String(), stderr.String()}
}

func mustWrite(t *testing.T, path, text string) string {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

// TestErrorsAreOneClearLine pins the whole text of what a user can get wrong.
func TestErrorsAreOneClearLine(t *testing.T) {
	t.Chdir(t.TempDir())
	mustWrite(t, "filter.toml", strings.ReplaceAll(goodConfig, "udp dst port 53", "udp dst prt 53"))
	mustWrite(t, "host.toml", strings.ReplaceAll(goodConfig, "udp dst port 53", "udp and host resolver.test"))
	mustWrite(t, "key.toml", goodConfig+"\n[inject]\nrat = 5\n")
	mustWrite(t, "three.toml", "[gateway]\nlan = \"lan0\"\nnat = \"maybe\"\n")
	mustWritePcap(t, "torn.pcap", 3, 10)
	mustWritePcap(t, "few.pcap", 3, 0)
	must(t, os.MkdirAll("model", 0o755))
	mustWrite(t, "model/manifest.json", `{"format_version": 9}`)
	must(t, os.MkdirAll("full", 0o755))
	must(t, os.MkdirAll("damaged.training", 0o755))
	mustWrite(t, "damaged.training/training.safetensors", "PK")
	mustWrite(t, "full/file", "")

	tests := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"bad filter", []string{"check", "-c", "filter.toml"}, ExitFailed,
			`filter.toml:8: label "dns": filter "udp dst prt 53": syntax error at "prt": no keyword of pcap-filter(7), and host names are not looked up: write an address`},
		{"host name in a filter", []string{"check", "-c", "host.toml"}, ExitFailed,
			`host.toml:8: label "dns": filter "udp and host resolver.test": syntax error at "resolver.test": no keyword of pcap-filter(7), and host names are not looked up: write an address`},
		{"unknown key", []string{"check", "-c", "key.toml"}, ExitFailed,
			`key.toml:12: unknown key "rat" in [inject]: known are rate, source, source_address, engine, timeout`},
		{"several faults", []string{"check", "-c", "three.toml"}, ExitFailed,
			`three.toml:1: gateway.wan is missing: the interface on the test servers' side, such as "wan0"
three.toml:1: no [[label]]: at least one is needed, with a name and a filter
three.toml:3: gateway.nat "maybe": must be one of auto, none, masquerade`},
		{"no config", []string{"check", "-c", "none.toml"}, ExitFailed,
			`pacgan-appliance: config none.toml: no such file or directory`},
		{"torn pcap", []string{"train", "--label", "dns=torn.pcap", "--out", "m"}, ExitFailed,
			`pacgan-appliance: torn.pcap: truncated after 2 whole packets: to go on with those, cut the rest off with "tcpdump -r torn.pcap -w whole.pcap"`},
		{"no pcap", []string{"train", "--label", "dns=none.pcap", "--out", "m"}, ExitFailed,
			`pacgan-appliance: none.pcap: no such file or directory`},
		{"too few packets", []string{"train", "--label", "dns=few.pcap", "--out", "m"}, ExitFailed,
			`pacgan-appliance: train: label "dns" has 3 packets: at least 10 are needed`},
		{"label without a file", []string{"train", "--label", "dns", "--out", "m"}, ExitUsage,
			`pacgan-appliance: --label "dns": must be NAME=FILE, such as dns=dns.pcap: see pacgan-appliance --help`},
		{"nothing to train on", []string{"train"}, ExitUsage,
			`pacgan-appliance: train: name packets to learn: --label NAME=FILE.pcap, or --state DIR: see pacgan-appliance --help`},
		{"train without out", []string{"train", "--label", "dns=few.pcap"}, ExitUsage,
			`pacgan-appliance: train: --out DIR is missing: where the model goes: see pacgan-appliance --help`},
		{"model directory that is not empty", []string{"train", "--label", "dns=few.pcap", "--out", "full"}, ExitFailed,
			`pacgan-appliance: --out full: is not empty: name a new directory`},
		{"nothing to resume", []string{"train", "--resume", "--out", "m"}, ExitFailed,
			`pacgan-appliance: train: nothing to resume in m.training: name packets to learn: --label NAME=FILE.pcap`},
		{"damaged state", []string{"train", "--resume", "--out", "damaged"}, ExitFailed,
			`pacgan-appliance: saved training damaged.training/training.safetensors: header length: unexpected EOF: remove damaged.training and train anew`},
		{"settings of another recipe", []string{"train", "--label", "dns=few.pcap", "--out", "m", "--paper", "noise=8"}, ExitUsage,
			`pacgan-appliance: train: --paper is for --recipe paper: see pacgan-appliance --help`},
		{"unknown setting", []string{"train", "--label", "dns=few.pcap", "--out", "m", "--recipe", "paper", "--paper", "noise"}, ExitUsage,
			`pacgan-appliance: --paper "noise": must be noise=N, critic-rate=R, norm=layer, norm=none, average=DECAY, falling or best: see pacgan-appliance --help`},
		{"unknown recipe", []string{"train", "--label", "dns=few.pcap", "--out", "m", "--recipe", "magic"}, ExitUsage,
			`pacgan-appliance: --recipe "magic": must be gan, paper or tree: see pacgan-appliance --help`},
		{"no captures", []string{"train", "--state", "nowhere"}, ExitFailed,
			`pacgan-appliance: dataset nowhere/data: no such file or directory`},
		{"model of another format", []string{"generate", "--model", "model", "--out", "x.pcapng"}, ExitFailed,
			`pacgan-appliance: model model: format 9, this program reads format 3: retrain with "pacgan-appliance train" or install the version that wrote it`},
		{"no model", []string{"generate", "--model", "nowhere", "--out", "x.pcapng"}, ExitFailed,
			`pacgan-appliance: model nowhere: open nowhere/manifest.json: no such file or directory`},
		{"generate without model", []string{"generate"}, ExitUsage,
			`pacgan-appliance: generate: --model DIR is missing: the directory that train wrote: see pacgan-appliance --help`},
		{"real packets and no report", []string{"generate", "--model", "m", "--out", "x.pcapng", "--real", "dns=few.pcap"}, ExitUsage,
			`pacgan-appliance: generate: --real is for --report FILE.json: see pacgan-appliance --help`},
		{"lab: label", []string{"lab", "--labels", "ntp"}, ExitUsage,
			`pacgan-appliance: --labels "ntp": the lab has ping, dns, http, bigping, blockedname, traversal: see pacgan-appliance --help`},
		{"lab: servers", []string{"lab", "--servers", "real"}, ExitUsage,
			`pacgan-appliance: --servers "real": want embedded or system: see pacgan-appliance --help`},
		{"lab: sensor", []string{"lab", "--ids", "snort"}, ExitUsage,
			`pacgan-appliance: --ids "snort": want suricata, or nothing: see pacgan-appliance --help`},
		{"lab: rate", []string{"lab", "--rate", "0"}, ExitUsage,
			`pacgan-appliance: --rate 0: more than 0 and at most 1e+07 packets per second: see pacgan-appliance --help`},
		{"lab: packets", []string{"lab", "--capture-packets", "3"}, ExitUsage,
			`pacgan-appliance: --capture-packets 3: at least 16 are needed to train: see pacgan-appliance --help`},
		{"unknown command", []string{"frobnicate"}, ExitUsage,
			`pacgan-appliance: unknown command "frobnicate" for "pacgan-appliance": see pacgan-appliance --help`},
		{"unknown flag", []string{"lab", "--fast"}, ExitUsage,
			`pacgan-appliance: unknown flag: --fast: see pacgan-appliance --help`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := run(t, tt.args...)
			if got.Code != tt.code {
				t.Errorf("exit code %d, want %d", got.Code, tt.code)
			}
			if diff := cmp.Diff(tt.want+"\n", got.Stderr); diff != "" {
				t.Errorf("standard error (-want +got):\n%s", diff)
			}
		})
	}
}

const goodConfig = `[gateway]
lan = "lan0"
wan = "wan0"
[safety]
allow = ["10.77.2.0/24"]
[[label]]
name = "dns"
filter = "udp dst port 53"
answer = "dns"
`

// mustWritePcap writes n DNS-like frames and tears the last cut bytes off.
func mustWritePcap(t *testing.T, path string, n, cut int) {
	t.Helper()
	var file bytes.Buffer
	w := pcapgo.NewWriterNanos(&file)
	must(t, w.WriteFileHeader(65536, layers.LinkTypeEthernet))
	for i := range n {
		buf := gopacket.NewSerializeBuffer()
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: []byte{10, 77, 1, 11}, DstIP: []byte{10, 77, 2, 53}, Id: uint16(i)}
		udp := &layers.UDP{SrcPort: 40000, DstPort: 5300}
		must(t, udp.SetNetworkLayerForChecksum(ip))
		must(t, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
			&layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4},
			ip, udp, gopacket.Payload("a query of some bytes")))
		must(t, w.WritePacket(gopacket.CaptureInfo{CaptureLength: len(buf.Bytes()), Length: len(buf.Bytes())}, buf.Bytes()))
	}
	must(t, os.WriteFile(path, file.Bytes()[:file.Len()-cut], 0o644))
}

func TestMissingInterfaces(t *testing.T) {
	labtest.RequireRoot(t)
	cfg, err := config.Parse("config.toml", []byte(goodConfig))
	must(t, err)
	_, tapErr := openTap(cfg, nil)
	_, wireErr := openWire(cfg, 1)
	got := []string{tapErr.Error(), wireErr.Error()}
	want := []string{
		"capture: no interface \"lan0\": see `ip link` for those there are, and gateway.lan in the config",
		"gateway.wan: interface \"wan0\" does not exist: \"ip link\" lists those that do",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

func TestCheckAndDump(t *testing.T) {
	path := mustWrite(t, filepath.Join(t.TempDir(), "config.toml"), goodConfig)
	got := run(t, "check", "-c", path)
	if diff := cmp.Diff(result{ExitDone, path + ": good: 1 labels\n", ""}, got); diff != "" {
		t.Errorf("check (-want +got):\n%s", diff)
	}
	dumped := run(t, "check", "-c", path, "--dump")
	again := mustWrite(t, filepath.Join(t.TempDir(), "dumped.toml"), dumped.Stdout)
	if diff := cmp.Diff(dumped, run(t, "check", "-c", again, "--dump")); diff != "" {
		t.Errorf("a dump of the dump (-want +got):\n%s", diff)
	}
}

// TestTrainGenerate trains from a file and generates to a file, which tcpdump
// reads without finding a wrong checksum; the same seed gives the same file.
func TestTrainGenerate(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	mustWritePcap(t, "dns.pcap", 64, 0)
	if got := run(t, "train", "--label", "dns=dns.pcap", "--recipe", "tree", "--out", "m"); got.Code != ExitDone {
		t.Fatalf("train: %+v", got)
	}
	for _, tt := range []struct{ real, want string }{
		{"", "--report: model m lies in no state directory with captures: name real packets with --real NAME=FILE.pcap"},
		{"--real=ntp=dns.pcap", "--real ntp=FILE: the labels to generate are dns"},
	} {
		args := strings.Fields("generate --model m --out x.pcapng --report x.json " + tt.real)
		if got := run(t, args...); got.Code != ExitFailed || !strings.Contains(got.Stderr, tt.want) {
			t.Errorf("%v: %+v, want %s", args, got, tt.want)
		}
	}
	var files [2][]byte
	for i, out := range []string{"a.pcapng", "b.pcapng"} {
		if got := run(t, "generate", "--model", "m", "--count", "50", "--seed", "3", "--out", out); got.Code != ExitDone {
			t.Fatalf("generate: %+v", got)
		}
		var err error
		files[i], err = os.ReadFile(out)
		must(t, err)
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("the same model and seed gave two different files")
	}
	if got := run(t, "generate", "--model", "m", "--count", "50", "--out", "c.pcapng", "--report", "c.json", "--real", "dns=dns.pcap"); got.Code != ExitDone {
		t.Fatalf("generate --report: %+v", got)
	}
	var judged generatedReport
	b, err := os.ReadFile("c.json")
	must(t, err)
	must(t, json.Unmarshal(b, &judged))
	if q := judged.Labels["dns"]; q.N.Generated != 50 || q.N.HeldOut != 64 || judged.Against != "packets of dns=dns.pcap" {
		t.Errorf("report: %+v", judged)
	}
	for _, page := range []string{"c.html", "m/report.html"} {
		b, err := os.ReadFile(page)
		must(t, err)
		if !bytes.Contains(b, []byte("data:image/png;base64,")) || !bytes.HasSuffix(b, []byte("</html>\n")) {
			t.Errorf("%s has no pictures, or no end", page)
		}
	}
	text, err := exec.Command("tcpdump", "-r", "a.pcapng", "-nn", "-vv").CombinedOutput()
	must(t, err)
	if n := strings.Count(string(text), "10.77.1.11.40000 > 10.77.2.53.5300"); n != 50 {
		t.Errorf("tcpdump finds %d of 50 packets:\n%s", n, text)
	}
	if strings.Contains(string(text), "bad") {
		t.Errorf("tcpdump finds something bad:\n%s", text)
	}
}

// TestLabCommand runs the lab as its user does and reads its JSON.
func TestLabCommand(t *testing.T) {
	withRace(t)
	labtest.RequireRoot(t)
	t.Setenv(asProgram, "1")
	dir := t.TempDir()
	file := filepath.Join(dir, "lab.json")
	cmd := exec.Command("/proc/self/exe", "lab", "--recipe", "tree", "--capture-packets", "400", "--generate", "200",
		"--rate", "1000", "--seed", "5", "--json", file, "--state", filepath.Join(dir, "state"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("lab: %v\n%s", err, out)
	}
	text, err := os.ReadFile(file)
	must(t, err)
	var report map[string]any
	must(t, json.Unmarshal(text, &report))
	for _, path := range contractPaths() {
		if !hasPath(report, strings.Split(path, ".")) {
			t.Errorf("the JSON has no %s:\n%s", path, text)
		}
	}
	for _, want := range []string{"What the servers answered", "How good the packets are", "generated.pcapng"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output has no %q:\n%s", want, out)
		}
	}
}

// contractPaths is the lab's JSON contract.
func contractPaths() []string {
	paths := []string{"version", "seed", "recipe", "train.seconds", "train.cpu_seconds", "train.steps",
		"train.packets.ping", "train.packets.dns", "train.packets.http", "labels.label"}
	for _, key := range []string{"generated", "malformed", "blocked", "failed", "answered", "rejected", "expired", "inflight",
		"on_wire", "success_rate", "wilson95", "rtt_ms.p50", "rtt_ms.p90", "rtt_ms.p99"} {
		paths = append(paths, "labels."+key, "all."+key)
	}
	for _, key := range []string{"byte_error", "novelty", "template_novelty", "coverage", "duplicates", "field_jsd.mean", "auc", "step0_success"} {
		paths = append(paths, "labels.quality."+key)
	}
	return paths
}

// hasPath follows keys down; in a list, every element must have them.
func hasPath(v any, keys []string) bool {
	if list, ok := v.([]any); ok {
		for _, e := range list {
			if !hasPath(e, keys) {
				return false
			}
		}
		return len(list) > 0
	}
	if len(keys) == 0 {
		return v != nil
	}
	m, ok := v.(map[string]any)
	return ok && hasPath(m[keys[0]], keys[1:])
}

// TestLabIsInterrupted sends Ctrl-C's signal while the lab works: it ends in
// order, with an exit code that says so, and nothing of it runs on.
func TestLabIsInterrupted(t *testing.T) {
	withRace(t)
	labtest.RequireRoot(t)
	t.Setenv(asProgram, "1")
	var stderr lockedBuffer
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "lab", "--recipe", "tree", "--generate", "100000", "--state", filepath.Join(t.TempDir(), "state"))
	cmd.Stderr = &stderr
	must(t, cmd.Start())
	eventually(t, "the lab does not come to inject", func() bool { return strings.Contains(stderr.String(), "train tree: ") })
	must(t, cmd.Process.Signal(syscall.SIGINT))
	err := cmd.Wait()
	if cmd.ProcessState.ExitCode() != ExitFailed {
		t.Errorf("exit code %d (%v), want %d\n%s", cmd.ProcessState.ExitCode(), err, ExitFailed, stderr.String())
	}
	if !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("standard error does not say that it was interrupted:\n%s", stderr.String())
	}
}

func TestLabNeedsRoot(t *testing.T) {
	labtest.RequireRoot(t)
	binary := filepath.Join(t.TempDir(), "program")
	exe, err := os.ReadFile("/proc/self/exe")
	must(t, err)
	must(t, os.WriteFile(binary, exe, 0o755))
	for dir := filepath.Dir(binary); dir != "/"; dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755|os.ModeSticky))
	}
	cmd := exec.Command(binary, "lab")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	got := result{Code: cmd.ProcessState.ExitCode(), Stderr: string(out)}
	want := result{Code: ExitFailed, Stderr: "pacgan-appliance: lab: network namespaces need root: run as root, for example with sudo\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lab without root (-want +got):\n%s", diff)
	}
}
