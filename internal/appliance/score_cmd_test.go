package appliance

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestScoreCommand has ten flows of a malicious and ten of a benign label, and an IDS that misses one and alerts
// falsely on one.
func TestScoreCommand(t *testing.T) {
	dir := t.TempDir()
	var truths, eve strings.Builder
	for i := range 20 {
		label, malicious := "sqli", i < 10
		if !malicious {
			label = "dns"
		}
		second := fmt.Sprintf("2026-11-25T08:51:%02d", i)
		flow := fmt.Sprintf(`"src_ip":"10.77.1.5","src_port":%d,"dest_ip":"10.77.2.2","dest_port":80,"proto":"TCP"`, 40000+i)
		fmt.Fprintf(&truths, `{"timestamp":"%s.000000000+0000","event_type":"pacgan",%s,"pacgan":{"label":"%s","malicious":%t,"verdict":"answered"}}`+"\n", second, flow, label, malicious)
		if i < 9 || i == 19 {
			fmt.Fprintf(&eve, `{"timestamp":"%s.002+0000","event_type":"alert",%s,"alert":{"gid":1,"signature_id":7,"signature":"LOCAL sqli"},"flow":{"start":"%s.001+0000"}}`+"\n", second, flow, second)
		}
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	truthFile, eveFile, broken := write("truth.jsonl", truths.String()), write("eve.json", eve.String()), write("broken.json", eve.String()+"oops\n")
	empty := t.TempDir()
	tests := []struct {
		name string
		args []string
		code int
		want string // on standard error
	}{
		{"met", []string{"--eve", eveFile, "--require", "recall(sqli) >= 0.9", "--require", "false_alerts(dns) <= 0.1"}, ExitDone, ""},
		{
			"not met", []string{"--eve", eveFile, "--require", "recall(sqli) >= 0.95", "--require", "precision() > 0.5"}, ExitFailed,
			"pacgan-appliance: requirement recall(sqli) >= 0.95: not met: suricata has 0.9 (9 of 10 flows)\n",
		},
		{"a broken line", []string{"--eve", broken}, ExitFailed, "pacgan-appliance: score: suricata " + broken + ": line 11: EVE: must be a JSON object\n"},
		{"no log", []string{"--eve", filepath.Join(dir, "none.json")}, ExitFailed, "pacgan-appliance: score: suricata " + filepath.Join(dir, "none.json") + ": no such file or directory\n"},
		{"no truth", []string{"--truth", empty, "--eve", eveFile}, ExitFailed, "pacgan-appliance: score: truth " + empty + ": no *.jsonl file in this directory\n"},
		{"truth that is none", []string{"--truth", eveFile, "--eve", eveFile}, ExitFailed, "pacgan-appliance: score: truth " + eveFile + `: line 1: no truth record: event_type "pacgan" with pacgan.label and pacgan.verdict` + "\n"},
		{"no IDS", nil, ExitUsage, "pacgan-appliance: score: no log is given: --eve, --zeek or --snort FILE: see pacgan-appliance --help\n"},
		{"requirement", []string{"--eve", eveFile, "--require", "recall(sqli)"}, ExitUsage, `pacgan-appliance: score: requirement "recall(sqli)": must look like "recall(LABEL) >= 0.95": see pacgan-appliance --help` + "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			p := Program{Version: "test", Stdout: &out, Stderr: &errs}
			report := filepath.Join(t.TempDir(), "score.json")
			code := p.Run(t.Context(), append([]string{"score", "--truth", truthFile, "--json", report, "--report", report + ".html"}, tt.args...))
			if code != tt.code || errs.String() != tt.want {
				t.Errorf("exit code %d, want %d; standard error:\n%swant:\n%s", code, tt.code, errs.String(), tt.want)
			}
			if tt.code == ExitDone {
				if text, err := os.ReadFile(report); err != nil || !strings.Contains(string(text), `"id": "1:7"`) || !strings.Contains(out.String(), "1:7") {
					t.Errorf("report: %v\n%s\n%s", err, text, out.String())
				}
				if page, err := os.ReadFile(report + ".html"); err != nil || !bytes.Contains(page, []byte("LOCAL sqli")) {
					t.Errorf("page: %v\n%s", err, page)
				}
			}
		})
	}
}
