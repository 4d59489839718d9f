package lab_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/lab/labtest"
)

// programVar makes this test binary a program with a `lab` command, and says how it behaves: "orderly"
// ends at the first signal with exit code 7, "watched" too, and runs a sensor; "stubborn" never ends.
const programVar = "PACGAN_LAB_TEST_PROGRAM"

func TestMain(m *testing.M) {
	behaviour := os.Getenv(programVar)
	if behaviour == "" {
		labtest.Main(m)
		return
	}
	if handled, code := lab.RoleMain(); handled {
		os.Exit(code)
	}
	code, err := program(behaviour)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func program(behaviour string) (int, error) {
	if !lab.Inside() {
		return lab.Supervise(os.Args[1:])
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	l, err := lab.New(lab.Options{})
	if err != nil {
		return 1, err
	}
	if behaviour == "watched" {
		if err := l.StartIDS(context.Background()); err != nil {
			return 1, errors.Join(err, l.Close())
		}
	}
	fmt.Print(l.KeepMessage())
	for s := range signals {
		fmt.Println("got", s)
		if behaviour != "stubborn" {
			break
		}
	}
	return 7, l.Close()
}

// supervisor is a running `lab` command with the pids of its three namespaces and their names.
type supervisor struct {
	cmd    *exec.Cmd
	out    *bufio.Reader
	pids   []string
	netnss []string
}

func mustSupervisor(tb testing.TB, behaviour string) *supervisor {
	tb.Helper()
	labtest.RequireRoot(tb)
	s := &supervisor{cmd: exec.Command("/proc/self/exe")}
	s.cmd.Env = append(os.Environ(), programVar+"="+behaviour)
	s.cmd.Stderr = os.Stderr
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.cmd.Process.Kill(); _ = s.cmd.Wait() })
	s.out = bufio.NewReader(stdout)
	nsenter := regexp.MustCompile(`^  nsenter -t (\d+) -n `)
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			tb.Fatalf("the lab did not come up: %v", err)
		}
		if m := nsenter.FindStringSubmatch(line); m != nil {
			ns, err := os.Readlink("/proc/" + m[1] + "/ns/net")
			if err != nil {
				tb.Fatalf("the message names a process that is not there: %v\n%s", err, line)
			}
			s.pids, s.netnss = append(s.pids, m[1]), append(s.netnss, ns)
		}
		if strings.HasPrefix(line, "Ctrl-C") {
			break
		}
	}
	if slices.Sort(s.netnss); len(slices.Compact(slices.Clone(s.netnss))) != 3 {
		tb.Fatalf("namespaces %v, want three different ones", s.netnss)
	}
	return s
}

// mustBeGone polls until no process is in the lab's namespaces, which then are no more.
func (s *supervisor) mustBeGone(tb testing.TB) {
	tb.Helper()
	var left []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if left = processesIn(s.netnss); len(left) == 0 {
			return
		}
	}
	tb.Errorf("processes %v are still in %v", left, s.netnss)
}

func processesIn(netnss []string) []string {
	links, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	var found []string
	for _, link := range links {
		if ns, err := os.Readlink(link); err == nil && slices.Contains(netnss, ns) {
			found = append(found, strings.Split(link, "/")[2])
		}
	}
	return found
}

func TestKilledSupervisorLeavesNothing(t *testing.T) {
	labtest.RequireRoot(t)
	labtest.RequireProgram(t, "suricata")
	before, mounts := mustInterfaces(t), mustMounts(t)
	for _, behaviour := range []string{"watched", "orderly"} { // the next run works
		s := mustSupervisor(t, behaviour)
		want := map[string]int{"watched": 5, "orderly": 4}[behaviour]
		if n := len(processesIn(s.netnss)); n < want {
			t.Errorf("%s: %d processes in the lab, want pid 1, the program, two roles and the sensor", behaviour, n)
		}
		if err := s.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		s.mustBeGone(t)
		if diff := cmp.Diff(before, mustInterfaces(t)); diff != "" {
			t.Errorf("interfaces (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(mounts, mustMounts(t)); diff != "" {
			t.Errorf("mounts (-before +after):\n%s", diff)
		}
	}
}

func TestSignalsArePassedOn(t *testing.T) {
	for _, c := range []struct {
		name, behaviour string
		signals         int
		wantOutput      string
		wantCode        int
	}{
		{"one ends it in order", "orderly", 1, "got terminated\n", 7},
		{"a second one kills it", "stubborn", 2, "got terminated\n", 128 + int(syscall.SIGKILL)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := mustSupervisor(t, c.behaviour)
			var output strings.Builder
			for range c.signals {
				if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
				line, _ := s.out.ReadString('\n') // the first signal has arrived
				output.WriteString(line)
			}
			rest, _ := io.ReadAll(s.out)
			output.Write(rest)
			err := s.cmd.Wait()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != c.wantCode {
				t.Errorf("ended with %v, want exit status %d", err, c.wantCode)
			}
			if diff := cmp.Diff(c.wantOutput, output.String()); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
			s.mustBeGone(t)
		})
	}
}

func TestNewRefusesTheMachinesOwnNetwork(t *testing.T) {
	t.Setenv("PACGAN_SANDBOX", "labtest net:[1]")
	_, err := lab.New(lab.Options{})
	want := "lab: only inside Supervise or labtest.Main, never in the machine's own network namespace"
	if got := errText(err); got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}

func TestSuperviseWithoutRoot(t *testing.T) {
	const nobody = 65534
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{programVar + "=orderly"}
	if os.Geteuid() == 0 {
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	out, err := cmd.CombinedOutput()
	want := "network namespaces need root: run as root, for example with sudo\n"
	if diff := cmp.Diff(want, string(out)); diff != "" || errText(err) != "exit status 1" {
		t.Errorf("%v, output (-want +got):\n%s", err, diff)
	}
}

func TestADeadRoleIsNamed(t *testing.T) {
	l := mustLab(t, lab.Options{})
	pid := mustFindRole(t, "pacgan-lab-lan")
	err := l.Traffic(t.Context(), "dns", 1<<30, func(int) { _ = syscall.Kill(pid, syscall.SIGKILL) })
	if got, want := errText(err), "lab: process pacgan-lab-lan has ended: signal: killed"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}

func mustFindRole(tb testing.TB, name string) int {
	tb.Helper()
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		if b, err := os.ReadFile(path); err == nil && string(b) == name+"\x00" {
			pid, err := strconv.Atoi(strings.Split(path, "/")[2])
			if err != nil {
				tb.Fatal(err)
			}
			return pid
		}
	}
	tb.Fatalf("no process %s", name)
	return 0
}

func mustMounts(tb testing.TB) string {
	tb.Helper()
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}
