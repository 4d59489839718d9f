package appliance

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/privacy"
	"pacgan-appliance/internal/report"
)

// privacyOf is what a manifest says of what a model's packets repeat.
func privacyOf(ctx context.Context, labels []report.Label, seed uint64) (json.RawMessage, error) {
	reports := map[string]privacy.Report{}
	for _, l := range labels {
		r, err := privacy.Measure(ctx, l.Generated, l.Trained, l.Real, seed)
		if err != nil {
			return nil, fmt.Errorf("label %q: %w", l.Name, err)
		}
		reports[l.Name] = r
	}
	return json.Marshal(reports)
}

// privacyReports reads what privacyOf wrote; none where nothing was measured.
func privacyReports(manifest *model.Manifest) (map[string]privacy.Report, error) {
	reports := map[string]privacy.Report{}
	if len(manifest.Privacy) == 0 {
		return reports, nil
	}
	if err := json.Unmarshal(manifest.Privacy, &reports); err != nil {
		return nil, fmt.Errorf("privacy report: %w", err)
	}
	return reports, nil
}

// memorised says which labels of a model repeat captured secrets in more than
// a share of their packets, and which were not measured though there is a
// bound.
func memorised(manifest *model.Manifest, most float64) (faults []string, err error) {
	if most >= 1 {
		return nil, nil
	}
	reports, err := privacyReports(manifest)
	if err != nil {
		return nil, err
	}
	for _, label := range manifest.Labels {
		r, ok := reports[label]
		switch {
		case !ok:
			faults = append(faults, label+": what it repeats of captured secrets was not measured, and train.max_memorised bounds that")
		case r.Memorised > most:
			faults = append(faults, fmt.Sprintf("%s: %d of %d packets repeat a captured secret, train.max_memorised is %g",
				label, r.N.Memorised, r.N.Generated, most))
		}
	}
	return faults, nil
}

// writePrivacy prints what a model's packets repeat.
func writePrivacy(w io.Writer, man *model.Manifest) error {
	reports, err := privacyReports(man)
	if err != nil || len(reports) == 0 {
		return err
	}
	var rows [][]string
	for _, label := range man.Labels {
		r, ok := reports[label]
		if !ok {
			continue
		}
		secrets, repeated := 0, 0
		for _, k := range r.Kinds {
			secrets, repeated = secrets+k.Secrets, repeated+k.Repeated
		}
		row := []string{
			label, thousands(r.N.Clients), thousands(secrets), thousands(repeated),
			fmt.Sprintf("%.3f (real %.3f)", r.Memorised, r.MemorisedReal), "-", "-",
		}
		if r.N.PerClass > 0 {
			row[5], row[6] = fmt.Sprintf("%.3f", r.Nearer), fmt.Sprintf("%.3f +- %.3f", r.Membership, r.MembershipError)
		}
		rows = append(rows, row)
	}
	return writeTable(w, []string{"label", "clients", "secrets", "repeated", "packets with one", "nearer to trained", "membership AUC"}, rows)
}
