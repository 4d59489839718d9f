package score

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"pacgan-appliance/internal/chart"
)

// shownSignatures is how many signatures the table has of a sensor.
const shownSignatures = 20

// Write writes the score for a person.
func Write(w io.Writer, s *Score) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "Truth: %s records of %d files, %s to %s\n", chart.Grouped(s.Truth.Records), len(s.Truth.Files),
		s.Truth.From.Format(time.RFC3339), s.Truth.To.Format(time.RFC3339))
	if s.Truth.Torn > 0 {
		fmt.Fprintf(b, "warning: %d files of truth end in a line that is cut off: it is left out\n", s.Truth.Torn)
	}
	for i := range s.Sensors {
		writeSensor(b, &s.Sensors[i])
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeSensor(b *strings.Builder, s *Sensor) {
	fmt.Fprintf(b, "\n%s (%s): %s alerts in %s lines, %s of them foreign%s; its clock: %s\n",
		s.Name, s.Kind, chart.Grouped(s.Alerts), chart.Grouped(s.Events), chart.Grouped(s.Foreign), s.unclear(), s.Offset)
	if s.Torn > 0 {
		fmt.Fprintf(b, "warning: %d of its files end in a line that is cut off: it is left out\n", s.Torn)
	}
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")+"\t") }
	row("label", "malicious", "flows", "alerted", "rate", "95 % interval", "apart", "detect p50", "p99", "TP", "FP", "FN", "TN", "precision", "recall", "F1", "MCC")
	for i := range s.Labels {
		l := &s.Labels[i]
		cells := []string{l.Name, yes(l.Malicious), chart.Grouped(l.Detected.Of), chart.Grouped(l.Detected.Hits), percent(l.Detected.Rate), interval(l.Detected), chart.Grouped(l.apart()),
			l.detect(l.DetectP50), l.detect(l.DetectP99)}
		if l.Malicious {
			cells = append(cells, l.cells()...)
		} else {
			cells = append(cells, "-", chart.Grouped(l.FP), "-", chart.Grouped(l.TN), "-", "-", "-", "-")
		}
		row(cells...)
	}
	row(append([]string{"all", "", chart.Grouped(s.All.TP + s.All.FP + s.All.FN + s.All.TN), chart.Grouped(s.All.TP + s.All.FP), "", "", "", "", ""}, s.All.cells()...)...)
	t.Flush() // into memory: no error
	writeSignatures(b, s)
}

// unclear says how many alerts are ambiguous, where any is.
func (s *Sensor) unclear() string {
	if s.Ambiguous == 0 {
		return ""
	}
	return ", " + chart.Grouped(s.Ambiguous) + " ambiguous"
}

func (m *Measures) cells() []string {
	return []string{
		chart.Grouped(m.TP), chart.Grouped(m.FP), chart.Grouped(m.FN), chart.Grouped(m.TN), figure(m.Precision.Rate), figure(m.Recall.Rate), figure(m.F1), figure(m.MCC),
	}
}

func writeSignatures(b *strings.Builder, s *Sensor) {
	if len(s.Signatures) == 0 {
		return
	}
	fmt.Fprintf(b, "signatures that fired, on how many flows of which label:\n")
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, g := range s.Signatures[:min(len(s.Signatures), shownSignatures)] {
		fmt.Fprintf(t, "  %s\t%s\t%s\tfirst %s\tlast %s\n", g.ID, printable(g.Text), g.On(), g.First.Format(time.TimeOnly), g.Last.Format(time.TimeOnly))
	}
	t.Flush() // into memory: no error
	if more := len(s.Signatures) - shownSignatures; more > 0 {
		fmt.Fprintf(b, "  and %d more: see --json or --report\n", more)
	}
}

// On says what the signature fired on.
func (s *Signature) On() string {
	var on []string
	for _, f := range s.Fired {
		on = append(on, f.Label+" "+chart.Grouped(f.Flows))
	}
	if s.Foreign > 0 {
		on = append(on, "foreign "+chart.Grouped(s.Foreign))
	}
	if s.Ambiguous > 0 {
		on = append(on, "ambiguous "+chart.Grouped(s.Ambiguous))
	}
	return strings.Join(on, ", ")
}

// String says what was found out about the sensor's clock.
func (o Offset) String() string {
	switch {
	case o.Pairs == 0:
		return "not compared, since no alert belongs to a flow"
	case o.Applied == 0:
		return fmt.Sprintf("as ours; alerts follow their flows by %s (median of %s)", rounded(o.Median), chart.Grouped(uint64(o.Pairs)))
	case o.Applied < 0:
		return fmt.Sprintf("%s behind ours, by %s alerts", rounded(-o.Applied), chart.Grouped(uint64(o.Pairs)))
	}
	return fmt.Sprintf("%s ahead of ours, by %s alerts", rounded(o.Applied), chart.Grouped(uint64(o.Pairs)))
}

func rounded(d time.Duration) time.Duration {
	if d.Abs() > time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Microsecond)
}

// apart is the number of flows that were not answered.
func (l *Label) apart() uint64 {
	n := uint64(0)
	for _, a := range l.Apart {
		n += a.Flows
	}
	return n
}

func (l *Label) detect(s Seconds) string {
	if l.Detected.Hits == 0 {
		return "-"
	}
	return rounded(time.Duration(float64(s) * float64(time.Second))).String()
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

// percent is all only where it is all, and nothing only where it is nothing.
func percent(share *float64) string {
	if share == nil {
		return "-"
	}
	return strconv.FormatFloat(100*within(*share, 1e-5), 'f', 3, 64) + " %"
}

func figure(x *float64) string {
	if x == nil {
		return "-"
	}
	return strconv.FormatFloat(within(*x, 1e-4), 'f', 4, 64)
}

// within keeps rounding from making a share 0 or 1 that is not.
func within(x, step float64) float64 {
	if x > 0 && x < 1 {
		return min(max(x, step), 1-step)
	}
	return x
}

func interval(s Share) string {
	if s.Rate == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f - %.2f %%", 100*s.Low, 100*s.High)
}

// printable keeps what an IDS wrote from moving the terminal's cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
