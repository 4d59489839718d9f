package sandbox_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/lab/labtest"
	"pacgan-appliance/internal/lab/sandbox"
)

func TestMain(m *testing.M) { labtest.Main(m) }

func TestOrphansAreReaped(t *testing.T) {
	labtest.RequireRoot(t)
	// The inner shell ends after its parent: pid 1 has to wait for it.
	out, err := exec.Command("sh", "-c", `(read line; exit 3) </dev/null >/dev/null & echo $!`).Output()
	if err != nil {
		t.Fatal(err)
	}
	orphan := "/proc/" + strings.TrimSpace(string(out))
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		if _, err := os.Stat(orphan); os.IsNotExist(err) {
			return
		}
	}
	t.Errorf("%s is still there: a zombie", orphan)
}

// TestOwnWaitsAreNotStolen has pid 1 reap orphans while this process waits for children.
func TestOwnWaitsAreNotStolen(t *testing.T) {
	labtest.RequireRoot(t)
	for range 100 {
		err := exec.Command("sh", "-c", "true & exit 5").Run()
		if err == nil || err.Error() != "exit status 5" {
			t.Fatalf("got %v, want exit status 5", err)
		}
	}
}

func TestKindIsOfTheOwnNamespaceOnly(t *testing.T) {
	labtest.RequireRoot(t)
	if got := sandbox.Kind(); got != "labtest" {
		t.Errorf("kind %q, want labtest", got)
	}
	t.Setenv("PACGAN_SANDBOX", "labtest net:[1]")
	if got := sandbox.Kind(); got != "" {
		t.Errorf("in another namespace: kind %q, want none", got)
	}
}

func TestOuterPIDDiffersFromTheInner(t *testing.T) {
	labtest.RequireRoot(t)
	proc, err := sandbox.OuterProc()
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	pid, err := sandbox.OuterPID(proc)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	n, err := unix.Readlinkat(int(proc.Fd()), pid+"/ns/pid", buf)
	if err != nil {
		t.Fatalf("pid %s outside: %v", pid, err)
	}
	if own, _ := os.Readlink("/proc/self/ns/pid"); own != string(buf[:n]) {
		t.Errorf("pid %s outside is in %s, want %s", pid, buf[:n], own)
	}
}

func TestKillNetNSSparesTheOwn(t *testing.T) {
	labtest.RequireRoot(t)
	own, err := sandbox.NetNS("self")
	if err != nil {
		t.Fatal(err)
	}
	err = sandbox.KillNetNS(context.Background(), own)
	want := "sandbox: only a network namespace made inside a sandbox can be cleared"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
}
