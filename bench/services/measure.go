package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"pacgan-appliance/internal/appliance"
	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/quality"
)

// measure makes the network and goes through the phases.
func measure(ctx context.Context, o options, out io.Writer) (err error) {
	labels, err := chosen(o.labels)
	if err != nil {
		return err
	}
	if o.state == "" {
		if o.state, err = os.MkdirTemp("", "pacgan-services-"); err != nil {
			return err
		}
	}
	dir := filepath.Join(o.state, "servers")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	network, err := lab.New(lab.Options{LogDir: filepath.Join(o.state, "lab"), Seed: o.seed})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, network.Close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // before the network is closed
	if err := prepare(ctx, dir); err != nil {
		return err
	}
	for _, p := range labels {
		if err := startServer(ctx, network, p, dir); err != nil {
			return err
		}
	}
	began := time.Now()
	if err := captureAll(ctx, network, o, labels, dir); err != nil {
		return err
	}
	fmt.Fprintf(out, "captured %d packets of each of %s in %.0f s\n", o.packets, strings.Join(o.labels, ", "), time.Since(began).Seconds())
	if err := os.WriteFile(o.config(), configText(o, labels), 0o644); err != nil {
		return err
	}
	return o.compare(ctx, network, labels, out)
}

func chosen(wanted []string) ([]protocol, error) {
	var labels []protocol
	for _, p := range protocols() {
		if slices.Contains(wanted, p.name) {
			labels = append(labels, p)
		}
	}
	if len(labels) != len(wanted) {
		return nil, fmt.Errorf("-labels %s: must be some of %s", strings.Join(wanted, ","), strings.Join(names(), ","))
	}
	return labels, nil
}

func (o options) config() string { return filepath.Join(o.state, "config.toml") }

func configText(o options, labels []protocol) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "[gateway]\nlan = %q\nwan = %q\nnat = \"none\"\n[safety]\nallow = [%q]\nmax_rate = %g\n",
		lab.GatewayLAN, lab.GatewayWAN, lab.ServersNetwork(), o.rate)
	for _, p := range labels {
		fmt.Fprintf(&b, "[[label]]\nname = %q\nfilter = %q\nanswer = \"reply\"\n", p.name, p.filter)
	}
	fmt.Fprintf(&b, "[inject]\nrate = %g\n[state]\ndir = %q\n", o.rate, o.state)
	return b.Bytes()
}

// compare trains recipe tree, and beside it the recipe asked for, and injects what they generate.
func (o options) compare(ctx context.Context, network *lab.Lab, labels []protocol, out io.Writer) error {
	fmt.Fprintln(out, "label model generated answered valid   valid%  cover  jsdiv(floor)   jsd(floor)     byteerr(real) novelty template(real) AUC   dup")
	for _, recipe := range slices.Compact([]string{string(model.RecipeTree), o.recipe}) {
		dir, err := o.train(ctx, recipe)
		if err != nil {
			return err
		}
		manifest, err := model.ReadManifest(dir)
		if err != nil {
			return err
		}
		t := manifest.Training
		fmt.Fprintf(out, "recipe %s: %.0f s (%.0f s of CPU), step %d of %d chosen\n", recipe, t.Seconds, t.CPUSeconds, t.Step, t.Steps)
		if t.Step > 0 {
			if err := o.inject(ctx, network, labels, "step0", filepath.Join(dir, "step0"), nil, out); err != nil {
				return err
			}
		}
		reports := map[string]quality.Report{}
		if err := json.Unmarshal(manifest.Quality, &reports); err != nil {
			return fmt.Errorf("quality of %s: %w", dir, err)
		}
		if err := o.inject(ctx, network, labels, recipe, dir, reports, out); err != nil {
			return err
		}
	}
	return nil
}

// train runs the appliance's command and returns the model's directory.
func (o options) train(ctx context.Context, recipe string) (string, error) {
	var said bytes.Buffer
	p := appliance.Program{Version: "bench", Stdout: &said, Stderr: io.Discard}
	code := p.Run(ctx, []string{"train", "--state", o.state, "--recipe", recipe, "--seed", strconv.FormatUint(o.seed, 10)})
	dir, ok := strings.CutPrefix(strings.TrimSpace(said.String()), "model ")
	if code != appliance.ExitDone || !ok {
		return "", fmt.Errorf("train --recipe %s: exit code %d: %s", recipe, code, &said)
	}
	return dir, nil
}

// inject runs the appliance's command beside a witness, and prints what became of each label.
func (o options) inject(ctx context.Context, network *lab.Lab, labels []protocol, name, dir string, reports map[string]quality.Report, out io.Writer) error {
	seen, err := watch(ctx, network, filepath.Join(o.state, name+".pcap"))
	if err != nil {
		return err
	}
	var said bytes.Buffer
	p := appliance.Program{Version: "bench", Stdout: io.Discard, Stderr: &said}
	result := filepath.Join(o.state, name+".json")
	code := p.Run(ctx, []string{"inject", "-c", o.config(), "--source", "model", "--model", dir, "--json", result,
		"--count", strconv.Itoa(o.generate * len(labels)), "--seed", strconv.FormatUint(o.seed, 10)})
	if code != appliance.ExitDone {
		return fmt.Errorf("inject %s: exit code %d: %s", name, code, &said)
	}
	valid, err := seen.count(labels)
	if err != nil {
		return err
	}
	encoded, err := os.ReadFile(result)
	if err != nil {
		return err
	}
	var report appliance.InjectReport
	if err := json.Unmarshal(encoded, &report); err != nil {
		return err
	}
	for _, l := range report.Labels {
		n := valid[l.Label]
		fmt.Fprintf(out, "%-5s %-5s %9d %8d %5d  %7.2f", l.Label, name, l.Generated, l.Answered, n, 100*float64(n)/float64(max(l.Generated, 1)))
		if q, ok := reports[l.Label]; ok {
			fmt.Fprintf(out, "  %.3f  %.4f(%.4f) %.4f(%.4f) %7.3f(%.3f) %.4f  %.3f(%.3f)   %.3f %.4f", q.Coverage, q.FieldDivergence.Mean,
				q.FieldDivergenceFloor.Mean, q.FieldJSD.Mean, q.FieldJSDFloor.Mean, q.ByteError, q.ByteErrorReal, q.Novelty, q.TemplateNovelty,
				q.TemplateNoveltyReal, q.AUC, q.Duplicates)
		}
		fmt.Fprintln(out)
	}
	return nil
}
