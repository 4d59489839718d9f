// Command generator measures the recipes offline: it draws packets of a small network that it makes up, trains on
// them, generates, and prints for each label what would be answered and how like the real packets the generated ones
// are; step 0 and, for recipe gan, the chosen model. The lab does the same with real servers and takes minutes.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/packet"
	"pacgan-appliance/internal/quality"
	"pacgan-appliance/internal/train"
)

// options of one measurement.
type options struct {
	world     string
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
	flag.StringVar(&o.world, "set", "tools", "tools, shifting or long")
	flag.StringVar(&labels, "labels", "ping,dns,http", "labels")
	flag.IntVar(&o.packets, "packets", 1500, "packets of each label to train on")
	flag.IntVar(&o.heldOut, "held-out", 3000, "packets of each label to compare with")
	flag.IntVar(&o.generated, "generate", 3000, "packets of each label to generate")
	flag.StringVar(&recipe, "recipe", "tree", "tree or gan")
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

// newWorld returns the named network.
func newWorld(name string, seed uint64) (*world, error) {
	rng := rand.New(rand.NewPCG(seed, 1))
	switch name {
	case "tools":
		return newTools(rng), nil
	case "shifting":
		return newShifting(rng), nil
	case "long":
		return newLong(rng), nil
	}
	return nil, fmt.Errorf("set %q: must be tools, shifting or long", name)
}

func run(ctx context.Context, o options, out *os.File) error {
	w, err := newWorld(o.world, o.seed)
	if err != nil {
		return err
	}
	var data train.Data
	heldOut := map[string][][]byte{}
	for _, label := range o.labels {
		packets, err := w.many(label, o.packets+o.heldOut)
		if err != nil {
			return err
		}
		for _, p := range packets {
			packet.ZeroChecksums(p)
		}
		data = append(data, train.Set{Label: label, Packets: packets[:o.packets]})
		heldOut[label] = packets[o.packets:]
	}
	r, err := train.Train(ctx, data, train.Options{Recipe: o.recipe, Prior: o.prior, Steps: o.steps, Threads: o.threads, Seed: o.seed})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "set=%s packets=%d recipe=%s seed=%d: %.1f s (%.1f s of CPU), %d steps, step %d chosen; distance by step:",
		o.world, o.packets, o.recipe, o.seed, r.WallSeconds, r.CPUSeconds, r.Steps, r.Chosen)
	for _, c := range r.Curve {
		fmt.Fprintf(out, " %d:%.4f", c.Step, c.Distance)
	}
	fmt.Fprintf(out, " floor %.4f\n", r.Floor)
	fmt.Fprintln(out, "label model     success% cover  jsdiv(floor)  jsd(floor)    byteerr novelty template(real) AUC   dup    packets/s")
	for i, label := range o.labels {
		for _, m := range []struct {
			name string
			*model.Model
		}{{"step0", r.Step0}, {"chosen", r.Model}} {
			if m.name == "chosen" && r.Chosen == 0 {
				continue
			}
			if err := o.measure(ctx, w, label, m.name, m.Model, data[i].Packets, heldOut[label], out); err != nil {
				return err
			}
		}
	}
	return nil
}

// measure prints the line of one label and model.
func (o options) measure(ctx context.Context, w *world, label, name string, m *model.Model, train, heldOut [][]byte, out *os.File) error {
	s, err := m.NewSampler(label, o.seed+1000)
	if err != nil {
		return err
	}
	packets, good := make([][]byte, o.generated), 0
	began := time.Now()
	for i := range packets {
		if packets[i], err = s.Next(nil); err != nil {
			return err
		}
	}
	rate := float64(o.generated) / time.Since(began).Seconds()
	bad := o.bad
	for _, p := range packets {
		if w.answers(label, p) {
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
	fmt.Fprintf(out, "%-5s %-8s %8.2f  %.3f  %.4f(%.4f) %.4f(%.4f) %.3f   %.4f  %.3f(%.3f)   %.3f %.4f %9.0f\n",
		label, name, 100*float64(good)/float64(o.generated), q.Coverage, q.FieldDivergence.Mean, q.FieldDivergenceFloor.Mean,
		q.FieldJSD.Mean, q.FieldJSDFloor.Mean, q.ByteError, q.Novelty, q.TemplateNovelty, q.TemplateNoveltyReal, q.AUC, q.Duplicates, rate)
	return nil
}
