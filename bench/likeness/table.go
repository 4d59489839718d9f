package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"text/tabwriter"
)

// profile is what somebody said of a recording: a rate for each thing that there was to say, of a thousand
// of what is counted (Suricata and nDPI: flows; tshark: packets).
type profile map[string]float64

// thousandth is the unit of a profile.
const thousandth = 1000

// rates turns counts into a profile.
func rates(counts map[string]int, of int) profile {
	p := profile{}
	for what, n := range counts {
		p[what] = thousandth * float64(n) / float64(of)
	}
	return p
}

// row is one thing that one observer said of one label.
type row struct {
	Label    string         `json:"label"`
	Observer string         `json:"observer"`
	What     string         `json:"what"`
	Rates    [sides]float64 `json:"rates"`   // a thousand: clients, replayed, generated
	Percent  float64        `json:"percent"` // by which generated differs from replayed
	Fault    bool           `json:"fault"`   // what no sound packet has
}

// differ is by how much two rates differ, in percent of the real one; of what is rarer than once in a flow
// (a packet), in percent of the flows (packets).
func differ(real, generated float64) float64 {
	return 100 * math.Abs(generated-real) / max(real, thousandth)
}

// observer is somebody who reads a recording. Faults are what begins like that.
type observer struct {
	name string
	read func(ctx context.Context, pcap string) (profile, error)
}

// fault begins the names of what no sound packet has.
const fault = "fault: "

// compare has an observer read all sides of one label.
func (o observer) compare(ctx context.Context, label string, files recordings) ([]row, error) {
	var said [sides]profile
	all := map[string]bool{}
	for side, file := range files {
		var err error
		if said[side], err = o.read(ctx, file); err != nil {
			return nil, err
		}
		for what := range said[side] {
			all[what] = true
		}
	}
	var rows []row
	for _, what := range slices.Sorted(maps.Keys(all)) {
		r := row{Label: label, Observer: o.name, What: what, Fault: len(what) > len(fault) && what[:len(fault)] == fault}
		for side := range said {
			r.Rates[side] = said[side][what]
		}
		r.Percent = differ(r.Rates[replayed], r.Rates[generated])
		rows = append(rows, r)
	}
	return rows, nil
}

// print writes the table.
func print(w io.Writer, table []row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "label\tobserver\treal clients\treal, replayed\tgenerated\tdifference\t what, of 1,000 flows (tshark: packets)")
	for _, r := range table {
		fmt.Fprintf(t, "%s\t%s\t%.1f\t%.1f\t%.1f\t%.2f %%\t %s\n", r.Label, r.Observer,
			r.Rates[clients], r.Rates[replayed], r.Rates[generated], r.Percent, r.What)
	}
	return t.Flush()
}

// limit is what generated traffic may differ by, in percent.
const limit = 2

// judge says what in a table must not be.
func judge(table []row) error {
	var errs []error
	for _, r := range table {
		if r.Percent >= limit {
			errs = append(errs, fmt.Errorf("%s: %s: %s: %.1f of 1,000 real, %.1f generated: %.2f %% apart, and %d are too many",
				r.Label, r.Observer, r.What, r.Rates[replayed], r.Rates[generated], r.Percent, limit))
		}
		if r.Fault && r.Rates[generated] > 0 {
			errs = append(errs, fmt.Errorf("%s: %s: %s: %.1f of 1,000 generated", r.Label, r.Observer, r.What, r.Rates[generated]))
		}
	}
	return errors.Join(errs...)
}
