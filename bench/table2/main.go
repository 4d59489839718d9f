// Command table2 redoes Table II of the PAC-GAN paper: for each of its seven mixes of traffic the lab captures what
// real clients send, trains recipe paper for as many steps as the paper did, injects what comes out, and counts the
// answers; with several seeds. It prints the paper's figures and ours side by side and writes them to
// bench/table2/table.md.
//
// It goes on where it was stopped, within a training too, so that it may run over days. It needs root, as the lab does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	dir     string
	binary  string
	out     string
	only    string
	paper   string
	seeds   int
	threads int
	packets int
	scale   float64
	budget  time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.dir, "dir", "build/table2", "`directory` that keeps captures, trainings and results")
	flag.StringVar(&o.binary, "binary", "build/pacgan-appliance", "the program")
	flag.StringVar(&o.out, "out", "bench/table2/table.md", "`file` to write the table to")
	flag.StringVar(&o.only, "only", "", "this row alone, such as ping or ping+dns")
	flag.StringVar(&o.paper, "paper", "", "`settings` of recipe paper (see train --help); named in the table")
	flag.IntVar(&o.seeds, "seeds", 3, "seeds of each row")
	flag.IntVar(&o.threads, "threads", 1, "threads that train")
	flag.IntVar(&o.packets, "packets", 2000, "packets to capture of each label")
	flag.Float64Var(&o.scale, "scale", 1, "share of the paper's steps to make; named in the table")
	flag.DurationVar(&o.budget, "budget", 0, "stop after this time and print what there is; 0: when all is done")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.budget > 0 {
		ctx, stop = context.WithTimeout(ctx, o.budget)
		defer stop()
	}
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "table2:", err)
		os.Exit(1)
	}
}

// run goes on with what is not done, and prints the table of what is.
func (o options) run(ctx context.Context) error {
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return err
	}
	chosen := rows
	if o.only != "" {
		chosen = nil
		for _, r := range rows {
			if r.name() == o.only {
				chosen = []row{r}
			}
		}
		if chosen == nil {
			return fmt.Errorf("-only %s: no such row", o.only)
		}
	}
	for seed := 1; seed <= o.seeds; seed++ { // every row once before any row twice
		for _, r := range chosen {
			if err := o.job(r, seed).run(ctx); err != nil && ctx.Err() == nil {
				return fmt.Errorf("%s, seed %d: %w", r.name(), seed, err)
			}
		}
	}
	text, err := o.table()
	if err != nil {
		return err
	}
	fmt.Print(text)
	return os.WriteFile(o.out, []byte(text), 0o644)
}

// job is one row with one seed.
type job struct {
	args   []string
	binary string
	report string // JSON, there once the job is done
	log    string
}

func (o options) job(r row, seed int) job {
	base := filepath.Join(o.dir, fmt.Sprintf("%s-%d", r.name(), seed))
	args := []string{
		"lab", "--recipe", "paper", "--labels", strings.Join(r.labels, ","), "--steps", fmt.Sprint(o.steps(r)), "--seed", fmt.Sprint(seed),
		"--threads", fmt.Sprint(o.threads), "--capture-packets", fmt.Sprint(o.packets),
		"--state", base, "--resume", "--json", base + ".json",
	}
	if o.paper != "" {
		args = append(args, "--paper", o.paper)
	}
	return job{args: args, binary: o.binary, report: base + ".json", log: base + ".log"}
}

// steps is how many of the paper's steps are made.
func (o options) steps(r row) int { return max(1, int(o.scale*float64(r.steps))) }

// run goes on with the job, unless it is done. It ends soon after ctx does, with the training's state kept.
func (j job) run(ctx context.Context) error {
	if _, err := os.Stat(j.report); err == nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	log, err := os.OpenFile(j.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, j.binary, j.args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	cmd.Stdout, cmd.Stderr = log, log
	err = cmd.Run()
	if err != nil {
		err = fmt.Errorf("%w; see %s", err, j.log)
	}
	return errors.Join(err, log.Close())
}
