package member

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/wholefile"
)

// Desired is what the hub desires of a gateway as far as the gateway knows, kept in a file: it holds while the hub is away
// and over restarts. Its methods may be called from several goroutines.
type Desired struct {
	path string
	log  *slog.Logger

	mu   sync.Mutex
	kept kept
}

// kept is the file.
type kept struct {
	Latest  Wish   `json:"latest"`            // of the hub's that was heard
	InForce Wish   `json:"in_force"`          // older where the latest was refused; zero: none is
	Refused string `json:"refused,omitempty"` // why the latest is not in force; "": it is
	// Forged is a later revision that is none of the hub's wishes; nil: there is none.
	Forged *fleet.Refusal `json:"forged,omitempty"`
}

// OpenDesired reads the file, if it is there.
func OpenDesired(path string, log *slog.Logger) (*Desired, error) {
	d := &Desired{path: path, log: log}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4*maxDesired))
	if err == nil {
		err = json.Unmarshal(text, &d.kept)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: remove it, and the hub says again what it desires", path, err)
	}
	return d, nil
}

// InForce is the wish that holds; the zero one: none does.
func (d *Desired) InForce() Wish { return d.get().InForce }

// Refused is what was heard last where it does not hold; nil: it does.
func (d *Desired) Refused() *fleet.Refusal {
	now := d.get()
	if now.Forged != nil {
		return now.Forged
	}
	if now.Refused == "" {
		return nil
	}
	return &fleet.Refusal{Revision: now.Latest.Revision, Reason: now.Refused}
}

// Take has a wish tried by put, which puts it in force as a whole or says why not, in one line. A fault is why it is none
// of the hub's: then, and where the hub said it before what was heard last, nothing else is changed by it. One that was
// heard before is left alone. One goroutine at a time may call Take or Again.
func (d *Desired) Take(w Wish, fault error, put func(Wish) error) {
	now := d.get()
	switch {
	case fault != nil:
	case w.Desired == now.Latest.Desired:
		d.again(now, w)
		return
	case w.Serial <= now.Latest.Serial:
		fault = fmt.Errorf("what is desired is old: the hub wrote it at %s, and has written another since, at %s; where it is the hub's clock that was wrong then, remove %s",
			written(w), written(now.Latest), d.path)
	}
	if fault != nil {
		d.forged(now, fleet.Refusal{Revision: w.Revision, Reason: fault.Error()})
		return
	}
	now.Latest, now.Refused, now.Forged = w, "", nil
	d.settle(now, w, put(w))
}

// written is when the hub wrote a wish, by its clock.
func written(w Wish) string { return time.Unix(0, w.Serial).UTC().Format(time.RFC3339Nano) }

// again takes the latest wish, which is there again, maybe under another revision.
func (d *Desired) again(now kept, w Wish) {
	if w == now.Latest && now.Forged == nil {
		return
	}
	if now.InForce.Desired == w.Desired {
		now.InForce = w
	}
	now.Latest, now.Forged = w, nil
	d.keep(now)
}

// forged notes what is none of the hub's wishes, and tells of it once: whoever put it there may do so all day.
func (d *Desired) forged(now kept, r fleet.Refusal) {
	told := now.Forged != nil && now.Forged.Reason == r.Reason
	now.Forged = &r
	if told {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.kept = now
		return
	}
	d.log.Error("fleet: what is desired is refused", "revision", r.Revision, "in_force", now.InForce.Revision, "error", r.Reason)
	d.keep(now)
}

// Again has put in force what there is to put, of a gateway that starts or whose own config is another now: the latest wish,
// or else the one that was in force, or else none. The error is of none: the gateway's own config does not hold by itself.
func (d *Desired) Again(put func(Wish) error) error {
	now := d.get()
	var tried []Wish
	var refused, err error
	for _, w := range []Wish{now.Latest, now.InForce, {}} {
		if slices.Contains(tried, w) {
			continue
		}
		tried = append(tried, w)
		if err = put(w); err == nil {
			d.settle(now, w, refused)
			return nil
		}
		if refused == nil {
			refused = err
		}
	}
	return err
}

func (d *Desired) get() kept {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.kept
}

// settle keeps which wish was put in force, and why the latest was not. With a fault of the latest itself, what was in
// force stays.
func (d *Desired) settle(now kept, put Wish, fault error) {
	before := now.Refused
	now.Refused = ""
	if fault != nil {
		now.Refused = fault.Error()
	}
	if fault == nil || put != now.Latest {
		now.InForce = put
	}
	switch {
	case fault != nil && now.Refused != before:
		d.log.Error("fleet: what the hub desires is refused", "revision", now.Latest.Revision, "in_force", now.InForce.Revision, "error", fault)
	case fault == nil && put.Revision > 0:
		d.log.Info("fleet: what the hub desires is in force", "revision", put.Revision)
	}
	d.keep(now)
}

func (d *Desired) keep(now kept) {
	d.mu.Lock()
	d.kept = now
	d.mu.Unlock()
	err := wholefile.Write(d.path, 0o640, func(out io.Writer) error {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(now)
	})
	if err != nil {
		d.log.Error("fleet: what the hub desires would be forgotten by a restart", "error", err)
	}
}
