package appliance

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/quality"
)

// quality measures the generated packets of a label against the real ones.
func (r *labRun) quality(ctx context.Context, label string, generated [][]byte) (quality.Report, error) {
	captured, err := r.store.Read(label, 0)
	if err != nil {
		return quality.Report{}, err
	}
	train, heldOut, _ := splitPackets(captured)
	return quality.Measure(ctx, quality.Options{Seed: r.o.seed}, generated, train, heldOut)
}

// conclude prints the table and writes the JSON.
func (r *labRun) conclude(report *LabReport) error {
	if err := printReport(r.p.Stdout, report); err != nil {
		return err
	}
	if err := printScore(r.p.Stdout, report.Score, report.SensorLost); err != nil {
		return err
	}
	fmt.Fprintf(r.p.Stdout, "\nmodel      %s\ncaptured   %s\ngenerated  %s\n",
		r.model, filepath.Join(r.state, dataDir), filepath.Join(r.state, "generated.pcapng"))
	if r.o.ids != "" {
		fmt.Fprintf(r.p.Stdout, "truth      %s\nsensor     %s\n", r.o.truthFor(r.state), r.lab.EVE())
	}
	if r.o.json == "" {
		return nil
	}
	if err := writeJSON(r.o.json, report); err != nil {
		return fmt.Errorf("--json: %w", err)
	}
	_, err := fmt.Fprintf(r.p.Stdout, "report     %s\n", r.o.json)
	return err
}

// printReport prints what became of the packets, and how good they are.
func printReport(w io.Writer, report *LabReport) error {
	fmt.Fprintf(w, "\nWhat the servers answered (recipe %s, seed %d, %s servers)\n", report.Recipe, report.Seed, report.Servers)
	rows := make([][]string, 0, len(report.Labels)+1)
	for _, l := range report.Labels {
		rows = append(rows, outcomeRow(l.Label, l))
	}
	if len(report.Labels) > 1 {
		rows = append(rows, outcomeRow("all", report.All))
	}
	if err := writeTable(w, outcomeHeader(), rows); err != nil {
		return err
	}
	if err := printReasons(w, report.Labels); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nHow good the packets are (against real ones, held out from training)")
	rows = rows[:0]
	for _, l := range report.Labels {
		rows = append(rows, qualityRow(l))
	}
	if err := writeTable(w, qualityHeader(), rows); err != nil {
		return err
	}
	t := report.Train
	_, err := fmt.Fprintf(w, "\ntraining: %d steps in %.0f s (%.0f s of CPU); %s\n",
		t.Steps, t.Seconds, t.CPUSeconds, kept(report.Recipe, t.Chosen))
	return err
}

// kept says in words which checkpoint a training kept, and so what its
// adversarial part brought.
func kept(recipe string, step int) string {
	switch {
	case recipe == string(model.RecipeTree):
		return "the trees are all of the model"
	case recipe == string(model.RecipePaper):
		return fmt.Sprintf("the model of step %d is kept", step)
	case step == 0:
		return "validation chose step 0: adversarial training found nothing better than the digit trees"
	}
	return fmt.Sprintf("validation chose step %d", step)
}

func outcomeHeader() []string {
	return []string{"label", "generated", "on wire", "answered", "rejected", "expired", "failed", "blocked", "malformed", "success", "95 % interval", "step 0", "rtt p50 ms"}
}

func outcomeRow(name string, l LabelReport) []string {
	step0 := "-"
	if l.Quality.Step0Success != nil {
		step0 = percent(*l.Quality.Step0Success)
	}
	return []string{
		name, thousands(l.Generated), thousands(l.OnWire), thousands(l.Answered), thousands(l.rejectedTotal()),
		thousands(l.Expired), thousands(l.Failed), thousands(l.Blocked), thousands(l.Malformed),
		percent(l.SuccessRate), fmt.Sprintf("%.2f - %.2f %%", 100*l.Wilson95[0], 100*l.Wilson95[1]), step0,
		fmt.Sprintf("%.3f", l.RTT.P50),
	}
}

func qualityHeader() []string {
	return []string{"label", "byte error", "novelty", "template novelty", "(real)", "coverage", "duplicates", "field distance", "(real)", "AUC"}
}

func qualityRow(l LabelReport) []string {
	q := l.Quality
	return []string{
		l.Label, fmt.Sprintf("%.2f", q.ByteError), fmt.Sprintf("%.3f", q.Novelty),
		fmt.Sprintf("%.3f", q.TemplateNovelty), fmt.Sprintf("%.3f", q.TemplateNoveltyReal),
		fmt.Sprintf("%.3f", q.Coverage), fmt.Sprintf("%.3f", q.Duplicates),
		fmt.Sprintf("%.3f", q.FieldJSD.Mean), fmt.Sprintf("%.3f", q.FieldJSDFloor.Mean), fmt.Sprintf("%.2f", q.AUC),
	}
}

// printReasons lists why packets were rejected or failed, where any were.
func printReasons(w io.Writer, labels []LabelReport) error {
	for _, l := range labels {
		for _, kind := range []struct {
			name   string
			counts map[string]uint64
		}{{"rejected", l.Rejected}, {"failed", l.FailedReasons}} {
			if text := reasons(kind.counts); text != "" {
				if _, err := fmt.Fprintf(w, "%s %s: %s\n", l.Label, kind.name, text); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
