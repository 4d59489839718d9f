package appliance

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mayImport pins which of our packages each package imports (tests aside):
// the stages hand over through files and through internal/appliance, never
// through each other.
var mayImport = map[string][]string{
	"bench":                    {"*"},
	"bench/fleet":              {"internal/appliance", "internal/chart", "internal/fleet", "internal/fleet/hub", "internal/fleet/member", "internal/truth"},
	"bench/generator":          {"*"},
	"bench/likeness":           {"internal/lab", "internal/lab/ids", "internal/lab/program"},
	"bench/services":           {"*"},
	"bench/soak":               {"internal/appliance", "internal/chart", "internal/config", "internal/control", "internal/family", "internal/lab"},
	"bench/table2":             {"*"},
	"bench/traffic":            {"internal/lab/plan", "internal/packet"},
	"cmd/docs":                 {"internal/appliance"},
	"cmd/pacgan-appliance":     {"internal/appliance", "internal/lab"},
	"internal/alarm":           {},
	"internal/appliance":       {"*"},
	"internal/bounded":         {},
	"internal/capture":         {"internal/hook", "internal/ktime", "internal/packet", "internal/ring"},
	"internal/chart":           {"internal/wilson"},
	"internal/config":          {},
	"internal/control":         {},
	"internal/dataset":         {"internal/packet"},
	"internal/encoding":        {},
	"internal/family":          {},
	"internal/fleet":           {},
	"internal/fleet/fleettest": {"internal/fleet"},
	"internal/fleet/hub":       {"internal/fleet"},
	"internal/fleet/hubpage":   {"internal/chart", "internal/fleet", "internal/live", "internal/wilson"},
	"internal/fleet/member":    {"internal/fleet", "internal/truth", "internal/wholefile"},
	"internal/fleet/rollout":   {"internal/fleet", "internal/wilson"},
	"internal/fleet/shelf":     {"internal/fleet"},
	"internal/fleet/trainer":   {"internal/fleet", "internal/fleet/shelf", "internal/model"},
	"internal/gateway":         {},
	"internal/hook":            {},
	"internal/idslog":          {"internal/jsonline", "internal/packet"},
	"internal/inject":          {"internal/alarm", "internal/hook", "internal/ktime", "internal/packet"},
	"internal/jsonline":        {},
	"internal/ktime":           {},
	"internal/lab": {
		"internal/lab/client", "internal/lab/ids", "internal/lab/plan", "internal/lab/program", "internal/lab/sandbox",
		"internal/lab/server", "internal/lab/veth",
	},
	"internal/lab/client":  {"internal/lab/plan", "internal/lab/program"},
	"internal/lab/ids":     {"internal/lab/plan", "internal/lab/program"},
	"internal/lab/labtest": {"internal/lab", "internal/lab/program", "internal/lab/sandbox", "internal/lab/veth"},
	"internal/lab/plan":    {},
	"internal/lab/program": {},
	"internal/lab/sandbox": {},
	"internal/lab/server":  {"internal/lab/plan", "internal/lab/program"},
	"internal/lab/veth":    {},
	"internal/links":       {},
	"internal/live":        {},
	"internal/model":       {"internal/encoding", "internal/sgemm", "internal/vec"},
	"internal/oldkernel":   {},
	"internal/packet":      {},
	"internal/report":      {"internal/encoding", "internal/model", "internal/quality"},
	"internal/privacy":     {"internal/packet", "internal/quality"},
	"internal/quality":     {"internal/packet"},
	"internal/scribe":      {"internal/inject", "internal/truth", "internal/verify"},
	"internal/score":       {"internal/chart", "internal/idslog", "internal/packet", "internal/tail", "internal/truth", "internal/wilson"},
	"internal/ring":        {"internal/alarm", "internal/ktime"},
	"internal/sgemm":       {},
	"internal/systemtest":  {},
	"internal/tail":        {},
	"internal/train":       {"internal/encoding", "internal/model", "internal/sgemm", "internal/vec", "internal/wholefile"},
	"internal/truth":       {"internal/ktime", "internal/packet"},
	"internal/vec":         {},
	"internal/verify":      {"internal/alarm", "internal/hook", "internal/ktime", "internal/packet", "internal/ring", "internal/wilson"},
	"internal/web":         {"internal/chart", "internal/encoding", "internal/ktime", "internal/live", "internal/score", "internal/verify", "internal/wholefile"},
	"internal/web/webtest": {},
	"internal/wholefile":   {},
	"internal/wilson":      {},
}

const module = "pacgan-appliance/"

type listedPackage struct {
	ImportPath string
	Imports    []string
}

func TestImportTable(t *testing.T) {
	for _, p := range mustListPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		allowed, known := mayImport[name]
		if !known {
			t.Errorf("package %s is not in the import table: add it there and to ARCHITECTURE.md", name)
			continue
		}
		for _, path := range p.Imports {
			ours, ok := strings.CutPrefix(path, module)
			if ok && !slices.Contains(allowed, "*") && !slices.Contains(allowed, ours) {
				t.Errorf("package %s imports %s", name, ours)
			}
		}
	}
}

// TestGorgoniaStaysInTrain keeps the graph library out of what the daemon
// runs all the time.
func TestGorgoniaStaysInTrain(t *testing.T) {
	var users []string
	for _, p := range mustListPackages(t) {
		if slices.ContainsFunc(p.Imports, func(path string) bool { return strings.HasPrefix(path, "gorgonia.org/") }) {
			users = append(users, p.ImportPath)
		}
	}
	if diff := cmp.Diff([]string{module + "internal/train"}, users); diff != "" {
		t.Errorf("users of gorgonia (-want +got):\n%s", diff)
	}
}

func mustListPackages(tb testing.TB) []listedPackage {
	tb.Helper()
	cmd := exec.Command("go", "list", "-buildvcs=false", "-json=ImportPath,Imports", "./...")
	cmd.Dir = filepath.Join("..", "..")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("%v: %v\n%s", cmd, err, stderr.String())
	}
	var packages []listedPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listedPackage
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			tb.Fatal(err)
		}
		packages = append(packages, p)
	}
}
