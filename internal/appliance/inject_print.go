package appliance

import (
	"fmt"
	"io"
)

// print writes the report for a person.
func (r *InjectReport) print(w io.Writer) error {
	fmt.Fprintf(w, "\nWhat was answered of %s\n", r.describe())
	rows := make([][]string, 0, len(r.Labels)+1)
	for _, l := range r.Labels {
		rows = append(rows, injectRow(l.Label, l))
	}
	if len(r.Labels) > 1 {
		rows = append(rows, injectRow("all", r.All))
	}
	if err := writeTable(w, injectHeader(), rows); err != nil {
		return err
	}
	if err := printReasons(w, r.Labels); err != nil {
		return err
	}
	asked := fmt.Sprintf("%.6g", r.RateAsked)
	if r.Learned {
		asked += " (learned)"
	}
	fmt.Fprintf(w, "\nrate: %s packets/s asked, %.6g achieved over %.1f s; engine %s\n", asked, r.RateAchieved, r.Seconds, r.Engine)
	for _, warning := range r.Warnings {
		if _, err := fmt.Fprintf(w, "warning: %s\n", warning); err != nil {
			return err
		}
	}
	return nil
}

func injectHeader() []string {
	return []string{"label", "generated", "on wire", "answered", "rejected", "expired", "failed", "blocked", "malformed", "unasked",
		"success", "95 % interval", "rtt p50 ms"}
}

func injectRow(name string, l LabelReport) []string {
	success, interval := "-", "-"
	if l.success().Decided > 0 {
		success = percent(l.SuccessRate)
		interval = fmt.Sprintf("%.2f - %.2f %%", 100*l.Wilson95[0], 100*l.Wilson95[1])
	}
	return []string{
		name, thousands(l.Generated), thousands(l.OnWire), thousands(l.Answered), thousands(l.rejectedTotal()), thousands(l.Expired),
		thousands(l.Failed), thousands(l.Blocked), thousands(l.Malformed), thousands(l.Unasked), success, interval,
		fmt.Sprintf("%.3f", l.RTT.P50),
	}
}
