package appliance

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"pacgan-appliance/internal/config"
)

// verdict is what a finding means for the appliance.
type verdict string

// The verdicts of doctor.
const (
	verdictGood    verdict = "good"
	verdictWarning verdict = "warning" // works, but not as well as it could
	verdictMissing verdict = "missing" // essential: does not work without it
)

// finding is one thing that doctor looked at.
type finding struct {
	Name    string  `json:"name"`
	Verdict verdict `json:"verdict"`
	Detail  string  `json:"detail"`           // what was found
	Advice  string  `json:"advice,omitempty"` // what to do about it
}

func good(name, format string, args ...any) finding {
	return finding{Name: name, Verdict: verdictGood, Detail: fmt.Sprintf(format, args...)}
}

// warning and missing are findings with something to do about them.
func warning(name, detail, advice string) finding {
	return finding{name, verdictWarning, detail, advice}
}

func missing(name, detail, advice string) finding {
	return finding{name, verdictMissing, detail, advice}
}

// DoctorReport is what `doctor --json` writes: fields may be added, none goes
// away.
type DoctorReport struct {
	Version  string    `json:"version"`
	Config   string    `json:"config,omitempty"` // file that was looked at
	Works    bool      `json:"works"`            // nothing essential is missing
	Findings []finding `json:"findings"`
}

const (
	doctorLong = `Looks at what this machine has and lacks: kernel, capabilities, tcpdump and, with a config, its interfaces,
their offloads, the routes to the allowed networks and the room on the disk. Says what to do about each thing
that is not as it should be. The exit code is 1 when something essential
is missing. It makes a veth pair and takes it away at once, and changes nothing else. Run it as the user that runs the daemon.`

	doctorExample = `  pacgan-appliance doctor
  pacgan-appliance doctor -c config.toml --json | jq '.findings[] | select(.verdict != "good")'`

	installedConfig = "/etc/pacgan-appliance/config.toml"
)

// doctorCommand tells why a machine would not work.
func (p *Program) doctorCommand() *cobra.Command {
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "doctor [-c config.toml] [--json]",
		Short:   "What this machine has and lacks to run the appliance, and what to do",
		Long:    doctorLong,
		Example: doctorExample,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if path == "" {
				if _, err := os.Stat(installedConfig); err == nil {
					path = installedConfig
				}
			}
			return p.doctor(path, asJSON)
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "", "config `file` (default: the installed one, if there is one)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "everything as JSON")
	return cmd
}

func (p *Program) doctor(path string, asJSON bool) error {
	report := DoctorReport{Version: p.Version, Config: path, Findings: machineFindings()}
	if path != "" {
		report.Findings = append(report.Findings, configFindings(path)...)
	}
	worst := 0
	for _, f := range report.Findings {
		if f.Verdict == verdictMissing {
			worst++
		}
	}
	report.Works = worst == 0
	if err := report.write(p.Stdout, asJSON); err != nil {
		return err
	}
	if worst > 0 {
		return fmt.Errorf("doctor: %d essential things are missing: see above", worst)
	}
	return nil
}

func (r *DoctorReport) write(w io.Writer, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	for _, f := range r.Findings {
		advice := ""
		if f.Advice != "" {
			advice = "\n         " + f.Advice
		}
		if _, err := fmt.Fprintf(w, "%-8s %s: %s%s\n", f.Verdict, f.Name, f.Detail, advice); err != nil {
			return err
		}
	}
	return nil
}

// configFindings looks at what a config names.
func configFindings(path string) []finding {
	cfg, err := configLoader().Load(path)
	if err != nil {
		return []finding{missing("config", oneLine(err), `"pacgan-appliance check -c `+path+`" lists every fault with its line`)}
	}
	out := []finding{good("config", "%s: %d labels", path, len(cfg.Labels))}
	out = append(out, networkFindings(cfg)...)
	return append(out, diskFinding(cfg))
}

// diskFinding compares the room that captures may take with what there is.
func diskFinding(cfg config.Config) finding {
	free, dir, err := freeBytes(cfg.State.Dir)
	if err != nil {
		return missing("disk", fmt.Sprintf("%s: %v", cfg.State.Dir, err), "make the directory, or name another in state.dir")
	}
	if most := uint64(cfg.State.MaxBytes); free < most {
		return warning("disk", fmt.Sprintf("%s has %d MiB free, state.max_bytes is %v", dir, free>>20, cfg.State.MaxBytes),
			"lower state.max_bytes or free some: packets are dropped once the disk is full")
	}
	return good("disk", "%s has room for state.max_bytes", dir)
}
