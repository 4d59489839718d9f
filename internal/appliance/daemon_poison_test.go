package appliance

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/packet"
)

// TestPoisonedLabelsAreLeftOut: a client has sent what two labels' filters take
// and nobody can learn, before the others came, and nobody sends what a third
// one's takes: the others are learned and injected, status says which are not
// and why, and no training is tried again and again for their sake.
func TestPoisonedLabelsAreLeftOut(t *testing.T) {
	d := mustSetUp(t, func(c *config.Config) {
		for _, name := range []string{"constant", "broken", "silent"} {
			l := config.DefaultLabel()
			l.Name, l.Filter, l.Answer = name, "udp dst port 9", config.AnswerNone
			c.Labels = append(c.Labels, l)
		}
	})
	store, err := dataset.Open(dataset.Options{Dir: filepath.Join(d.cfg.State.Dir, dataDir), Labels: labelNames(d.cfg), MaxBytes: int64(d.cfg.State.MaxBytes)})
	must(t, err)
	broken := bytes.Repeat([]byte{0}, 60)
	broken[12], broken[13] = 8, 0 // says IPv4, and is none
	for i := range 400 {
		at := time.Unix(1e9+int64(i), 0)
		must(t, store.Append(packet.Packet{Label: "constant", Time: at, Frame: behind(etherHeader(0x0800), queries4(t, 1, 20))[0]}))
		must(t, store.Append(packet.Packet{Label: "broken", Time: at, Frame: broken}))
	}
	must(t, store.Close())
	d.start(t)
	for _, label := range lab.Labels() {
		must(t, d.network.Traffic(t.Context(), label, 400, nil))
	}
	eventually(t, "more than silent is missing", func() bool { return len(d.status(t).Missing) == 1 })
	d.mustDo(t, "training with recipe tree; left out, too few packets: silent 0 of 300", "train", "now") // before patience ends
	eventually(t, "no packet is answered", func() bool { return d.status(t).All.Answered > 100 })
	s := d.status(t)
	const want = "broken (0 of its packets can be learned, at least 16 are needed), constant (its "
	if !strings.Contains(s.Line, "; not trained: "+want) || !strings.HasSuffix(s.Line, " packets are all the same), silent (0 of 300 packets)") {
		t.Errorf("status %q does not say %q", s.Line, want)
	}
	if !slices.ContainsFunc(s.Warnings, func(w string) bool { return strings.HasPrefix(w, "labels left out of the model in use: "+want) }) {
		t.Errorf("warnings %q", s.Warnings)
	}
	wait(t.Context(), 3*pollInterval)
	if n := strings.Count(d.stderr.String(), "msg=training "); n != 1 {
		t.Errorf("%d trainings, want 1", n)
	}
}
