package train

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPaperOptions(t *testing.T) {
	for _, tt := range []struct {
		settings string
		want     PaperOptions
	}{
		{"", PaperOptions{}},
		{"noise=1024,critic-rate=0.001", PaperOptions{Noise: 1024, CriticRate: 1e-3}},
		{"norm=none,average=0.999,falling,best", PaperOptions{Norm: NormNone, Average: 0.999, Falling: true, Best: true}},
	} {
		var settings []string
		if tt.settings != "" {
			settings = strings.Split(tt.settings, ",")
		}
		got, err := ParsePaperOptions(settings)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || got.String() != tt.settings {
			t.Errorf("%q gives %q (-want +got):\n%s", tt.settings, got, diff)
		}
	}
	const known = ": must be noise=N, critic-rate=R, norm=layer, norm=none, average=DECAY, falling or best"
	for setting, want := range map[string]string{
		"noise=many":     `"noise=many": "many" is no number`,
		"noise=-1":       "noise -1: must be 1 to 16384",
		"critic-rate=2":  "critic-rate 2: must be more than 0 and at most 1",
		"norm=batch":     `norm "batch": must be layer or none`,
		"average=1":      "average 1: must be 0 or more, and less than 1",
		"average=NaN":    "average NaN: must be 0 or more, and less than 1",
		"falling=yes":    `"falling=yes"` + known,
		"rate=1":         `"rate=1"` + known,
		"noise":          `"noise"` + known,
		"critic-rate=-0": "",
	} {
		_, err := ParsePaperOptions([]string{setting})
		if got := text(err); got != want {
			t.Errorf("%s: %q, want %q", setting, got, want)
		}
	}
}

// text is an error's, "" of none.
func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
