package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"pacgan-appliance/internal/appliance"
	"pacgan-appliance/internal/lab"
)

// record is what a soak showed, and build/soak/soak.json.
type record struct {
	Seed    uint64   `json:"seed"`
	Minutes float64  `json:"minutes"`
	Rules   []rule   `json:"rules"`
	Events  []event  `json:"events"`
	Samples []sample `json:"samples"`
	Batches []batch  `json:"batches"`

	began time.Time
	mu    sync.Mutex // of Samples and Batches
}

func (r *record) now() float64 { return time.Since(r.began).Seconds() }

// soak makes the lab, lives through everything, and judges it.
func soak(ctx context.Context, o options) (_ []rule, err error) {
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return nil, err
	}
	l, err := lab.New(lab.Options{Servers: lab.Servers(o.servers), Seed: o.seed})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if err := l.StartIDS(ctx); err != nil {
		return nil, err
	}
	d, err := newDaemon(o, l.EVE())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.clear()) }()
	fmt.Printf("soak: seed %d, %g minutes at %g/s, %s servers\n", o.seed, o.minutes, o.rate, o.servers)
	if err := firstModel(ctx, d, l); err != nil {
		return nil, err
	}
	r := &record{Seed: o.seed, Minutes: o.minutes, began: time.Now()}
	beside, stop := context.WithCancel(ctx)
	var others sync.WaitGroup
	for _, label := range labels() {
		others.Go(func() { r.client(beside, l, label) })
	}
	others.Go(func() { r.watch(beside, d) })
	err = r.liveThrough(ctx, o, d, l)
	stop()
	others.Wait()
	if err != nil {
		return nil, err
	}
	if err := r.judge(ctx, d); err != nil {
		return nil, err
	}
	return r.Rules, r.write(o.out)
}

// labels are what the clients speak: of the last of them the sensor has a rule.
func labels() []string { return append(lab.Labels(), "traversal") }

// firstModel has the clients speak until packets are injected.
func firstModel(ctx context.Context, d *daemon, l *lab.Lab) error {
	if err := d.start(ctx); err != nil {
		return err
	}
	for _, label := range labels() {
		if err := l.Traffic(ctx, label, 400, nil); err != nil {
			return err
		}
	}
	return until(ctx, 5*time.Minute, "packets are answered", func() bool {
		s, err := d.status(ctx)
		return err == nil && s.All.Answered > 1000
	})
}

// client makes requests, a few at a time, until ctx ends; what is cut off then does not count.
func (r *record) client(ctx context.Context, l *lab.Lab, label string) {
	const requests = 5
	for ctx.Err() == nil {
		b := batch{Label: label, From: r.now(), Made: requests}
		b.OK, _ = l.Client(ctx, label, requests) // what fails lacks in OK
		b.To = r.now()
		if ctx.Err() != nil {
			return
		}
		r.mu.Lock()
		r.Batches = append(r.Batches, b)
		r.mu.Unlock()
		pause(ctx, 200*time.Millisecond)
	}
}

// watch takes a sample a second where there is a daemon to look at.
func (r *record) watch(ctx context.Context, d *daemon) {
	for pause(ctx, time.Second) {
		s, err := d.look(ctx, r.began)
		if err != nil {
			continue // it is being killed, or hangs: the faults' own rules say for how long
		}
		r.mu.Lock()
		r.Samples = append(r.Samples, s)
		r.mu.Unlock()
	}
}

// liveThrough does faults in the seed's order, whole cycles of them, until the time is over.
func (r *record) liveThrough(ctx context.Context, o options, d *daemon, l *lab.Lab) error {
	usual, err := successRate(ctx, d)
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(o.seed, 0))
	reloaded := time.Now()
	end := r.began.Add(time.Duration(o.minutes * float64(time.Minute)))
	for cycle := 0; cycle == 0 || time.Now().Before(end); cycle++ {
		for _, i := range random.Perm(len(faults)) {
			f := faults[i]
			if f.once && cycle > 0 {
				continue
			}
			if cycle > 0 && time.Now().After(end) {
				break
			}
			if time.Since(reloaded) > time.Minute {
				reloaded = time.Now()
				r.live(ctx, d, l, usual, fault{name: "reload", do: func(ctx context.Context, d *daemon, _ *lab.Lab) error { return d.do(ctx, "reload") }})
			}
			r.live(ctx, d, l, usual, f)
			if !pause(ctx, o.gap/2+time.Duration(random.Int64N(int64(o.gap)))) {
				return ctx.Err()
			}
		}
	}
	return nil
}

// live does one fault and waits until packets are answered as usual.
func (r *record) live(ctx context.Context, d *daemon, l *lab.Lab, usual float64, f fault) {
	e := event{Name: f.name, Hits: f.hits, From: r.now(), Recovered: -1}
	if err := f.do(ctx, d, l); err != nil {
		e.Fault = err.Error()
	}
	e.To = r.now()
	for r.now()-e.To < 2*recoverIn.Seconds() && ctx.Err() == nil {
		if rate, err := successRate(ctx, d); err == nil && rate >= 0.9*usual {
			e.Recovered = r.now() - e.To
			break
		}
	}
	fmt.Printf("%6.0f s  %-32s %5.1f s, recovered in %.1f s %s\n", e.From, e.Name, e.To-e.From, e.Recovered, e.Fault)
	r.Events = append(r.Events, e)
}

// successRate is that of the next 300 packets or so; what is on its way at either end blurs it a little.
func successRate(ctx context.Context, d *daemon) (float64, error) {
	from, err := d.status(ctx)
	if err != nil {
		return 0, err
	}
	var to appliance.Status
	var settled uint64
	err = until(ctx, 10*time.Second, "packets have their end", func() bool {
		if to, err = d.status(ctx); err != nil {
			return false
		}
		settled = (to.All.Generated - to.All.Inflight) - (from.All.Generated - from.All.Inflight)
		return settled >= 300 && settled < 1<<40
	})
	if err != nil {
		return 0, err
	}
	return float64(to.All.Answered-from.All.Answered) / float64(settled), nil
}

// judge brings the daemon to rest, ends it, and applies every rule.
func (r *record) judge(ctx context.Context, d *daemon) error {
	if err := d.do(ctx, "pause"); err != nil {
		return err
	}
	var s appliance.Status
	err := until(ctx, time.Minute, "no packet is in flight", func() (rest bool) {
		var err error
		s, err = d.status(ctx)
		return err == nil && s.All.Inflight == 0
	})
	if err != nil {
		return err
	}
	for _, c := range append(s.Labels, s.All) {
		rejected := uint64(0)
		for _, n := range c.Rejected {
			rejected += n
		}
		sum := c.Malformed + c.Blocked + c.Failed + c.Answered + rejected + c.Expired + c.Inflight + c.Unasked
		name := "identity of " + c.Label
		if c.Label == "" {
			name = "identity of all"
		}
		r.Rules = append(r.Rules, rule{name,
			fmt.Sprintf("%d = %d malformed + %d blocked + %d failed + %d answered + %d rejected + %d expired + %d in flight + %d unasked",
				c.Generated, c.Malformed, c.Blocked, c.Failed, c.Answered, rejected, c.Expired, c.Inflight, c.Unasked),
			"equal, not 0", sum == c.Generated && sum > 0})
	}
	r.Rules = append(r.Rules, judgeClients(r.Batches, r.Events))
	r.Rules = append(r.Rules, judgeEvents(r.Events)...)
	r.Rules = append(r.Rules, judgeSizes(r.Samples, diskMiB)...)
	took, err := d.end(syscall.SIGTERM)
	r.Rules = append(r.Rules, rule{"SIGTERM", fmt.Sprintf("ends after %.1f s, %v", took.Seconds(), err), fmt.Sprintf("in %v, without an error", stopIn), err == nil && took < stopIn})
	text, err := os.ReadFile(d.log.Name())
	panics := bytes.Count(text, []byte("panic: ")) + bytes.Count(text, []byte("fatal error: "))
	r.Rules = append(r.Rules, rule{"panics in the log", fmt.Sprint(panics), "0", panics == 0})
	return err
}

// write writes soak.json and soak.html and prints the rules.
func (r *record) write(dir string) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, rule := range r.Rules {
		holds := "holds"
		if !rule.Holds {
			holds = "FAILS"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t(%s)\n", holds, rule.Name, rule.Found, rule.Bound)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	page, err := picture(r)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, "soak.json"), text, 0o644), os.WriteFile(filepath.Join(dir, "soak.html"), page, 0o644))
}
