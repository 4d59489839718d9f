package member

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/wholefile"
)

// obeyed is what the hub told a gateway that was done: whoever has heard a request could have the server send it again.
//
// Clocks differ, and a stop must not hang on them: a pause is obeyed whenever it was written, once. An old one that this
// gateway never heard stops it at worst. A resume is obeyed once, within controlWindow of this machine's clock, and where
// no pause was written after it.
type obeyed struct {
	path string
	kept struct {
		IDs    []string  `json:"ids"`    // the last ones
		Paused time.Time `json:"paused"` // when the last pause was written, within controlWindow of this machine's clock then
	}
}

const (
	controlWindow = 30 * time.Second
	mostObeyed    = 500
	maxObeyed     = 1 << 20 // bytes of the file
)

// load reads the file, if it is there.
func (o *obeyed) load(path string) error {
	o.path = path
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxObeyed))
	if err == nil {
		err = json.Unmarshal(text, &o.kept)
	}
	if err != nil {
		return fmt.Errorf("%s: %w: remove it", path, err)
	}
	return nil
}

// check says why a request of the hub's is not obeyed, or what is to be said of it beside that it is: "", nothing.
func (o *obeyed) check(c fleet.Control, now time.Time) (note string, err error) {
	written, here := c.Time.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339)
	skewed := now.Sub(c.Time).Abs() > controlWindow
	switch {
	case c.ID == "" || len(c.ID) > maxBy:
		return "", fmt.Errorf("%s of %s is refused: it has no ID", c.Action, written)
	case slices.Contains(o.kept.IDs, c.ID):
		return "", fmt.Errorf("%s of %s is refused: it is an old one again, which was obeyed", c.Action, written)
	case c.Action == fleet.Resume && skewed:
		return "", fmt.Errorf("%s is refused: it was written at %s, and the clock here says %s: they may differ by %v; set them, or resume on the gateway itself", c.Action, written, here, controlWindow)
	case c.Action == fleet.Resume && !c.Time.After(o.kept.Paused):
		return "", fmt.Errorf("%s of %s is refused: it was written before the pause of %s", c.Action, written, o.kept.Paused.UTC().Format(time.RFC3339))
	case skewed:
		note = fmt.Sprintf("; it was written at %s, and the clock here says %s", written, here)
	}
	return note, nil
}

// add notes a request that is obeyed.
func (o *obeyed) add(c fleet.Control, now time.Time) error {
	k := &o.kept
	k.IDs = append(k.IDs[max(0, len(k.IDs)+1-mostObeyed):], c.ID)
	if c.Action == fleet.Pause {
		at := c.Time
		if early := now.Add(-controlWindow); at.Before(early) {
			at = early
		}
		if late := now.Add(controlWindow); at.After(late) { // else a hub's wrong clock would forbid each resume for as long
			at = late
		}
		if at.After(k.Paused) {
			k.Paused = at
		}
	}
	return wholefile.Write(o.path, 0o640, func(w io.Writer) error { return json.NewEncoder(w).Encode(k) })
}
