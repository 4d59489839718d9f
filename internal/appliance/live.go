package appliance

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// How often the live table is drawn anew on a terminal, and printed elsewhere.
const (
	liveInterval      = 500 * time.Millisecond
	livePlainInterval = 5 * time.Second
)

// live shows what becomes of injected packets while they are injected: a
// table that is drawn over itself on a terminal, a line every few seconds
// elsewhere.
type live struct {
	out      io.Writer
	name     string
	wire     *wire
	total    int // packets to come; 0: not known
	terminal bool
	start    time.Time
	lines    int // drawn last time

	stop chan struct{}
	done sync.WaitGroup
	err  error // of reading the counters; valid after done
}

// startLive begins to show what w counts.
func (p *Program) startLive(name string, w *wire, total int) *live {
	v := &live{
		out: p.Stderr, name: name, wire: w, total: total, terminal: isTerminal(p.Stderr),
		start: time.Now(), stop: make(chan struct{}),
	}
	v.done.Go(v.run)
	return v
}

func (v *live) run() {
	interval := livePlainInterval
	if v.terminal {
		interval = liveInterval
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-v.stop:
			return
		case <-tick.C:
			if v.err = v.show(); v.err != nil {
				return
			}
		}
	}
}

// end stops showing, and leaves one line with the outcome.
func (v *live) end() error {
	close(v.stop)
	v.done.Wait()
	if v.err != nil {
		return v.err
	}
	counts, err := v.wire.counts()
	if err != nil {
		return err
	}
	v.erase()
	all := totalOf(counts)
	_, err = fmt.Fprintf(v.out, "%s: %s of %s packets answered in %s\n",
		v.name, thousands(all.Answered), thousands(all.Generated), time.Since(v.start).Round(100*time.Millisecond))
	return err
}

func (v *live) show() error {
	counts, err := v.wire.passingCounts()
	if err != nil {
		return err
	}
	all := totalOf(counts)
	status := fmt.Sprintf("%s: %s packets in %s", v.name, thousands(all.Generated), time.Since(v.start).Round(time.Second))
	if v.total > 0 {
		status = fmt.Sprintf("%s: %s of %s packets%s", v.name, thousands(all.Generated), thousands(v.total), v.left(all.Generated))
	}
	if !v.terminal {
		_, err := fmt.Fprintf(v.out, "%s, %s answered, %s in flight\n", status, thousands(all.Answered), thousands(all.Inflight))
		return err
	}
	var text strings.Builder
	fmt.Fprintln(&text, status)
	if err := writeTable(&text, liveHeader(), liveRows(counts)); err != nil {
		return err
	}
	v.erase()
	v.lines = strings.Count(text.String(), "\n")
	_, err = io.WriteString(v.out, text.String())
	return err
}

// erase moves the cursor back to where the last table began and clears it.
func (v *live) erase() {
	if v.lines > 0 {
		fmt.Fprintf(v.out, "\x1b[%dA\x1b[J", v.lines)
		v.lines = 0
	}
}

// left is the time that is left at the pace so far.
func (v *live) left(done uint64) string {
	if done == 0 || done >= uint64(v.total) {
		return ""
	}
	elapsed := time.Since(v.start)
	left := elapsed.Seconds() * float64(uint64(v.total)-done) / float64(done)
	return fmt.Sprintf(", %s left", (time.Duration(left) * time.Second).Round(time.Second))
}

func liveHeader() []string {
	return []string{"label", "generated", "on wire", "answered", "success", "rejected", "expired", "in flight", "other"}
}

// liveRows are the live table's cells: every count of a packet's end is in one
// of them.
func liveRows(counts []labelCounts) [][]string {
	rows := make([][]string, len(counts))
	for i, c := range counts {
		rows[i] = []string{
			c.name, thousands(c.Generated), thousands(c.OnWire), thousands(c.Answered), percent(c.success().Rate),
			thousands(c.rejectedTotal()), thousands(c.Expired), thousands(c.Inflight),
			thousands(c.Malformed + c.Blocked + c.Failed + c.Unasked),
		}
	}
	return rows
}

// percent writes a share of 0 to 1 with two decimals.
func percent(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) }
