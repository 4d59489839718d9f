package main

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	requirement = regexp.MustCompile(`(?m)^\t([a-z][^ \n]+/[^ \n]+) v[^ \n]+$`) // "// indirect" does not end so
	toolLine    = regexp.MustCompile(`(?m)^(?:tool )?\t?([a-z][^ \n]+/cmd/[^ \n]+)$`)
	firstColumn = regexp.MustCompile(`(?m)^\| ([a-z]+\.[^ |]+) \|`)
)

// TestDependenciesAreExplained: docs/dependencies.md has a row for each module
// that is required directly and each tool, and no other.
func TestDependenciesAreExplained(t *testing.T) {
	var want, got []string
	for path, patterns := range map[string][]*regexp.Regexp{
		"../../go.mod": {requirement, toolLine}, "../../packaging/go.mod": {toolLine}, "../../docs/dependencies.md": {firstColumn},
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, pattern := range patterns {
			for _, found := range pattern.FindAllStringSubmatch(string(text), -1) {
				if pattern == firstColumn {
					got = append(got, found[1])
				} else {
					want = append(want, found[1])
				}
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if len(want) < 20 {
		t.Errorf("%d dependencies found: go.mod is not read", len(want))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/dependencies.md (-want +got):\n%s", diff)
	}
}
