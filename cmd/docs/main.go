// Command docs writes the man pages and the shell completions of
// pacgan-appliance, from the definitions that its command line is made of. The
// pages' date is SOURCE_DATE_EPOCH, so that two builds are equal.
package main

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"pacgan-appliance/internal/appliance"
)

// section is the manual's section of commands that anyone may run.
const section = "1"

func main() {
	out := flag.String("out", "build", "`directory` that gets man/ and completion/")
	version := flag.String("version", "unknown", "of the program")
	flag.Parse()
	program := appliance.Program{Version: *version, Stdout: io.Discard, Stderr: io.Discard}
	if err := write(program.Command(), *out, *version); err != nil {
		fmt.Fprintf(os.Stderr, "docs: %v\n", err)
		os.Exit(1)
	}
}

// write writes all files anew.
func write(root *cobra.Command, out, version string) error {
	man, completion := filepath.Join(out, "man"), filepath.Join(out, "completion")
	for _, dir := range []string{man, completion} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := writeMan(root, man, version); err != nil {
		return err
	}
	return writeCompletions(root, completion)
}

// writeMan writes the page of cmd and those of the commands below it,
// compressed as distributions want them.
func writeMan(cmd *cobra.Command, dir, version string) error {
	var page bytes.Buffer
	header := doc.GenManHeader{Section: section, Source: "pacgan-appliance " + version, Manual: "User Commands"}
	if err := doc.GenMan(cmd, &header, &page); err != nil {
		return fmt.Errorf("man page of %s: %w", cmd.CommandPath(), err)
	}
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + "." + section + ".gz"
	if err := writeCompressed(filepath.Join(dir, name), page.Bytes()); err != nil {
		return err
	}
	for _, sub := range cmd.Commands() {
		if !sub.IsAvailableCommand() || sub.Name() == "help" {
			continue
		}
		if err := writeMan(sub, dir, version); err != nil {
			return err
		}
	}
	return nil
}

// writeCompressed leaves name and time out of the gzip header.
func writeCompressed(path string, data []byte) error {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}

// writeCompletions names the files as each shell looks for them.
func writeCompletions(root *cobra.Command, dir string) error {
	file := func(name string) string { return filepath.Join(dir, name) }
	const descriptions = true
	if err := root.GenBashCompletionFileV2(file(root.Name()+".bash"), descriptions); err != nil {
		return fmt.Errorf("completion for bash: %w", err)
	}
	if err := root.GenZshCompletionFile(file("_" + root.Name())); err != nil {
		return fmt.Errorf("completion for zsh: %w", err)
	}
	if err := root.GenFishCompletionFile(file(root.Name()+".fish"), descriptions); err != nil {
		return fmt.Errorf("completion for fish: %w", err)
	}
	return nil
}
