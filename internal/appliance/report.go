package appliance

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"pacgan-appliance/internal/score"
	"pacgan-appliance/internal/wholefile"
)

// LabReport is what `lab --json` writes: a contract, to which fields may be
// added and from which none goes away.
type LabReport struct {
	Version string        `json:"version"`
	Seed    uint64        `json:"seed"`
	Recipe  string        `json:"recipe"`
	Servers string        `json:"servers"`
	Train   TrainReport   `json:"train"`
	Labels  []LabelReport `json:"labels"`
	All     LabelReport   `json:"all"`
	Score   *score.Score  `json:"score,omitempty"` // of the lab's sensor, with --ids
	// SensorLost is how many frames the sensor was too slow for.
	SensorLost uint64 `json:"sensor_lost,omitempty"`
}

// TrainReport says what a training took.
type TrainReport struct {
	Seconds    float64        `json:"seconds"`     // by the clock
	CPUSeconds float64        `json:"cpu_seconds"` // of the training process, all threads
	Steps      int            `json:"steps"`       // adversarial steps; 0 for trees alone
	Chosen     int            `json:"chosen_step"` // the checkpoint that validation chose; 0 is step 0
	Packets    map[string]int `json:"packets"`     // trained on, for each label
}

// RTTMillis are quantiles of the time from a packet to its answer, in
// milliseconds.
type RTTMillis struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
}

// writeJSON writes v to path, by wholefile.Write.
func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return wholefile.Write(path, 0o644, func(w io.Writer) error {
		_, err := w.Write(append(b, '\n'))
		return err
	})
}

// writeTable prints rows under a header, numbers to the right.
func writeTable(w io.Writer, header []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range append([][]string{header}, rows...) {
		if _, err := fmt.Fprintln(t, strings.Join(row, "\t")+"\t"); err != nil {
			return err
		}
	}
	return t.Flush()
}

// reasons lists a label's rejections, the most frequent first.
func reasons(rejected map[string]uint64) string {
	names := slices.SortedFunc(maps.Keys(rejected), func(a, b string) int {
		if d := int(rejected[b]) - int(rejected[a]); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	parts := make([]string, 0, len(names))
	for _, name := range names {
		if rejected[name] > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", thousands(rejected[name]), name))
		}
	}
	return strings.Join(parts, ", ")
}
