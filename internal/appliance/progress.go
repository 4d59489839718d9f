package appliance

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// plainInterval is how often a phase says where it is when there is no
// terminal to draw on.
const plainInterval = 5 * time.Second

// phase shows one long job to a person: a bar with the time that is left on a
// terminal, a line every few seconds elsewhere. Its methods may be called
// from several goroutines.
type phase struct {
	out   io.Writer
	name  string
	total int
	start time.Time

	mu   sync.Mutex
	bar  *progressbar.ProgressBar // nil without a terminal
	done int
	said time.Time // last plain line
}

// startPhase begins a phase of total units of work.
func (p *Program) startPhase(name string, total int) *phase {
	ph := &phase{out: p.Stderr, name: name, total: total, start: time.Now(), said: time.Now()}
	if isTerminal(p.Stderr) {
		ph.bar = progressbar.NewOptions(total,
			progressbar.OptionSetWriter(p.Stderr),
			progressbar.OptionSetDescription(name),
			progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetWidth(24),
			progressbar.OptionClearOnFinish())
	}
	return ph
}

// set says that done units are finished; note is shown behind them.
func (ph *phase) set(done int, note string) {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	ph.done = done
	if ph.bar != nil {
		if note != "" {
			ph.bar.Describe(ph.name + ": " + note)
		}
		if err := ph.bar.Set(min(done, ph.total)); err == nil {
			return
		}
	}
	if time.Since(ph.said) < plainInterval {
		return
	}
	ph.said = time.Now()
	fmt.Fprintf(ph.out, "%s: %s of %s%s%s\n", ph.name, thousands(done), thousands(ph.total), ph.left(), commaNote(note))
}

// left is the time that is left at the pace so far, for a plain line.
func (ph *phase) left() string {
	if ph.done <= 0 || ph.done >= ph.total {
		return ""
	}
	elapsed := time.Since(ph.start)
	left := elapsed * time.Duration(ph.total-ph.done) / time.Duration(ph.done)
	return fmt.Sprintf(", %s left", left.Round(time.Second))
}

// resize says how many units there are, once that is known.
func (ph *phase) resize(total int) {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	if total == ph.total {
		return
	}
	ph.total = total
	if ph.bar != nil {
		ph.bar.ChangeMax(total)
	}
}

// end closes the phase with one line that stays.
func (ph *phase) end(note string) {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	if ph.bar != nil {
		if err := ph.bar.Clear(); err != nil {
			fmt.Fprintln(ph.out)
		}
	}
	fmt.Fprintf(ph.out, "%s: %s in %s\n", ph.name, note, time.Since(ph.start).Round(100*time.Millisecond))
}

func commaNote(note string) string {
	if note == "" {
		return ""
	}
	return ", " + note
}

// isTerminal reports whether a person looks at w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// thousands writes n with a comma between groups of three digits.
func thousands[T int | uint64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}
