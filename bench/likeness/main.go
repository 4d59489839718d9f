// Command likeness asks whether generated traffic is to others what real traffic is. In a lab it records what a label's
// real clients send and are answered, the same packets replayed, and as many generated ones, all on the wire in front of the
// servers; then Suricata, tshark and nDPI read the recordings, and a table shows what each of them said, real against
// generated. It fails where something differs by two percent or more, or where Suricata found an anomaly or a wrong
// checksum in a generated packet.
//
// Nothing here, and nothing in the generator, knows what those programs look at. It needs root, as the lab does.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"pacgan-appliance/internal/lab"
)

// options are the flags.
type options struct {
	binary  string
	state   string // of the lab, and of the recordings
	servers string
	recipe  string
	json    string
	labels  []string
	learned int // packets of each label to learn from
	sent    int // packets of each label to replay and to generate
	rate    float64
	seed    uint64
}

func main() {
	if handled, code := lab.RoleMain(); handled {
		os.Exit(code)
	}
	var o options
	labels := flag.String("labels", strings.Join(append(lab.Labels(), lab.Flagged()...), ","), "kinds of traffic")
	flag.StringVar(&o.binary, "binary", "build/pacgan-appliance", "the program")
	flag.StringVar(&o.state, "state", "build/likeness", "`directory` for captures, model and recordings; a lab's that is there already is used again")
	flag.StringVar(&o.servers, "servers", string(lab.System), "embedded or system")
	flag.StringVar(&o.recipe, "recipe", "tree", "what to train: tree, gan or paper")
	flag.StringVar(&o.json, "json", "", "write the table to `file`, too")
	flag.IntVar(&o.learned, "learn", 2000, "packets of each label to capture and learn")
	flag.IntVar(&o.sent, "send", 2000, "packets of each label to replay and to generate; of captured ones, at most all")
	flag.Float64Var(&o.rate, "rate", 200, "packets per second")
	flag.Uint64Var(&o.seed, "seed", 1, "seed")
	flag.Parse()
	o.labels = strings.Split(*labels, ",")
	code, err := o.main()
	if err != nil {
		fmt.Fprintln(os.Stderr, "likeness:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// main learns outside, and records in a lab of its own.
func (o options) main() (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if lab.Inside() {
		return 0, o.run(ctx)
	}
	if err := o.learn(ctx); err != nil {
		return 1, err
	}
	return lab.Supervise(os.Args[1:])
}

// learn has the lab command capture and train, unless it has already.
func (o options) learn(ctx context.Context) error {
	if found, _ := o.model(); found != "" {
		return nil
	}
	cmd := exec.CommandContext(ctx, o.binary, "lab", "--state", o.state, "--servers", o.servers, "--recipe", o.recipe,
		"--seed", strconv.FormatUint(o.seed, 10), "--labels", strings.Join(o.labels, ","), "--rate", fmt.Sprint(o.rate),
		"--capture-packets", strconv.Itoa(o.learned), "--generate", "1")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("learn: %v: %w", cmd, err)
	}
	return nil
}

// model is the directory of what was trained.
func (o options) model() (string, error) {
	found, _ := filepath.Glob(filepath.Join(o.state, "models", "*", "manifest.json"))
	if len(found) == 0 {
		return "", fmt.Errorf("%s: no model: remove the directory, and run this again", o.state)
	}
	return filepath.Dir(slices.Max(found)), nil
}

// run records, has everybody read the recordings, and prints what they said.
func (o options) run(ctx context.Context) (err error) {
	l, err := lab.New(lab.Options{Servers: lab.Servers(o.servers), Seed: o.seed})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	var table []row
	for _, label := range o.labels {
		sides, err := o.record(ctx, l, label)
		if err != nil {
			return fmt.Errorf("%s: %w", label, err)
		}
		for _, observer := range observers() {
			rows, err := observer.compare(ctx, label, sides)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", label, observer.name, err)
			}
			table = append(table, rows...)
		}
	}
	if err := print(os.Stdout, table); err != nil {
		return err
	}
	if o.json != "" {
		b, err := json.MarshalIndent(table, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.json, append(b, '\n'), 0o644); err != nil {
			return err
		}
	}
	return judge(table)
}
