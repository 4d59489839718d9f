package appliance

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/lab/labtest"
)

// TestFindingsOfTheMachine pins what doctor makes of what it may find.
func TestFindingsOfTheMachine(t *testing.T) {
	dir := t.TempDir()
	none := filepath.Join(dir, "none")
	all := uint64(1<<unix.CAP_BPF | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_PERFMON)
	const upgrade = "the programs need 5.13 at least, and are tested on 6.1 and later: upgrade"
	tests := []struct {
		name      string
		got, want finding
	}{
		{"new kernel", kernelFinding("6.12.3+deb13-amd64"), good("kernel", "6.12.3+deb13-amd64: programs attach by TCX")},
		{"Debian 12", kernelFinding("6.1.0-13-amd64"), good("kernel", "6.1.0-13-amd64: programs attach by clsact (TCX is there from 6.6 on)")},
		{"between", kernelFinding("5.15.0"), warning("kernel", "5.15.0", "not tested below 6.1")},
		{"old kernel", kernelFinding("5.4.0"), missing("kernel", "5.4.0", upgrade)},
		{"odd kernel", kernelFinding("next"), warning("kernel", `release "next" is not understood`, "6.1 or later is needed")},
		{"all capabilities", capabilityFinding(all, nil), good("capabilities", "CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW and CAP_PERFMON are there")},
		{"two lacking", capabilityFinding(1<<unix.CAP_NET_ADMIN|1<<unix.CAP_NET_RAW, nil),
			missing("capabilities", "CAP_BPF, CAP_PERFMON lacking", "run as root, or by the systemd unit of the package, which grants them")},
		{"unreadable", capabilityFinding(effectiveCapabilities(mustWrite(t, filepath.Join(dir, "status"), "Name: x\n"))), warning("capabilities", "cannot be read: no CapEff line", "is /proc mounted?")},
		{"eBPF", ebpfFinding(nil, nil), good("eBPF", "programs load, ring buffers are there")},
		{"no ring", ebpfFinding(nil, fmt.Errorf("map type RingBuf: %w", ebpf.ErrNotSupported)),
			missing("eBPF", "map type RingBuf: not supported", "the kernel must be built with CONFIG_BPF_SYSCALL and CONFIG_NET_CLS_ACT")},
		{"eBPF forbidden", ebpfFinding(fmt.Errorf("load: %w", unix.EPERM), nil),
			missing("eBPF", "not permitted to load programs", "see capabilities; in a container allow the bpf system call (seccomp)")},
		{"eBPF fails", ebpfFinding(errors.New("odd"), nil), missing("eBPF", "odd", "the daemon would fail with the same error")},
		{"BTF", btfFinding(dir), good("BTF", "%s", dir)},
		{"no BTF", btfFinding(none), warning("BTF", none+" is not there", "not needed to work; a refused program is harder to explain without (CONFIG_DEBUG_INFO_BTF)")},
		{"veth", judgeVeth(nil), good("veth", "pairs can be made")},
		{"no veth", judgeVeth(unix.EOPNOTSUPP), missing("veth", "the kernel has no such driver", "modprobe veth, or build the kernel with CONFIG_VETH")},
		{"veth forbidden", judgeVeth(unix.EPERM), missing("veth", "not permitted to make a pair", "see capabilities")},
		{"merging", judgeOffloads("lan0", map[string]bool{"rx-gro": true, "rx-lro": true, "tx-tcp-segmentation": true}),
			warning("offloads of lan0", "rx-gro, rx-lro on: segments are merged before they are captured, and those longer than 2,048 bytes are left out", "ethtool -K lan0 gro off lro off")},
		{"no merging", judgeOffloads("lan0", map[string]bool{"tx-tcp-segmentation": true}), good("offloads of lan0", "frames are captured as they were on the wire")},
		{"forwarding off", forwardingFinding(mustWrite(t, filepath.Join(dir, "off"), "0\n")),
			warning("forwarding", "net.ipv4.ip_forward is off: this machine routes nothing for its clients", "sysctl -w net.ipv4.ip_forward=1, unless something else carries their packets")},
		{"forwarding on", forwardingFinding(mustWrite(t, filepath.Join(dir, "on"), "1\n")), good("forwarding", "on")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.got); diff != "" {
				t.Errorf("finding (-want +got):\n%s", diff)
			}
		})
	}
}

// findings are doctor's verdicts and details by name.
func findings(t *testing.T, out result) map[string]string {
	t.Helper()
	var report DoctorReport
	must(t, json.Unmarshal([]byte(out.Stdout), &report))
	if report.Works != (out.Code == ExitDone) {
		t.Errorf("works %v, exit code %d", report.Works, out.Code)
	}
	found := map[string]string{}
	for _, f := range report.Findings {
		found[f.Name] = string(f.Verdict) + ": " + f.Detail
		if (f.Verdict == verdictGood) != (f.Advice == "") {
			t.Errorf("%s is %s, and the advice %q", f.Name, f.Verdict, f.Advice)
		}
	}
	return found
}

// TestDoctor looks at the lab's gateway: as it is, and with one thing after
// another taken away.
func TestDoctor(t *testing.T) {
	labtest.RequireRoot(t)
	network, err := lab.New(lab.Options{Servers: lab.Embedded, Seed: 3})
	must(t, err)
	t.Cleanup(func() { must(t, network.Close()) })
	cfg, text, err := labOptions{labels: lab.Labels(), rate: 500, recipe: "tree"}.config(filepath.Join(t.TempDir(), "state"))
	must(t, err)
	path := mustWrite(t, filepath.Join(t.TempDir(), "config.toml"), string(text))

	out := run(t, "doctor", "-c", path, "--json")
	if out.Code != ExitDone {
		t.Fatalf("%+v", out)
	}
	found := findings(t, out)
	for name, want := range map[string]string{
		"route to 10.77.2.0/24": "good: ", "gateway.lan lan0": "good: up, MTU 1500", "gateway.wan wan0": "good: up, MTU 1500",
		"tcpdump": "good: ", "capabilities": "good: ", "eBPF": "good: ", "veth": "good: ", "NAT": "good: none", "daemon": "good: none runs",
	} {
		if !strings.HasPrefix(found[name], want) {
			t.Errorf("%s is %q, want %q", name, found[name], want)
		}
	}
	lock, err := lockWire()
	must(t, err)
	if text := run(t, "doctor", "-c", path).Stdout; !strings.Contains(text, "good     daemon: an appliance runs (process ") {
		t.Errorf("beside another process:\n%s", text)
	}
	must(t, lock.Close())

	for _, tt := range []struct {
		name, want string
		edit       func(string) string
	}{
		{"route to 198.18.0.0/15", "missing: none", func(s string) string { return strings.Replace(s, "10.77.2.0/24", "198.18.0.0/15", 1) }},
		{"route to 10.77.1.16/28", "missing: leads through lan0, not gateway.wan wan0", func(s string) string { return strings.Replace(s, "10.77.2.0/24", "10.77.1.16/28", 1) }},
		{"gateway.wan wan9", "missing: no such interface", func(s string) string { return strings.Replace(s, `"wan0"`, `"wan9"`, 1) }},
		{"gateway.lan lo", "missing: carries no Ethernet frames, but loopback", func(s string) string { return strings.Replace(s, `"lan0"`, `"lo"`, 1) }},
		{"config", "missing: ", func(s string) string { return s + "\n[nothing]\n" }},
	} {
		edited := mustWrite(t, filepath.Join(t.TempDir(), "config.toml"), tt.edit(string(text)))
		out := run(t, "doctor", "-c", edited, "--json")
		if got := findings(t, out)[tt.name]; !strings.HasPrefix(got, tt.want) || out.Code != ExitFailed {
			t.Errorf("exit code %d, %s is %q, want %q", out.Code, tt.name, got, tt.want)
		}
	}
	must(t, exec.Command("ip", "link", "set", cfg.Gateway.WAN, "down").Run())
	out = run(t, "doctor", "-c", path, "--json")
	if got := findings(t, out)["gateway.wan wan0"]; got != "missing: is down" || !strings.HasSuffix(out.Stderr, "essential things are missing: see above\n") {
		t.Errorf("the wan interface is %q; %s", got, out.Stderr)
	}
}

// TestDoctorWithoutPrivilege tells a user without capabilities what is amiss.
func TestDoctorWithoutPrivilege(t *testing.T) {
	labtest.RequireRoot(t)
	binary := filepath.Join(t.TempDir(), "program")
	exe, err := os.ReadFile("/proc/self/exe")
	must(t, err)
	must(t, os.WriteFile(binary, exe, 0o755))
	for dir := filepath.Dir(binary); dir != "/"; dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755|os.ModeSticky))
	}
	cmd := exec.Command(binary, "doctor", "--json")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	text, err := cmd.Output()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	found := findings(t, result{Code: cmd.ProcessState.ExitCode(), Stdout: string(text)})
	if got, want := found["capabilities"], "missing: CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW, CAP_PERFMON lacking"; got != want {
		t.Errorf("capabilities: %q, want %q", got, want)
	}
	if !strings.HasPrefix(found["eBPF"], "missing: ") {
		t.Errorf("eBPF: %q", found["eBPF"])
	}
}
