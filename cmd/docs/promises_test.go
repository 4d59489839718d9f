package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	testName = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`")
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9]+)\([a-z]+ \*testing\.[TF]\)`)
)

// existingTests are all test and fuzz functions of the repository.
func existingTests(t *testing.T) map[string]bool {
	t.Helper()
	tests := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "build"):
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		source, err := os.ReadFile(path)
		for _, found := range testFunc.FindAllSubmatch(source, -1) {
			tests[string(found[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

// TestPromisesAreTested: each line of the promises' tables names a test, and
// each test that is named is there.
func TestPromisesAreTested(t *testing.T) {
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, promises, ok := strings.Cut(string(text), "\n## Promises\n")
	if !ok {
		t.Fatal("security.md has no section of promises")
	}
	promises, _, _ = strings.Cut(promises, "\n## ")
	tests := existingTests(t)
	rows := 0
	for _, line := range strings.Split(promises, "\n") {
		if !strings.HasPrefix(line, "| ") || line == "| promise | test |" {
			continue
		}
		rows++
		named := testName.FindAllStringSubmatch(line, -1)
		if len(named) == 0 {
			t.Errorf("no test: %s", line)
		}
		for _, name := range named {
			if !tests[name[1]] {
				t.Errorf("%s does not exist: %s", name[1], line)
			}
		}
	}
	if rows < 20 {
		t.Errorf("%d promises found: the tables are not read", rows)
	}
}
