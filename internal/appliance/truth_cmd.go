package appliance

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/spf13/cobra"

	"pacgan-appliance/internal/truth"
)

const (
	truthLong = `Writes the record that is kept of each injected packet, its label and its verdict, in forms that other programs read.
It is kept itself in the form of Suricata's EVE: see docs/truth.md.`

	truthExportLong = `Writes the truth record in the form of Zeek's conn.log with two more columns, as labelled data sets have it
(conn.log.labeled): a generic label, Benign or Malicious, and a detailed one, the label's name. It has a line
for each packet, or TCP conversation, that left for the wire.`

	truthExportExample = `  pacgan-appliance truth export --out conn.log.labeled
  pacgan-appliance truth export --truth truth | zeek-cut ts id.orig_h id.resp_h label detailed-label`
)

// truthCommand is about the record of injected packets.
func (p *Program) truthCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "truth", Short: "The record of injected packets in other programs' forms", Long: truthLong, Example: truthExportExample, Args: cobra.NoArgs,
	}
	var dir, out string
	export := &cobra.Command{
		Use:     "export [--truth DIR] [--out FILE]",
		Short:   "Write the record as Zeek's labelled connections",
		Long:    truthExportLong,
		Example: truthExportExample,
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return p.exportTruth(dir, out) },
	}
	flags := export.Flags()
	flags.StringVar(&dir, "truth", defaultTruth, "file or `directory` of the records")
	flags.StringVar(&out, "out", "", "`file` to write (default: standard output)")
	completeDirectories(export, "truth")
	completeFiles(export, "out", "labeled")
	cmd.AddCommand(export)
	return cmd
}

func (p *Program) exportTruth(dir, out string) error {
	if out == "" {
		return p.writeZeek(p.Stdout, dir)
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	return errors.Join(p.writeZeek(f, dir), f.Close())
}

func (p *Program) writeZeek(w io.Writer, dir string) error {
	n, err := truth.WriteZeek(w, p.wholeRecords(dir))
	if err != nil {
		return fmt.Errorf("truth export: %w", err)
	}
	fmt.Fprintf(p.Stderr, "%s connections\n", thousands(n))
	return nil
}

// wholeRecords passes over lines that a crash has cut off, which it says.
func (p *Program) wholeRecords(dir string) iter.Seq2[*truth.Record, error] {
	return func(yield func(*truth.Record, error) bool) {
		for r, err := range truth.Read(dir) {
			if errors.Is(err, truth.ErrTorn) {
				fmt.Fprintln(p.Stderr, err)
				continue
			}
			if !yield(r, err) {
				return
			}
		}
	}
}
