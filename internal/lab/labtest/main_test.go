package labtest_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pacgan-appliance/internal/lab/labtest"
)

// innerVar makes the Inner tests do something; they are run by other tests only.
const innerVar = "PACGAN_LABTEST_INNER"

func TestInnerPasses(t *testing.T) {
	if os.Getenv(innerVar) == "" {
		t.Skip("run by TestMainForwards")
	}
	labtest.RequireRoot(t)
}

func TestInnerFails(t *testing.T) {
	if os.Getenv(innerVar) == "" {
		t.Skip("run by TestMainForwards")
	}
	t.Fatal("fails as it should")
}

func TestMainForwards(t *testing.T) {
	labtest.RequireRoot(t)
	profile := filepath.Join(t.TempDir(), "cover.out")
	for _, c := range []struct {
		name, output string
		code         int
		args         []string
	}{
		{"success", "PASS", 0, []string{"-test.run=^TestInnerPasses$"}},
		{"-v", "=== RUN   TestInnerPasses", 0, []string{"-test.v", "-test.run=^TestInnerPasses$"}},
		{"failure", "fails as it should", 1, []string{"-test.run=^TestInner"}},
		{"a time-out", "panic: test timed out after 1ns", 2, []string{"-test.timeout=1ns", "-test.run=^TestCable$"}},
		{"wrong use", "flag provided but not defined", 2, []string{"-test.nosuchflag"}},
		{"-test.paniconexit0", "PASS", 0, []string{"-test.paniconexit0", "-test.run=^TestInnerPasses$"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, code := mustRunAgain(t, nil, c.args...)
			if code != c.code || !strings.Contains(out, c.output) {
				t.Errorf("exit status %d, want %d; want %q in the output:\n%s", code, c.code, c.output, out)
			}
		})
	}
	if testing.CoverMode() == "" {
		return
	}
	if out, code := mustRunAgain(t, nil, "-test.run=^TestInnerPasses$", "-test.coverprofile="+profile); code != 0 {
		t.Errorf("exit status %d:\n%s", code, out)
	}
	if b, err := os.ReadFile(profile); err != nil || len(b) == 0 {
		t.Errorf("cover profile: %d bytes, %v", len(b), err)
	}
}

func TestWithoutRoot(t *testing.T) {
	labtest.RequireRoot(t) // to become somebody else
	const nobody = 65534
	as := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	const missing = "needs root, and TestMain to call labtest.Main"
	for _, c := range []struct {
		name, require, output string
		code                  int
	}{
		{"skips", "", "--- SKIP: TestInnerPasses", 0},
		{"fails where root is required", "1", "--- FAIL: TestInnerPasses", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("PACGAN_REQUIRE_ROOT", c.require)
			out, code := mustRunAgain(t, as, "-test.v", "-test.run=^TestInnerPasses$")
			if code != c.code || !strings.Contains(out, c.output) || !strings.Contains(out, missing) {
				t.Errorf("exit status %d, want %d; want %q and %q in the output:\n%s", code, c.code, c.output, missing, out)
			}
		})
	}
}

// mustRunAgain runs this test binary as `go test` would, outside any sandbox it knows of.
func mustRunAgain(tb testing.TB, as *syscall.SysProcAttr, args ...string) (out string, code int) {
	tb.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.SysProcAttr = as
	cmd.Env = append(os.Environ(), innerVar+"=1", "PACGAN_SANDBOX=")
	if as != nil {
		cmd.Dir = "/"
	}
	b, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		tb.Fatal(err)
	}
	return string(b), cmd.ProcessState.ExitCode()
}
