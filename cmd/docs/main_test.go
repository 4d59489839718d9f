package main

import (
	"compress/gzip"
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/appliance"
)

// mustDocs writes all files and returns the hash of each, by its path.
func mustDocs(t *testing.T) (dir string, files map[string][32]byte) {
	t.Helper()
	dir, files = t.TempDir(), map[string][32]byte{}
	p := appliance.Program{Version: "1.2", Stdout: io.Discard, Stderr: io.Discard}
	if err := write(p.Command(), dir, "1.2"); err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"man/*", "completion/*"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			name, err := filepath.Rel(dir, path)
			if err != nil {
				t.Fatal(err)
			}
			files[name] = sha256.Sum256(data)
		}
	}
	return dir, files
}

// TestTwoBuildsAreEqual is what a reproducible package needs.
func TestTwoBuildsAreEqual(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	_, first := mustDocs(t)
	_, second := mustDocs(t)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("files (-first +second):\n%s", diff)
	}
	for _, name := range []string{
		"man/pacgan-appliance.1.gz", "man/pacgan-appliance-run.1.gz", "man/pacgan-appliance-train-now.1.gz",
		"completion/pacgan-appliance.bash", "completion/_pacgan-appliance", "completion/pacgan-appliance.fish",
	} {
		if _, ok := first[name]; !ok {
			t.Errorf("no %s", name)
		}
	}
}

func TestManPage(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	dir, _ := mustDocs(t)
	file, err := os.Open(filepath.Join(dir, "man/pacgan-appliance-status.1.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`.TH "PACGAN-APPLIANCE-STATUS" "1" "Nov 2023" "pacgan-appliance 1.2" "User Commands"`,
		".SH DESCRIPTION\nShows what the running daemon does", `\fB--json\fP`, ".SH EXAMPLE", `\fBpacgan-appliance(1)\fP`,
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page has no %q:\n%s", want, page)
		}
	}
}

func TestBashReadsItsCompletion(t *testing.T) {
	dir, _ := mustDocs(t)
	if out, err := exec.Command("bash", "-n", filepath.Join(dir, "completion/pacgan-appliance.bash")).CombinedOutput(); err != nil {
		t.Errorf("bash -n: %v\n%s", err, out)
	}
}
