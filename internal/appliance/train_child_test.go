package appliance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/family"
	"pacgan-appliance/internal/lab/labtest"
	"pacgan-appliance/internal/train"
)

// asProbe makes the test binary a probe of its own confinement, asParent a
// process that waits for a training child until it is killed.
const (
	asProbe  = "PACGAN_TEST_AS_PROBE"
	asParent = "PACGAN_TEST_AS_PARENT"
)

// roomy is more memory than these trainings need.
const roomy = config.ByteSize(1 << 30)

// probe tells how this process runs, and tries what a training must not do.
func probe(w io.Writer) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fmt.Fprintln(w, err)
	}
	for line := range strings.Lines(string(status)) {
		switch key, value, _ := strings.Cut(line, ":"); key {
		case "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp":
			fmt.Fprintln(w, key, strings.TrimSpace(value))
		}
	}
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		fmt.Fprintln(w, err)
	}
	fmt.Fprintln(w, "policy", attr.Policy, "nice", attr.Nice)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_DATA, &limit); err != nil {
		fmt.Fprintln(w, err)
	}
	fmt.Fprintln(w, "memory", limit.Cur, limit.Max)
	score, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		fmt.Fprintln(w, err)
	}
	fmt.Fprintln(w, "oom_score_adj", strings.TrimSpace(string(score)))
	for _, try := range forbiddenCalls() {
		_, _, errno := unix.RawSyscall6(try.number, try.args[0], try.args[1], try.args[2], try.args[3], try.args[4], 0)
		fmt.Fprintln(w, try.name, errno)
	}
}

type systemCall struct {
	name   string
	number uintptr
	args   [5]uintptr
}

// forbiddenCalls would each succeed, or fail in another way than by EPERM, for
// an ordinary process of root.
func forbiddenCalls() []systemCall {
	path := uintptr(unsafe.Pointer(unsafe.StringData("/\x00")))
	return []systemCall{
		{"socket inet", unix.SYS_SOCKET, [5]uintptr{unix.AF_INET, unix.SOCK_STREAM}},
		{"socket unix", unix.SYS_SOCKET, [5]uintptr{unix.AF_UNIX, unix.SOCK_STREAM}},
		{"socket netlink", unix.SYS_SOCKET, [5]uintptr{unix.AF_NETLINK, unix.SOCK_RAW}},
		{"socketpair", unix.SYS_SOCKETPAIR, [5]uintptr{unix.AF_UNIX, unix.SOCK_STREAM}},
		{"connect", unix.SYS_CONNECT, [5]uintptr{0}},
		{"sendto", unix.SYS_SENDTO, [5]uintptr{0}},
		{"bpf", unix.SYS_BPF, [5]uintptr{99}},
		{"perf_event_open", unix.SYS_PERF_EVENT_OPEN, [5]uintptr{}},
		{"io_uring_setup", unix.SYS_IO_URING_SETUP, [5]uintptr{1}},
		{"ptrace", unix.SYS_PTRACE, [5]uintptr{unix.PTRACE_ATTACH, uintptr(os.Getppid())}},
		{"process_vm_readv", unix.SYS_PROCESS_VM_READV, [5]uintptr{uintptr(os.Getppid())}},
		{"mount", unix.SYS_MOUNT, [5]uintptr{path, path, 0, unix.MS_BIND}},
		{"unshare user", unix.SYS_UNSHARE, [5]uintptr{unix.CLONE_NEWUSER}},
		{"clone user", unix.SYS_CLONE, [5]uintptr{unix.CLONE_NEWUSER | uintptr(unix.SIGCHLD)}},
		{"number of no call", 4000, [5]uintptr{}},
	}
}

// TestConfined asks a child how it runs: with nothing of what the daemon has.
func TestConfined(t *testing.T) {
	labtest.RequireRoot(t)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), asProbe+"=1")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	ended := make(chan struct{})
	defer close(ended)
	hold, release, err := os.Pipe() // the probe begins once its limits are set
	must(t, err)
	cmd.Stdin = hold
	must(t, startConfined(cmd, roomy, ended))
	must(t, errors.Join(hold.Close(), release.Close()))
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	const none = "0000000000000000"
	want := []string{
		"CapInh " + none, "CapPrm " + none, "CapEff " + none, "CapBnd " + none, "CapAmb " + none, "NoNewPrivs 1", "Seccomp 2",
		"policy 3 nice 10", fmt.Sprintf("memory %d %[1]d", roomy), "oom_score_adj 500",
	}
	for _, c := range forbiddenCalls() {
		want = append(want, c.name+" operation not permitted")
	}
	if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(out.String()), "\n")); diff != "" {
		t.Errorf("child (-want +got):\n%s", diff)
	}
}

// TestTrainChildFails hands on the child's own words, and its end by cancelling.
func TestTrainChildFails(t *testing.T) {
	labtest.RequireRoot(t)
	t.Setenv(asProgram, "1")
	_, err := trainChild(t.Context(), roomy, []string{"--state", "/nonexistent"}, func(trainEvent) {})
	if err == nil || err.Error() != "training: dataset /nonexistent/data: no such file or directory" {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	_, err = trainChild(ctx, roomy, endlessTraining(t, dir), func(e trainEvent) {
		if e.Step > 0 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v of a cancelled training", err)
	}
	if saved, err := train.Open(filepath.Join(dir, "m.training")); err != nil || saved.Steps() == 0 {
		t.Errorf("the training cannot be resumed: %v", err)
	}
}

// endlessTraining are the arguments of a training that does not end by itself,
// of a model dir/m.
func endlessTraining(t *testing.T, dir string) []string {
	t.Helper()
	pcap := filepath.Join(dir, "dns.pcap")
	mustWritePcap(t, pcap, 64, 0)
	return []string{"--label", "dns=" + pcap, "--out", filepath.Join(dir, "m"), "--steps", "100000", "--threads", "1"}
}

// TestTrainChildOutOfMemory has a training end at its limit, and say so.
func TestTrainChildOutOfMemory(t *testing.T) {
	withoutRace(t) // the detector needs memory of its own, and ends by itself where it gets none
	labtest.RequireRoot(t)
	t.Setenv(asProgram, "1")
	_, err := trainChild(t.Context(), 128<<20, endlessTraining(t, t.TempDir()), func(trainEvent) {})
	if err == nil || err.Error() != "training: it needs more than its 128MiB of memory: raise train.max_memory" {
		t.Errorf("error %v", err)
	}
}

// waitAsParent trains with the arguments in os.Args until it is killed.
func waitAsParent() {
	_, err := trainChild(context.Background(), roomy, os.Args[1:], func(e trainEvent) { fmt.Println(e.Step) })
	fmt.Fprintln(os.Stderr, err)
}

// TestTrainChildDiesWithParent kills the process that trains: its child, which
// is ours from then on, is gone too.
func TestTrainChildDiesWithParent(t *testing.T) {
	labtest.RequireRoot(t)
	must(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	cmd := exec.Command("/proc/self/exe", endlessTraining(t, t.TempDir())...)
	cmd.Env = append(os.Environ(), asProgram+"=1", asParent+"=1")
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	if _, err := stdout.Read(make([]byte, 1)); err != nil { // a step: the child is at work
		t.Fatal(err)
	}
	child, err := family.Child(cmd.Process.Pid, "")
	must(t, err)
	if child == 0 {
		t.Fatal("the training has no process")
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait() // killed, as it should be
	var status unix.WaitStatus
	if _, err := unix.Wait4(child, &status, 0, nil); err != nil || status.Signal() != syscall.SIGKILL {
		t.Errorf("the child ended with %v, %v, want SIGKILL", status, err)
	}
}
