package oldkernel

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// programs are what the tests below start in the guest.
var programs = []string{"ip", "tc", "nft", "nsenter", "ping", "dig", "curl", "ss", "nginx", "unbound", "tcpdump", "ethtool", "sh"}

// modules are what Debian's kernel keeps out of its image of what the tests
// need; what they need in turn is found in modules.dep.
var modules = []string{"veth", "8021q", "sch_ingress", "cls_bpf", "nf_tables", "nft_chain_nat", "nft_masq"}

// suites are the tests that matter on an old kernel and know no time limit of
// a network that an emulator is too slow for: that each program loads, does
// what it does on a new kernel, attaches through clsact and leaves nothing.
var suites = []struct{ dir, run string }{
	{"internal/hook", "."},
	{"internal/capture", "TestFirstLabelWins|TestMark|TestSizes|TestFullRing|TestRealTraffic|TestVLAN|TestSetLabelsWhile"},
	{"internal/verify", "TestMatch|TestSegments|TestSweep|TestAwaited|TestGlance|TestContains$"},
	{"internal/inject", "TestGuard|TestNear|TestLive|TestSetAllow|TestEitherEnd|TestNothingLeaves|TestCloseLeaves"},
}

// TestOldKernel boots the kernel that PACGAN_OLD_KERNEL names the unpacked
// Debian package of.
func TestOldKernel(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a machine")
	}
	dir := kernelDir(t)
	version := filepath.Base(mustGlob(t, filepath.Join(dir, "lib/modules/*")))
	a := newArchive(t)
	for _, d := range []string{"/proc", "/sys", "/dev", "/tmp", "/etc", "/var/log", "/run"} {
		a.dir(d)
	}
	a.file("/init", mustExecutable(t))
	for _, name := range programs {
		a.program(name)
	}
	for _, f := range []string{"/etc/protocols", "/etc/services", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf"} {
		a.file(f, f)
	}
	a.addModules(filepath.Join(dir, "lib/modules", version))
	a.addTests()
	out := boot(t, filepath.Join(dir, "boot/vmlinuz-"+version), a.bytes())
	t.Logf("kernel %s:\n%s", version, out)
	if !strings.Contains(out, verdict+"0\r\n") && !strings.Contains(out, verdict+"0\n") {
		t.Error("not all tests passed on the old kernel")
	}
}

// kernelDir is where the kernel is; without one the test skips, unless all
// tests are required.
func kernelDir(t *testing.T) string {
	t.Helper()
	missing := t.Skipf
	if os.Getenv("PACGAN_REQUIRE_ROOT") == "1" {
		missing = t.Fatalf
	}
	dir := os.Getenv("PACGAN_OLD_KERNEL")
	switch _, err := exec.LookPath(emulator); {
	case runtime.GOARCH != "amd64":
		t.Skipf("%s: the kernel package is for amd64", runtime.GOARCH)
	case dir == "":
		missing("PACGAN_OLD_KERNEL is not set: run make old-kernel, and set it to build/old-kernel's path")
	case err != nil:
		missing("no emulator: %v: run make deps", err)
	}
	return dir
}

func mustGlob(tb testing.TB, pattern string) string {
	tb.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		tb.Fatalf("%s: found %q, %v", pattern, found, err)
	}
	return found[0]
}

func mustExecutable(tb testing.TB) string {
	tb.Helper()
	path, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

// addModules adds the modules and the list of them in the order of loading.
func (a *archive) addModules(dir string) {
	a.tb.Helper()
	if out, err := exec.Command("depmod", "-b", filepath.Join(dir, "../../.."), filepath.Base(dir)).CombinedOutput(); err != nil {
		a.tb.Fatalf("depmod: %v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		a.tb.Fatal(err)
	}
	needs, path := map[string][]string{}, map[string]string{}
	for line := range strings.Lines(string(text)) {
		file, after, _ := strings.Cut(line, ":")
		name := strings.TrimSuffix(filepath.Base(file), ".ko")
		path[name], needs[name] = file, strings.Fields(after)
	}
	var list strings.Builder
	var add func(name string)
	add = func(name string) {
		at := "/lib/" + name + ".ko"
		if a.made[at] || path[name] == "" { // there, or in the image
			return
		}
		for _, need := range needs[name] {
			add(strings.TrimSuffix(filepath.Base(need), ".ko"))
		}
		a.file(at, filepath.Join(dir, path[name]))
		fmt.Fprintln(&list, at)
	}
	for _, name := range modules {
		add(name)
	}
	a.entry(modulesFile, modeFile, []byte(list.String()))
}

// addTests compiles the suites, and lists their command lines.
func (a *archive) addTests() {
	a.tb.Helper()
	var list strings.Builder
	for _, s := range suites {
		name := filepath.Base(s.dir)
		binary := filepath.Join(a.tb.TempDir(), name)
		cmd := exec.Command("go", "test", "-c", "-o", binary, "./"+s.dir)
		cmd.Dir = filepath.Join("..", "..")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			a.tb.Fatalf("%v: %v\n%s", cmd, err, out)
		}
		a.file("/test/"+name, binary)
		fmt.Fprintf(&list, "/test/%s -test.run %s -test.timeout 20m\n", name, s.run)
	}
	a.entry(testsFile, modeFile, []byte(list.String()))
}

const (
	emulator  = "qemu-system-x86_64"
	bootLimit = 20 * time.Minute // on a busy machine
)

// boot runs a kernel with its initial file system until it powers off, and
// returns what its console said. The processor is emulated even where there is
// KVM: within a virtual machine that may hang without a word.
func boot(t *testing.T, kernel string, initial []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "initial.cpio")
	if err := os.WriteFile(path, initial, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, emulator, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1536",
		"-kernel", kernel, "-initrd", path, "-append", "console=ttyS0 quiet panic=-1 random.trust_cpu=on",
		"-nographic", "-no-reboot", "-nic", "none", "-monitor", "none", "-serial", "stdio")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", emulator, err, out)
	}
	return string(out)
}
