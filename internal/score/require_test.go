package score

import (
	"errors"
	"strings"
	"testing"

	"pacgan-appliance/internal/bounded"
)

// example is a score with one malicious label, one benign one and one that no flow of was answered.
func example() *Score {
	all := Confusion{TP: 95, FN: 5, FP: 2, TN: 398}
	sqli := Label{Name: "sqli", Malicious: true, Detected: shareOf(95, 100), DetectP50: 0.002, DetectP99: 0.4, Measures: measuresOf(all)}
	dns := Label{Name: "dns", Detected: shareOf(2, 400), DetectP50: 0.001, DetectP99: 0.001, Measures: measuresOf(Confusion{FP: 2, TN: 398})}
	dead := Label{Name: "dead", Malicious: true, Detected: shareOf(0, 0), Measures: measuresOf(Confusion{FP: 2, TN: 398})}
	return &Score{Sensors: []Sensor{{Name: "suricata", Kind: "suricata", Labels: []Label{dead, dns, sqli}, All: measuresOf(all)}}}
}

func TestRequirement(t *testing.T) {
	tests := []struct{ give, want string }{
		{"recall(sqli) >= 0.95", ""},
		{" recall( sqli , suricata )>=0.95 ", ""},
		{"recall() >= 0.95", ""},
		{"recall(sqli) > 0.95", "requirement recall(sqli) > 0.95: not met: suricata has 0.95 (95 of 100 flows)"},
		{"precision(sqli) >= 0.99", "requirement precision(sqli) >= 0.99: not met: suricata has 0.979381 (95 of 97 flows)"},
		{"false_alerts(dns) <= 0.005", ""},
		{"false_alerts(dns) < 0.005", "requirement false_alerts(dns) < 0.005: not met: suricata has 0.005 (2 of 400 flows)"},
		{"detected(dns) <= 5e-3", ""},
		{"detect_p99(sqli) <= 400ms", ""},
		{"detect_p50(sqli) < 0.001", "requirement detect_p50(sqli) < 0.001: not met: suricata has 0.002"},
		{"flows(sqli) >= 101", "requirement flows(sqli) >= 101: not met: suricata has 100"},
		{"recall(dead) >= 0.5", "requirement recall(dead) >= 0.5: not met: recall of suricata is not defined: no flow of the label was answered"},
		{"detect_p50(dead) < 1", "requirement detect_p50(dead) < 1: not met: detect_p50 of suricata is not defined: no flow of the label was answered"},
		{"recall(dns) >= 0.5", "requirement recall(dns) >= 0.5: not met: recall of suricata is not defined: the label is benign: false_alerts and detected are"},
		{"recall(xss) >= 0.5", `requirement recall(xss) >= 0.5: not met: no flow of label "xss" is in the truth`},
		{"recall(sqli, snort) >= 0.5", `requirement recall(sqli, snort) >= 0.5: not met: no IDS is called "snort"`},
		{"recall(sqli)", `requirement "recall(sqli)": must look like "recall(LABEL) >= 0.95"`},
		{"recall(sqli) = 1", `requirement "recall(sqli) = 1": must look like "recall(LABEL) >= 0.95"`},
		{"accuracy(sqli) >= 1", `requirement "accuracy(sqli) >= 1": "accuracy" is no figure: known are detect_p50, detect_p99, detected, f1, false_alerts, flows, mcc, precision, recall`},
		{"flows() >= 1", `requirement "flows() >= 1": flows is of one label: name it in the brackets`},
		{"recall(sqli) >= NaN", `requirement "recall(sqli) >= NaN": bound "NaN": must be a number, or a time such as "500ms"`},
	}
	for _, tt := range tests {
		got := ""
		r, err := ParseRequirement(tt.give)
		if err == nil {
			if err = r.Check(example()); err != nil && !errors.Is(err, ErrNotMet) {
				t.Errorf("%s: error is no ErrNotMet: %v", tt.give, err)
			}
		}
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.give, got, tt.want)
		}
	}
}

// FuzzRequirement: what is read is read again from what it prints, and a check says one line.
func FuzzRequirement(f *testing.F) {
	for _, seed := range []string{
		"recall(sqli) >= 0.95", "detect_p99(sqli, suricata) <= 500ms", "precision() > 1e-3", "false_alerts(a,b,c) < 1", "mcc(\n) < -1", "f1(x) >= Inf",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		defer bounded.Input(t, len(text))()
		r, err := ParseRequirement(text)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("%q: error of several lines: %v", text, err)
			}
			return
		}
		again, err := ParseRequirement(r.String())
		if err != nil || again != r {
			t.Errorf("%q: %+v, and read again %+v, %v", text, r, again, err)
		}
		if err := r.Check(example()); err != nil && strings.ContainsAny(err.Error(), "\n\r") {
			t.Errorf("%q: error of several lines: %v", text, err)
		}
	})
}
