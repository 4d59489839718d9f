package appliance

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pacgan-appliance/internal/control"
	"pacgan-appliance/internal/model"
)

// watchInterval is how often status is drawn anew on a terminal.
const watchInterval = time.Second

const (
	statusLong = `Shows what the running daemon does: what it injects, how many packets of each label the network answered,
what it waits for, and how its tasks fare. On a terminal the table is drawn anew each second until Ctrl-C;
elsewhere it is printed once.`

	statusExample = `  pacgan-appliance status
  pacgan-appliance status --json | jq .all.success_rate`
)

// statusCommand shows what a running daemon does.
func (p *Program) statusCommand() *cobra.Command {
	var flags socketFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "status [--json] [--socket PATH | -c config.toml]",
		Short:   "What the running daemon does: live on a terminal, once elsewhere",
		Long:    statusLong,
		Example: statusExample,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := flags.client()
			switch {
			case err != nil:
				return err
			case asJSON:
				return p.statusJSON(cmd.Context(), client)
			case isTerminal(p.Stdout):
				return watchStatus(cmd.Context(), client, p.Stdout, watchInterval)
			}
			text, err := statusText(cmd.Context(), client)
			if err != nil {
				return err
			}
			_, err = io.WriteString(p.Stdout, text)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "everything, once, as JSON")
	flags.register(cmd)
	return cmd
}

// statusJSON hands on what the daemon says, a newer daemon's fields included.
func (p *Program) statusJSON(ctx context.Context, client *control.Client) error {
	var status json.RawMessage
	if err := client.Status(ctx, &status); err != nil {
		return err
	}
	encoder := json.NewEncoder(p.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(status)
}

// watchStatus draws the status over itself until ctx ends or the daemon does.
func watchStatus(ctx context.Context, client *control.Client, out io.Writer, interval time.Duration) error {
	lines := 0
	for {
		text, err := statusText(ctx, client)
		switch {
		case ctx.Err() != nil: // ^C is how one leaves
			return nil
		case err != nil:
			return err
		}
		if lines > 0 {
			text = fmt.Sprintf("\x1b[%dA\x1b[J%s", lines, text)
		}
		if _, err := io.WriteString(out, text); err != nil {
			return err
		}
		lines = strings.Count(text, "\n")
		if !wait(ctx, interval) {
			return nil
		}
	}
}

func statusText(ctx context.Context, client *control.Client) (string, error) {
	var s Status
	if err := client.Status(ctx, &s); err != nil {
		return "", err
	}
	var text strings.Builder
	err := s.write(&text)
	return text.String(), err
}

// write writes the status for a person.
func (s *Status) write(w io.Writer) error {
	fmt.Fprintf(w, "%s; up %s", s.Line, roughly(seconds(s.UptimeSeconds)))
	if s.CountsSince.Before(s.Started) {
		fmt.Fprintf(w, ", counts since %s", s.CountsSince.UTC().Format(time.RFC3339))
	}
	fmt.Fprintln(w)
	if s.Model != nil {
		fmt.Fprintf(w, "model %s, recipe %s\n", s.Model.ID, s.Model.Recipe)
	}
	if t := s.Training; t != nil && t.Trying {
		fmt.Fprintf(w, "trying a new model, recipe %s, trained because of %s\n", t.Recipe, t.Why)
	} else if t != nil {
		fmt.Fprintf(w, "training, recipe %s, for %s: step %s of %s; because of %s\n",
			t.Recipe, roughly(seconds(t.Seconds)), thousands(t.Step), thousands(t.Steps), t.Why)
	}
	if s.Drift != "" {
		fmt.Fprintf(w, "drift: %s\n", s.Drift)
	}
	if s.TrainingError != "" {
		fmt.Fprintf(w, "last training failed: %s\n", s.TrainingError)
	}
	if len(s.Allow) == 0 {
		fmt.Fprintln(w, "nothing is let out: safety.allow is empty; write "+allowLine)
	}
	for _, warning := range s.Warnings {
		fmt.Fprintf(w, "warning: %s\n", warning)
	}
	for i := range s.IDS {
		fmt.Fprintln(w, s.IDS[i].Line())
	}
	if s.Fleet != nil {
		fmt.Fprintln(w, s.Fleet.line())
	}
	for _, t := range s.Tasks {
		switch {
		case !t.Running && t.LastError != "":
			fmt.Fprintf(w, "task %s: waits for its restart, ended because: %s\n", t.Name, t.LastError)
		case t.Restarts > 0:
			fmt.Fprintf(w, "task %s: restarts: %s, the last because: %s\n", t.Name, thousands(t.Restarts), t.LastError)
		}
	}
	return writeTable(w, statusHeader(), s.rows())
}

func statusHeader() []string {
	return []string{"label", "captured", "generated", "on wire", "answered", "success", "95 % interval", "ceiling", "rejected", "expired", "in flight", "other", "RTT p50 ms"}
}

// rows are the table's cells, of each label and of all.
func (s *Status) rows() [][]string {
	captured := map[string]uint64{}
	var sum uint64
	for _, l := range s.Capture.Labels {
		captured[l.Label] = l.Captured
		sum += l.Captured
	}
	var rows [][]string
	for _, l := range s.Labels {
		rows = append(rows, statusRow(l.Label, captured[l.Label], l))
	}
	return append(rows, statusRow("all", sum, s.All))
}

func statusRow(name string, captured uint64, l LabelReport) []string {
	success, interval := "-", "-"
	if c := l.success(); c.Decided > 0 {
		success = percent(l.SuccessRate)
		interval = fmt.Sprintf("%.2f-%.2f", 100*l.Wilson95[0], 100*l.Wilson95[1])
	}
	return []string{
		name, thousands(captured), thousands(l.Generated), thousands(l.OnWire), thousands(l.Answered), success, interval, ceilingCell(l.Ceiling),
		thousands(l.rejectedTotal()), thousands(l.Expired), thousands(l.Inflight),
		thousands(l.Malformed + l.Blocked + l.Failed + l.Unasked), fmt.Sprintf("%.2f", l.RTT.P50),
	}
}

// ceilingCell is the success rate of captured packets and of how many.
func ceilingCell(o *model.Outcome) string {
	if o == nil || o.Decided == 0 {
		return "-"
	}
	return fmt.Sprintf("%s of %s", percent(o.Rate), thousands(o.Decided))
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
