package systemtest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// mustPackage builds both packages, for this machine, and returns their directory.
func mustPackage(t *testing.T, version string) string {
	t.Helper()
	dir, err := filepath.Rel(mustAbs(t, top), mustAbs(t, t.TempDir()))
	must(t, err)
	cmd := exec.Command("scripts/package.sh", runtime.GOARCH)
	cmd.Dir = top
	cmd.Env = append(os.Environ(), "PACKAGE_VERSION="+version, "PACKAGE_DIR="+dir, "SOURCE_DATE_EPOCH=1767225600")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return filepath.Join(mustAbs(t, top), dir)
}

func mustAbs(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	must(t, err)
	return abs
}

// give copies the one package of a kind into the machine's /root.
func (m *machine) give(dir, kind string) {
	m.t.Helper()
	for _, path := range m.packages(dir, kind) {
		b, err := os.ReadFile(path)
		must(m.t, err)
		must(m.t, os.WriteFile(m.path("/root/"+filepath.Base(path)), b, 0o644))
	}
}

func (m *machine) packages(dir, kind string) []string {
	m.t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*."+kind))
	must(m.t, err)
	if len(paths) != 1 {
		m.t.Fatalf("%s has the packages %q, want one", dir, paths)
	}
	return paths
}

// TestTwoBuildsAreEqual compares the packages byte for byte.
func TestTwoBuildsAreEqual(t *testing.T) {
	if testing.Short() {
		t.Skip("builds packages")
	}
	first, second := mustPackage(t, "1.0.0"), mustPackage(t, "1.0.0")
	entries, err := os.ReadDir(first)
	must(t, err)
	if len(entries) != 2 {
		t.Errorf("%d packages, want a .deb and a .rpm: %v", len(entries), entries)
	}
	mustListItsParts(t, first)
	for _, e := range entries {
		a, err := os.ReadFile(filepath.Join(first, e.Name()))
		must(t, err)
		b, err := os.ReadFile(filepath.Join(second, e.Name()))
		must(t, err)
		if !bytes.Equal(a, b) {
			t.Errorf("%s: two builds differ", e.Name())
		}
	}
}

// mustListItsParts reads the bill of materials in the .deb: it names what the binary is made of, and
// no place of the machine that made it.
func mustListItsParts(t *testing.T, dir string) {
	t.Helper()
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	must(t, err)
	out, err := exec.Command("sh", "-c", `dpkg-deb --fsys-tarfile "$0" | tar -xO ./usr/share/doc/pacgan-appliance/sbom.cdx.json`, debs[0]).Output()
	must(t, err)
	var sbom struct {
		BOMFormat  string
		Components []struct{ Name, Version, PURL string }
	}
	must(t, json.Unmarshal(out, &sbom))
	named := map[string]bool{}
	for _, c := range sbom.Components {
		named[c.Name] = c.Version != "" && c.PURL != ""
	}
	for _, module := range []string{"github.com/cilium/ebpf", "gorgonia.org/gorgonia", "golang.org/x/sys", "std"} {
		if !named[module] {
			t.Errorf("the bill of materials lacks %s, or its version", module)
		}
	}
	if sbom.BOMFormat != "CycloneDX" || bytes.Contains(out, []byte(mustAbs(t, top))) {
		t.Errorf("format %q, or a place of this machine in it", sbom.BOMFormat)
	}
}

// readmeCommands are the commands of the README that follow a marker.
func readmeCommands(t *testing.T, marker string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, "README.md"))
	must(t, err)
	_, after, found := strings.Cut(string(text), "<!-- "+marker+" -->\n\n")
	if !found {
		t.Fatalf("README.md has no marker %q", marker)
	}
	block, _, _ := strings.Cut(after, "\n\n")
	var commands []string
	for _, line := range strings.Split(block, "\n") {
		command, indented := strings.CutPrefix(line, "    ")
		if !indented {
			t.Fatalf("README.md, after marker %q: %q is no command", marker, line)
		}
		commands = append(commands, command)
	}
	return commands
}
