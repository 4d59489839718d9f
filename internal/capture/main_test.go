package capture

import (
	"os/exec"
	"testing"
	"time"

	"pacgan-appliance/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

func command(args ...string) *exec.Cmd { return exec.Command(args[0], args[1:]...) }

func mustRun(tb testing.TB, cmd *exec.Cmd) {
	tb.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// poll asks until the answer is yes, or the tests' deadline has passed.
func poll(done func() bool) bool {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(deadline); time.Now().Before(end); <-ticker.C {
		if done() {
			return true
		}
	}
	return false
}
