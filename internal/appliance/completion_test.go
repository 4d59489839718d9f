package appliance

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// eachCommand calls f with every command that help lists, the root included.
func eachCommand(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			eachCommand(sub, f)
		}
	}
}

// TestShippedReadme has the README's table of commands list each that there is, and no other.
func TestShippedReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	must(t, err)
	_, table, found := strings.Cut(string(text), "\n## Commands\n")
	if !found {
		t.Fatal("README.md has no section of commands")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	listed := map[string]bool{}
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, "|"); len(cells) == 4 {
			for _, span := range regexp.MustCompile("`([a-z]+)").FindAllStringSubmatch(cells[1], -1) {
				listed[span[1]] = true
			}
		}
	}
	there := map[string]bool{}
	p := Program{Version: "test", Stdout: io.Discard, Stderr: io.Discard}
	for _, cmd := range p.Command().Commands() {
		there[cmd.Name()] = true
	}
	if diff := cmp.Diff(there, listed); diff != "" {
		t.Errorf("commands of README.md (-program +table):\n%s", diff)
	}
}

// TestEveryCommandExplainsItself holds what help and the man pages are made of.
func TestEveryCommandExplainsItself(t *testing.T) {
	p := Program{Version: "test", Stdout: io.Discard, Stderr: io.Discard}
	eachCommand(p.Command(), func(cmd *cobra.Command) {
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") || !strings.HasSuffix(cmd.Long, ".") {
				t.Errorf("short %q, long %q", cmd.Short, cmd.Long)
			}
			if !strings.HasPrefix(cmd.Example, "  ") {
				t.Errorf("example %q: indent it", cmd.Example)
			}
			cmd.Flags().VisitAll(func(f *pflag.Flag) {
				if f.Usage == "" {
					t.Errorf("--%s is not explained", f.Name)
				}
			})
			args := append(strings.Fields(cmd.CommandPath())[1:], "--help")
			if got := run(t, args...); got.Code != ExitDone || !strings.HasPrefix(got.Stdout, cmd.Long) || !strings.Contains(got.Stdout, cmd.Example) {
				t.Errorf("--help: %+v", got)
			}
		})
	})
}

// TestExamplesAreValid parses every example as the command line that it is.
func TestExamplesAreValid(t *testing.T) {
	p := Program{Version: "test", Stdout: io.Discard, Stderr: io.Discard}
	eachCommand(p.Command(), func(cmd *cobra.Command) {
		found := false
		for line := range strings.Lines(cmd.Example) {
			words := wordsOf(line)
			if words[0] != "pacgan-appliance" {
				continue // such as systemctl
			}
			args := words[1:]
			for i, word := range args {
				if word == "|" || word == "&&" {
					args = args[:i]
					break
				}
			}
			root := p.Command() // flags are parsed into a fresh one each time
			named, rest, err := root.Find(args)
			if err == nil {
				err = named.ParseFlags(rest)
			}
			if err == nil {
				err = named.ValidateArgs(named.Flags().Args())
			}
			if err != nil {
				t.Errorf("example %q: %v", line, err)
				continue
			}
			found = found || named.CommandPath() == cmd.CommandPath() || !cmd.Runnable() && named.HasParent()
		}
		if !found {
			t.Errorf("%s: no example shows it:\n%s", cmd.CommandPath(), cmd.Example)
		}
	})
}

// wordsOf parts a command line as a shell does that knows no quotes but single ones.
func wordsOf(line string) []string {
	words := regexp.MustCompile(`'[^']*'|\S+`).FindAllString(line, -1)
	for i, word := range words {
		words[i] = strings.Trim(word, "'")
	}
	return words
}

// TestCompletion asks as the shells' scripts do.
func TestCompletion(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want []string
	}{
		{"command", []string{"pa"}, []string{"pause\tStop injecting at once; capture and counts go on", ":4"}},
		{"subcommand", []string{"train", ""}, []string{"now\tHave the running daemon train a model now", ":4"}},
		{"flag", []string{"status", "--j"}, []string{"--json\teverything, once, as JSON", ":4"}},
		{"choice", []string{"train", "--recipe", "p"}, []string{"gan", "paper", "tree", ":4"}},
		{"file", []string{"run", "-c", ""}, []string{"toml", ":8"}},
		{"directory", []string{"generate", "--model", ""}, []string{":16"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Split(strings.TrimSpace(run(t, append([]string{"__complete"}, tt.args...)...).Stdout), "\n")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("completion (-want +got):\n%s", diff)
			}
		})
	}
}
