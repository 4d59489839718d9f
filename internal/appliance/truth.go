package appliance

import (
	"log/slog"
	"path/filepath"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/inject"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/scribe"
	"pacgan-appliance/internal/truth"
	"pacgan-appliance/internal/verify"
)

// truthDir is where records are kept within state.dir.
const truthDir = "truth"

// truthUsage is the help of --truth.
const truthUsage = "keep a record of each injected packet, and the packet, in `directory` (docs/truth.md)"

// truthDirOf is where a config's records are kept.
func truthDirOf(cfg config.Config) string {
	if cfg.Truth.Dir != "" {
		return cfg.Truth.Dir
	}
	return filepath.Join(cfg.State.Dir, truthDir)
}

// keepTruth has records kept in dir, or none where it is "".
func keepTruth(cfg *config.Config, dir string) {
	cfg.Truth.Enabled, cfg.Truth.Dir = dir != "", dir
}

// testimony is the truth record of what a wire injects: it hears of packets
// from the injector, and of their ends from the verifier. A nil one keeps none.
type testimony struct {
	scribe.Scribe
	log     *truth.Log
	dir     string
	settled bool
}

// openTestimony opens the record that a config asks for, with room for as many
// pending packets as are expected at once; nil: it asks for none.
func openTestimony(cfg config.Config, room int) (*testimony, error) {
	if !cfg.Truth.Enabled {
		return nil, nil
	}
	t := &testimony{dir: truthDirOf(cfg)}
	var err error
	t.log, err = truth.Open(t.dir, truth.Options{
		MaxBytes: int64(cfg.Truth.MaxBytes), Packets: cfg.Truth.Packets, Logger: slog.With("component", "truth"),
	})
	if err != nil {
		return nil, err
	}
	t.Book = truth.NewBook(t.log, truth.BookOptions{
		Timeout: cfg.Inject.Timeout, Pending: room + inject.DefaultConversations, Bytes: pendingBytes,
	})
	return t, nil
}

// pendingBytes bounds the packets that wait for their verdicts.
const pendingBytes = 128 << 20

// close writes what is pending.
func (t *testimony) close() error {
	if t == nil {
		return nil
	}
	t.Book.Close(t.settled)
	return t.log.Close()
}

// hear says whose verdicts it will be told.
func (t *testimony) hear(v *verify.Verifier) {
	if t != nil {
		t.Untold = v.Untold
	}
}

// settle says whether all verdicts have fallen and been told.
func (t *testimony) settle(settled bool) {
	if t != nil {
		t.settled = settled
	}
}

// setLabel says what records say of the packets in a slot of a label's.
func (t *testimony) setLabel(slot int, l config.Label) {
	if t != nil {
		t.Book.SetLabel(slot, truth.Label{Name: l.Name, Malicious: l.Malicious})
	}
}

// origin makes known what a model generates from a seed.
func (t *testimony) origin(id string, man *model.Manifest, seed uint64) truth.Origin {
	if t == nil {
		return truth.Captured // nobody reads it
	}
	return t.Book.AddOrigin(truth.Generator{Source: truth.SourceModel, Model: id, ModelHash: man.GeneratorSHA256, Seed: seed})
}

// TruthStatus is what the truth record has taken down since the start.
type TruthStatus struct {
	Dir     string `json:"dir"`
	Written uint64 `json:"written"` // records on the disk
	Lost    uint64 `json:"lost"`    // records that the disk did not take
	Unknown uint64 `json:"unknown"` // records without a verdict
	Failing bool   `json:"failing"` // the disk takes none now
}

// status is nil where no record is kept.
func (t *testimony) status() *TruthStatus {
	if t == nil {
		return nil
	}
	s := t.log.Stats()
	return &TruthStatus{Dir: t.dir, Written: s.Written, Lost: s.Lost, Unknown: t.Book.Unknown(), Failing: s.Failing}
}

// warnings says what is missing in the record, and what to do.
func (s *TruthStatus) warnings() []string {
	var out []string
	if s == nil {
		return out
	}
	if s.Failing {
		out = append(out, "truth: the disk takes no records: make room in "+s.Dir)
	}
	if s.Lost > 0 {
		out = append(out, "truth: "+thousands(s.Lost)+" records were not written, since the disk was full or slow: score counts their alerts as nobody's")
	}
	if s.Unknown > 0 {
		out = append(out, "truth: "+thousands(s.Unknown)+" records have no verdict (their reason says why): score leaves them out")
	}
	return out
}
