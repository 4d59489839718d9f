package appliance

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/lab/labtest"
)

// TestStartNice asks a child how it runs: nice 10, in the batch class (3), and
// with no network but a loopback that is down.
func TestStartNice(t *testing.T) {
	labtest.RequireRoot(t)
	const ask = `read line < /proc/$$/stat; set -- ${line##*) }; echo nice ${17} policy ${39}
		while IFS=: read name _; do echo $name; done < /proc/net/dev | tail -n +3`
	cmd := exec.Command("bash", "-c", ask)
	var out, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &stderr
	ended := make(chan struct{})
	defer close(ended)
	must(t, startNice(cmd, ended))
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	want := []string{"nice", "10", "policy", "3", "lo"}
	if diff := cmp.Diff(want, strings.Fields(out.String())); diff != "" {
		t.Errorf("child (-want +got):\n%s", diff)
	}
}
