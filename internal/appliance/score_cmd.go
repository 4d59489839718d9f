package appliance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pacgan-appliance/internal/idslog"
	"pacgan-appliance/internal/score"
)

// scoreOptions are the flags of score.
type scoreOptions struct {
	truth    string
	logs     map[idslog.Kind]*[]string // [NAME=]FILE
	window   time.Duration
	required []string
	json     string
	report   string
}

const (
	scoreLong = `Joins what intrusion detection systems alerted on with the truth that the appliance wrote while it injected:
by addresses, ports and time, or by community id where a log has nothing else. Says of each label how many of
its flows were alerted on, after how long, and what that makes of precision, recall, F1 and MCC; and of each
signature what it fired on. Flows that were not answered (malformed, blocked, failed, rejected, expired) are
kept apart: they are never a miss. The offset of the sensor's clock is estimated and taken off.

A log is given as FILE, or as NAME=FILE to compare several sensors. The same NAME, or none, given twice is one
sensor whose log has several files, as rotation leaves them, or Zeek's notice.log and conn.log.

--require makes it a test: it ends with exit code 1 where a figure of any sensor is not as required. Figures
are recall, precision, f1, mcc, false_alerts (per benign flow), detected (per flow), flows, detect_p50 and
detect_p99 (seconds). "recall(LABEL, NAME) >= 0.95" is about one sensor; "recall() >= 0.95" about all labels.`

	scoreExample = `  pacgan-appliance score --truth /var/lib/pacgan-appliance/truth --eve /var/log/suricata/eve.json
  pacgan-appliance score --truth truth --eve old=old/eve.json --eve new=new/eve.json --report report.html
  pacgan-appliance score --truth truth --zeek notice.log --zeek conn.log --json score.json
  pacgan-appliance score --truth truth --eve eve.json --require 'recall(sqli) >= 0.95' --require 'false_alerts(dns) <= 0.005'`
)

// scoreCommand joins IDSs' logs with truth; it reads files and sends nothing.
func (p *Program) scoreCommand() *cobra.Command {
	o := scoreOptions{logs: map[idslog.Kind]*[]string{}}
	cmd := &cobra.Command{
		Use:     "score --truth DIR --eve FILE",
		Short:   "What an IDS made of the injected flows: recall, precision, time to detect",
		Long:    scoreLong,
		Example: scoreExample,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.score(cmd.Context(), o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.truth, "truth", "", "truth records: a `file`, or a directory of *.jsonl (required)")
	for _, log := range []struct {
		kind        idslog.Kind
		flag, usage string
	}{
		{idslog.Suricata, "eve", "Suricata's EVE JSON: `[NAME=]FILE`; repeatable"},
		{idslog.Zeek, "zeek", "Zeek's notice.log or conn.log, TSV or JSON: `[NAME=]FILE`; repeatable"},
		{idslog.Snort, "snort", "Snort 3's alert_json: `[NAME=]FILE`; repeatable"},
	} {
		o.logs[log.kind] = flags.StringArray(log.flag, nil, log.usage)
	}
	flags.DurationVar(&o.window, "window", score.DefaultWindow, "from a flow's start to its last alert")
	flags.StringArrayVar(&o.required, "require", nil, "what must hold, such as `'recall(LABEL) >= 0.95'`; repeatable")
	flags.StringVar(&o.json, "json", "", "write all figures to this `file`")
	flags.StringVar(&o.report, "report", "", "write all figures, with pictures, to this HTML `file`")
	completeFiles(cmd, "truth", "jsonl")
	completeFiles(cmd, "eve", "json")
	completeFiles(cmd, "zeek", "log")
	completeFiles(cmd, "snort", "txt", "json")
	completeFiles(cmd, "json", "json")
	completeFiles(cmd, "report", "html")
	return cmd
}

func (p *Program) score(ctx context.Context, o scoreOptions) error {
	sources := o.sources()
	switch {
	case o.truth == "":
		return usagef("score: --truth DIR is missing: what the daemon, inject or lab wrote while it injected")
	case len(sources) == 0:
		return usagef("score: no log is given: --eve, --zeek or --snort FILE")
	case o.window <= 0:
		return usagef("score: --window %v: must be above 0", o.window)
	}
	var required []score.Requirement
	for _, text := range o.required { // before the work: what is wrong shows at once
		r, err := score.ParseRequirement(text)
		if err != nil {
			return usagef("score: %w", err)
		}
		required = append(required, r)
	}
	s, err := score.Run(ctx, score.Options{Truth: o.truth, Sources: sources, Window: o.window})
	if err != nil {
		return err
	}
	if err := score.Write(p.Stdout, s); err != nil {
		return err
	}
	if o.json != "" {
		if err := writeJSON(o.json, s); err != nil {
			return fmt.Errorf("score: %w", err)
		}
	}
	if o.report != "" {
		if err := writeScorePage(o.report, s); err != nil {
			return fmt.Errorf("score: %w", err)
		}
	}
	return checkRequired(s, required)
}

func writeScorePage(path string, s *score.Score) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(score.WriteReport(f, s), f.Close())
}

// checkRequired names all that is not met in one line.
func checkRequired(s *score.Score, required []score.Requirement) error {
	var faults []string
	for _, r := range required {
		if err := r.Check(s); err != nil {
			faults = append(faults, err.Error())
		}
	}
	if faults == nil {
		return nil
	}
	return errors.New(strings.Join(faults, "; "))
}

// sources puts the files of each sensor together, in the order in which they
// are given. A sensor without a name has its kind's.
func (o scoreOptions) sources() []score.Source {
	var sources []score.Source
	for _, kind := range idslog.Kinds() {
		for _, log := range *o.logs[kind] {
			name, path, named := strings.Cut(log, "=")
			if !named || strings.Contains(name, "/") { // a path may have the sign too
				name, path = string(kind), log
			}
			i := slices.IndexFunc(sources, func(s score.Source) bool { return s.Name == name && s.Kind == kind })
			if i < 0 {
				i, sources = len(sources), append(sources, score.Source{Name: name, Kind: kind})
			}
			sources[i].Paths = append(sources[i].Paths, path)
		}
	}
	return sources
}
