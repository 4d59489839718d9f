package appliance

import (
	"fmt"
	"io"

	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/verify"
)

// writeModels prints a table of models. The current one is marked.
func writeModels(w io.Writer, reports []ModelReport) error {
	if len(reports) == 0 {
		_, err := fmt.Fprintln(w, "no models yet")
		return err
	}
	rows := make([][]string, 0, len(reports))
	for _, r := range reports {
		rows = append(rows, r.row())
	}
	return writeTable(w, []string{"model", "", "origin", "recipe", "step", "of", "training s", "canary", "state", "reason"}, rows)
}

func (r ModelReport) row() []string {
	mark := ""
	if r.Current {
		mark = "*"
	}
	if r.Manifest == nil {
		return []string{r.ID, mark, "-", "-", "-", "-", "-", "-", "damaged", r.Error}
	}
	step, of, seconds := "-", "-", "-"
	if t := r.Manifest.Training; t != nil {
		step, of, seconds = thousands(t.Step), thousands(t.Steps), fmt.Sprintf("%.1f", t.Seconds)
	}
	state, reason, canary := "not judged", "", "-"
	if j := r.Manifest.Judgement; j != nil {
		state, reason = string(j.State), j.Reason
		if j.Canary != nil {
			canary = canaryRate(j.Canary)
		}
	}
	return []string{r.ID, mark, r.Origin.cell(), string(r.Manifest.Recipe), step, of, seconds, canary, state, reason}
}

// canaryRate is the success rate over all labels of a canary.
func canaryRate(c *model.Canary) string {
	var answered, decided uint64
	for _, l := range c.Labels {
		answered, decided = answered+l.Model.Answered, decided+l.Model.Decided
	}
	all := outcomeOf(decided, verify.SuccessOf(answered, decided))
	return ceilingCell(&all)
}

// write prints all that a person wants to know of a model.
func (r ModelReport) write(w io.Writer) error {
	man := r.Manifest
	fmt.Fprintf(w, "model %s", r.ID)
	if r.Current {
		fmt.Fprint(w, ", in use")
	}
	fmt.Fprintf(w, "\n%s\nrecipe %s, of %s, by version %s, seed %d\n", r.Origin.line(), man.Recipe, man.Created.Format("2006-01-02 15:04:05 MST"), man.Software, man.Seed)
	if j := man.Judgement; j != nil {
		fmt.Fprintf(w, "%s on %s: %s\n", j.State, j.At.Format("2006-01-02 15:04:05 MST"), j.Reason)
	} else {
		fmt.Fprintln(w, "not judged")
	}
	if t := man.Training; t != nil {
		fmt.Fprintf(w, "step %s of %s, trained in %.1f s\n", thousands(t.Step), thousands(t.Steps), t.Seconds)
	}
	if err := writeQuality(w, man); err != nil {
		return err
	}
	if err := writePrivacy(w, man); err != nil {
		return err
	}
	if j := man.Judgement; j != nil && j.Canary != nil {
		return writeCanary(w, j.Canary)
	}
	return nil
}

// writeQuality prints what was measured against packets that training has not
// seen, and on how many a label was trained.
func writeQuality(w io.Writer, man *model.Manifest) error {
	reports, err := reportsOf(man.Quality)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, label := range man.Labels {
		row := []string{label, "-", "-", "-", "-", "-", "-", "-"}
		if man.Training != nil {
			row[1] = thousands(man.Training.Packets[label])
		}
		if q, ok := reports[label]; ok {
			row[2], row[3] = thousands(q.N.HeldOut), fmt.Sprintf("%.2f", q.ByteError)
			row[4], row[5] = fmt.Sprintf("%.3f", q.Novelty), fmt.Sprintf("%.3f", q.Coverage)
			row[6] = fmt.Sprintf("%.3f (real %.3f)", q.FieldJSD.Mean, q.FieldJSDFloor.Mean)
			if q.N.AUCPerClass > 0 {
				row[7] = fmt.Sprintf("%.2f", q.AUC)
			}
		}
		rows = append(rows, row)
	}
	return writeTable(w, []string{"label", "trained on", "held out", "byte error", "novelty", "coverage", "field distance", "AUC"}, rows)
}

// writeCanary prints what became of the packets that were injected to try the
// model, beside the model in use and captured packets.
func writeCanary(w io.Writer, c *model.Canary) error {
	fmt.Fprintf(w, "tried on %s for %.1f s\n", c.Began.Format("2006-01-02 15:04:05 MST"), c.Seconds)
	rows := make([][]string, 0, len(c.Labels))
	for _, l := range c.Labels {
		rows = append(rows, []string{
			l.Label, ceilingCell(&l.Model), ceilingCell(&l.Current), ceilingCell(&l.Ceiling),
			thousands(l.Variety.Duplicates), thousands(l.Variety.Keys),
		})
	}
	return writeTable(w, []string{"label", "answered", "of the model in use", "of captured ones", "duplicates", "different things asked"}, rows)
}
