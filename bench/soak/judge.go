package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// sample is what one look at the daemon showed.
type sample struct {
	At         float64 `json:"at"` // seconds since the soak began
	PID        int     `json:"pid"`
	RSS        float64 `json:"rss_mib"`
	Mapped     float64 `json:"mapped_mib"` // of RSS, the program's file and the kernel's rings
	Heap       float64 `json:"heap_mib"`   // of Go's, in use or not yet collected
	Goroutines int     `json:"goroutines"`
	Files      int     `json:"files"` // open file descriptors
	BPF        int     `json:"bpf"`   // of these, BPF programs, maps and links
	Disk       float64 `json:"disk_mib"`
	Generated  uint64  `json:"generated"`
	Answered   uint64  `json:"answered"`
	Inflight   uint64  `json:"inflight"`
}

// event is one thing done to the daemon or its surroundings.
type event struct {
	Name      string  `json:"name"`
	From      float64 `json:"from"` // seconds since the soak began
	To        float64 `json:"to"`
	Hits      bool    `json:"hits_clients"` // it stands between clients and servers, whatever the daemon does
	Recovered float64 `json:"recovered"`    // seconds from To until packets were answered as before; below 0: never
	Fault     string  `json:"fault,omitempty"`
}

// batch is some requests that a client made one after the other.
type batch struct {
	Label    string  `json:"label"`
	From, To float64 // seconds since the soak began
	Made, OK int
}

// rule is one promise with what was found.
type rule struct {
	Name  string `json:"rule"`
	Found string `json:"found"`
	Bound string `json:"bound"`
	Holds bool   `json:"holds"`
}

// Bounds of the rules.
const (
	warmUp          = 8 * time.Minute // of a process, but at most half its life, before its size is judged: until what it remembers for a time is full
	clientGrace     = 5 * time.Second // after a fault that hits clients: ARP and their own retries
	recoverIn       = 30 * time.Second
	rssGrowthMiB    = 16.0
	rssSlope        = 0.5 // MiB a minute, where ten minutes and more are judged
	rssMiB          = 128.0
	filesGrowth     = 8
	goroutineGrowth = 16
	stopIn          = 5 * time.Second
)

// longestLife is the samples of the process that ran for the longest, without its warm-up.
func longestLife(samples []sample) []sample {
	var best []sample
	for from := 0; from < len(samples); {
		to := from
		for to < len(samples) && samples[to].PID == samples[from].PID {
			to++
		}
		life := samples[from:to]
		ready := life[0].At + min(warmUp.Seconds(), (life[len(life)-1].At-life[0].At)/2)
		warm := slices.IndexFunc(life, func(s sample) bool { return s.At >= ready })
		if warm >= 0 && len(life)-warm > len(best) {
			best = life[warm:]
		}
		from = to
	}
	return best
}

// slope is the least-squares gain of a value per second.
func slope(samples []sample, value func(sample) float64) float64 {
	var n, x, y, xx, xy float64
	for _, s := range samples {
		v := value(s)
		n, x, y, xx, xy = n+1, x+s.At, y+v, xx+s.At*s.At, xy+s.At*v
	}
	if d := n*xx - x*x; d != 0 {
		return (n*xy - x*y) / d
	}
	return 0
}

// growth is what the line through the samples gains from the first to the last.
func growth(samples []sample, value func(sample) float64) float64 {
	if len(samples) < 2 {
		return 0
	}
	return slope(samples, value) * (samples[len(samples)-1].At - samples[0].At)
}

// undisturbed are the batches that no fault of the network touched: clients' failures there are ours. The faults'
// own times decide, never the batches' results.
func undisturbed(batches []batch, events []event) (made, ok int) {
	for _, b := range batches {
		if !slices.ContainsFunc(events, func(e event) bool {
			return e.Hits && b.From < e.To+clientGrace.Seconds() && b.To > e.From
		}) {
			made, ok = made+b.Made, ok+b.OK
		}
	}
	return made, ok
}

// judgeSizes judges what may grow.
func judgeSizes(samples []sample, mostDisk float64) []rule {
	life := longestLife(samples)
	if len(life) < 10 {
		return []rule{{"samples of one process", fmt.Sprint(len(life)), "at least 10", false}}
	}
	rss := growth(life, func(s sample) float64 { return s.RSS })
	files := growth(life, func(s sample) float64 { return float64(s.Files) })
	goroutines := growth(life, func(s sample) float64 { return float64(s.Goroutines) })
	most := slices.MaxFunc(samples, func(a, b sample) int { return cmp.Compare(a.Disk, b.Disk) }).Disk
	largest := slices.MaxFunc(samples, func(a, b sample) int { return cmp.Compare(a.RSS, b.RSS) }).RSS
	bpf := map[int]bool{}
	for _, s := range life {
		bpf[s.BPF] = true
	}
	span := life[len(life)-1].At - life[0].At
	bound := rssGrowthMiB
	if span >= 600 {
		bound = rssSlope * span / 60
	}
	return []rule{
		{"RSS's line over the longest life", fmt.Sprintf("%+.1f MiB in %.0f s: %+.2f a minute", rss, span, 60*rss/span), fmt.Sprintf("below %+.1f MiB", bound), rss < bound},
		{"RSS, the most", fmt.Sprintf("%.1f MiB", largest), fmt.Sprintf("below %.0f MiB", rssMiB), largest < rssMiB},
		{"file descriptors' line", fmt.Sprintf("%+.1f", files), fmt.Sprintf("below %+d", filesGrowth), files < filesGrowth},
		{"goroutines' line", fmt.Sprintf("%+.1f", goroutines), fmt.Sprintf("below %+d", goroutineGrowth), goroutines < goroutineGrowth},
		{"BPF programs, maps and links", fmt.Sprintf("%d to begin with, %d values seen", life[0].BPF, len(bpf)), "constant, not 0", len(bpf) == 1 && life[0].BPF > 0},
		{"disk", fmt.Sprintf("%.1f MiB", most), fmt.Sprintf("below %.0f MiB", mostDisk), most > 0 && most < mostDisk},
	}
}

// judgeEvents wants every fault done as planned and packets answered again after it.
func judgeEvents(events []event) []rule {
	var rules []rule
	slowest, failed := 0.0, 0
	for _, e := range events {
		if e.Recovered < 0 || e.Recovered > recoverIn.Seconds() || e.Fault != "" {
			failed++
			rules = append(rules, rule{e.Name, fmt.Sprintf("at %.0f s: %s, answered again after %.1f s", e.From, e.Fault, e.Recovered), "as planned", false})
		}
		slowest = max(slowest, e.Recovered)
	}
	return append(rules, rule{
		"events after which packets are answered as before", fmt.Sprintf("%d of %d, the slowest in %.1f s", len(events)-failed, len(events), slowest),
		fmt.Sprintf("all, in %v", recoverIn), failed == 0 && len(events) > 0,
	})
}

func judgeClients(batches []batch, events []event) rule {
	made, ok := undisturbed(batches, events)
	return rule{"clients' requests outside faults of their network", fmt.Sprintf("%d of %d answered", ok, made), "all", made > 0 && ok == made}
}
