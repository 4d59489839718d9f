package member

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pacgan-appliance/internal/fleet"
)

// TestObeyed: the clocks of hub and gateway decide whether one resumes, and never whether one stops; nothing is obeyed twice,
// over restarts, too.
func TestObeyed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.json")
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, tt := range []struct {
		action, id string
		written    time.Duration // after now
		note, err  string
	}{
		{fleet.Pause, "1", 0, "", ""},
		{fleet.Resume, "2", time.Second, "", ""},
		{fleet.Pause, "1", 0, "", "pause of 2026-03-01T12:00:00Z is refused: it is an old one again, which was obeyed"},
		{fleet.Resume, "2", time.Second, "", "resume of 2026-03-01T12:00:01Z is refused: it is an old one again, which was obeyed"},
		{fleet.Resume, "", 2 * time.Second, "", "resume of 2026-03-01T12:00:02Z is refused: it has no ID"},
		{fleet.Pause, "3", -time.Hour, "; it was written at 2026-03-01T11:00:00Z, and the clock here says 2026-03-01T12:00:00Z", ""},
		{fleet.Resume, "4", -31 * time.Second, "", "resume is refused: it was written at 2026-03-01T11:59:29Z, and the clock here says 2026-03-01T12:00:00Z: they may differ by 30s; set them, or resume on the gateway itself"},
		{fleet.Resume, "5", 31 * time.Second, "", "resume is refused: it was written at 2026-03-01T12:00:31Z, and the clock here says 2026-03-01T12:00:00Z: they may differ by 30s; set them, or resume on the gateway itself"},
		{fleet.Pause, "6", 10 * time.Second, "", ""},
		{fleet.Resume, "7", 9 * time.Second, "", "resume of 2026-03-01T12:00:09Z is refused: it was written before the pause of 2026-03-01T12:00:10Z"},
		{fleet.Resume, "8", 11 * time.Second, "", ""},
		{fleet.Pause, "9", 24 * time.Hour, "; it was written at 2026-03-02T12:00:00Z, and the clock here says 2026-03-01T12:00:00Z", ""},
		{fleet.Resume, "10", 30 * time.Second, "", "resume of 2026-03-01T12:00:30Z is refused: it was written before the pause of 2026-03-01T12:00:30Z"},
	} {
		var o obeyed // each after a restart
		must(t, o.load(path))
		c := fleet.Control{Action: tt.action, ID: tt.id, Time: now.Add(tt.written)}
		note, err := o.check(c, now)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			must(t, o.add(c, now))
		}
		if note != tt.note || got != tt.err {
			t.Errorf("%d: %s, %v: %q, %q; want %q, %q", i, tt.action, tt.written, note, got, tt.note, tt.err)
		}
	}
	var o obeyed
	must(t, o.load(path))
	o.kept.IDs = make([]string, mostObeyed)
	must(t, o.add(fleet.Control{Action: fleet.Pause, ID: "last", Time: now}, now))
	if n := len(o.kept.IDs); n != mostObeyed || o.kept.IDs[n-1] != "last" {
		t.Errorf("%d are kept", n)
	}
	must(t, os.WriteFile(path, []byte("{"), 0o600))
	if err := o.load(path); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("nonsense in the file: %v", err)
	}
}
