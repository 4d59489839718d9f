// Command generator measures the recipes offline: it draws packets of a small network that it makes up, trains on
// them, generates, and prints for each label what would be answered and how like the real packets the generated ones
// are: recipe tree, and beside it step 0 and the chosen model of the recipe asked for. The lab does the same with real servers and takes minutes.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"pacgan-appliance/bench/traffic"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/quality"
	"pacgan-appliance/internal/train"
)

// options of one measurement.
type options struct {
	set       string
	labels    []string
	packets   int // of each label, to train on
	heldOut   int
	generated int
	recipe    model.Recipe
	prior     model.Prior
	steps     int
	threads   int
	seed      uint64
	bad       int // generated packets to show that are not answered
}

func main() {
	var o options
	var recipe, prior, labels string
	flag.StringVar(&o.set, "set", "tools", "tools, shifting or long")
	flag.StringVar(&labels, "labels", "ping,dns,http", "labels")
	flag.IntVar(&o.packets, "packets", 1500, "packets of each label to train on")
	flag.IntVar(&o.heldOut, "held-out", 3000, "packets of each label to compare with")
	flag.IntVar(&o.generated, "generate", 3000, "packets of each label to generate")
	flag.StringVar(&recipe, "recipe", "tree", "tree, gan or paper")
	flag.StringVar(&prior, "prior", "", "frequency or uniform")
	flag.IntVar(&o.steps, "steps", 0, "steps of adversarial training; 0: the default")
	flag.IntVar(&o.threads, "threads", 1, "threads")
	flag.Uint64Var(&o.seed, "seed", 1, "seed")
	flag.IntVar(&o.bad, "bad", 0, "show so many packets that are not answered")
	flag.Parse()
	o.recipe, o.prior, o.labels = model.Recipe(recipe), model.Prior(prior), strings.Split(labels, ",")
	if err := run(context.Background(), o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "generator:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out io.Writer) error {
	w, err := traffic.New(o.set, o.seed)
	if err != nil {
		return err
	}
	var data train.Data
	heldOut := map[string][][]byte{}
	for _, label := range o.labels {
		packets, err := w.Packets(label, o.packets+o.heldOut)
		if err != nil {
			return err
		}
		data = append(data, train.Set{Label: label, Packets: packets[:o.packets]})
		heldOut[label] = packets[o.packets:]
	}
	models, err := o.fit(ctx, data, out)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "label model success% cover  jsdiv(floor)  jsd(floor)    byteerr(real) novelty template(real) AUC   dup    packets/s of CPU")
	for i, label := range o.labels {
		for _, m := range models {
			if err := o.measure(ctx, w, label, m, data[i].Packets, heldOut[label], out); err != nil {
				return err
			}
		}
	}
	return nil
}

// named is a model and what it is called in the table.
type named struct {
	name string
	*model.Model
}

// fit trains recipe tree, and beside it the recipe that is asked for: the models to compare.
func (o options) fit(ctx context.Context, data train.Data, out io.Writer) ([]named, error) {
	var models []named
	for _, recipe := range slices.Compact([]model.Recipe{model.RecipeTree, o.recipe}) {
		r, err := train.Train(ctx, data, train.Options{Recipe: recipe, Prior: o.prior, Steps: o.steps, Threads: o.threads, Seed: o.seed})
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(out, "set=%s packets=%d recipe=%s seed=%d: %.1f s (%.1f s of CPU), %d steps, step %d chosen; distance by step:",
			o.set, o.packets, recipe, o.seed, r.WallSeconds, r.CPUSeconds, r.Steps, r.Chosen)
		for _, c := range r.Curve {
			fmt.Fprintf(out, " %d:%.4f", c.Step, c.Distance)
		}
		fmt.Fprintf(out, " floor %.4f\n", r.Floor)
		if recipe != model.RecipeTree {
			models = append(models, named{"step0", r.Step0})
		}
		if recipe == model.RecipeTree || r.Chosen > 0 {
			models = append(models, named{string(recipe), r.Model})
		}
	}
	return models, nil
}

// measure prints the line of one label and model.
func (o options) measure(ctx context.Context, w *traffic.World, label string, m named, train, heldOut [][]byte, out io.Writer) error {
	s, err := m.NewSampler(label, o.seed+1000)
	if err != nil {
		return err
	}
	packets, good := make([][]byte, o.generated), 0
	began := cpuTime()
	for i := range packets {
		if packets[i], err = s.Next(nil); err != nil {
			return err
		}
	}
	rate := float64(o.generated) / (cpuTime() - began).Seconds()
	bad := o.bad
	for _, p := range packets {
		if w.Answers(label, p) {
			good++
		} else if bad > 0 {
			bad--
			fmt.Fprintf(out, "  not answered: %q\n", p)
		}
	}
	q, err := quality.Measure(ctx, quality.Options{Seed: o.seed}, packets, train, heldOut)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%-5s %-5s %8.2f  %.3f  %.4f(%.4f) %.4f(%.4f) %.3f(%.3f) %.4f  %.3f(%.3f)   %.3f %.4f %9.0f\n",
		label, m.name, 100*float64(good)/float64(o.generated), q.Coverage, q.FieldDivergence.Mean, q.FieldDivergenceFloor.Mean,
		q.FieldJSD.Mean, q.FieldJSDFloor.Mean, q.ByteError, q.ByteErrorReal, q.Novelty, q.TemplateNovelty, q.TemplateNoveltyReal, q.AUC, q.Duplicates, rate)
	return nil
}

// cpuTime is how long this process has computed: what other programs take of a shared machine does not count.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail with these arguments
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
