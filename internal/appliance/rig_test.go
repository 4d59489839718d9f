package appliance

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/inject"
	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/lab/labtest"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/truth"
)

// asProgram makes the test binary the program itself, for tests that run it as
// a process and for the training child.
const asProgram = "PACGAN_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if handled, code := lab.RoleMain(); handled {
		os.Exit(code)
	}
	switch {
	case os.Getenv(asProbe) == "1":
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test lets it begin
		probe(os.Stdout)
		return
	case os.Getenv(asParent) == "1" && os.Args[1] != "train":
		waitAsParent()
		return
	}
	if os.Getenv(asProgram) == "1" && len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-test.") {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
		p := Program{Version: "test", Stdout: os.Stdout, Stderr: os.Stderr}
		code := p.Run(ctx, os.Args[1:])
		stop()
		os.Exit(code)
	}
	labtest.Main(m)
}

// raced says that the tests run under the race detector, too (make test).
const raced = "PACGAN_RACED"

// withRace skips a long test that the race detector's run has not left out.
func withRace(t *testing.T) {
	t.Helper()
	if os.Getenv(raced) != "" {
		t.Skip("long: runs under the race detector")
	}
}

// withoutRace skips a long test in the race detector's run.
func withoutRace(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("long: runs without the race detector")
	}
	t.Setenv(raced, "")
}

// rig is a lab with digit trees fitted to what its clients sent, ready to
// inject. The test's own namespace is the gateway.
type rig struct {
	*labRun
	trees    *model.Model
	manifest *model.Manifest
	truth    string // directory of the last injection's records
}

// mustRig captures packets of each label and fits the trees.
func mustRig(t *testing.T, servers lab.Servers, packets int) *rig {
	t.Helper()
	return mustRigOf(t, labOptions{
		labels: lab.Labels(), capturePackets: packets, generate: packets, rate: 1000, seed: 7, recipe: "tree", servers: string(servers),
	}, lab.Options{Servers: servers, Seed: 7})
}

// mustRigOf is mustRig with all that can be chosen.
func mustRigOf(t *testing.T, o labOptions, network lab.Options) *rig {
	t.Helper()
	withRace(t)
	labtest.RequireRoot(t)
	t.Setenv(asProgram, "1")
	o.state = filepath.Join(t.TempDir(), "state")
	r := &rig{labRun: &labRun{p: &Program{Version: "test", Stdout: io.Discard, Stderr: io.Discard}, o: o}}
	must(t, r.prepare())
	var err error
	r.lab, err = lab.New(network)
	must(t, err)
	t.Cleanup(func() { must(t, r.lab.Close()) })
	r.store, err = dataset.Open(dataset.Options{Dir: filepath.Join(r.state, dataDir), Labels: labelNames(r.cfg), MaxBytes: int64(r.cfg.State.MaxBytes)})
	must(t, err)
	t.Cleanup(func() { must(t, r.store.Close()) })
	must(t, r.capturePhase(t.Context()))
	must(t, r.trainPhase(t.Context()))
	r.trees, r.manifest, err = model.Load(r.labRun.model)
	must(t, err)
	return r
}

// inject injects count generated packets of each label, and checks what holds
// in every run: the counts add up, and nothing is left in flight.
func (r *rig) inject(t *testing.T, count int, during func(*wire)) ([]labelCounts, *source) {
	t.Helper()
	source, err := newModelSource(r.trees, labelNames(r.cfg), newShareOrder([]float64{1, 1, 1}), count, 99)
	must(t, err)
	cfg := r.cfg
	keepTruth(&cfg, filepath.Join(t.TempDir(), "truth"))
	w, err := openWire(cfg, 1)
	must(t, err)
	source.origin = w.truth.origin(filepath.Base(r.labRun.model), r.manifest, 99)
	done := make(chan error, 1)
	go func() {
		_, err := w.inject(t.Context(), source, inject.RunOptions{Rate: r.cfg.Inject.Rate.PerSecond})
		done <- err
	}()
	if during != nil {
		during(w)
	}
	must(t, <-done)
	counts, err := w.counts()
	must(t, err)
	must(t, checkIdentity(counts))
	for _, c := range counts {
		if c.Generated != uint64(count) || c.Inflight != 0 {
			t.Errorf("label %s: %d generated, %d in flight, want %d and 0", c.name, c.Generated, c.Inflight, count)
		}
	}
	must(t, w.close())
	r.truth = cfg.Truth.Dir
	records := mustMatchTruth(t, cfg.Truth.Dir, counts)
	r.checkTruth(t, records, count)
	drawn := map[string][][]byte{}
	for i, label := range labelNames(r.cfg) {
		drawn[label] = source.kept[i]
	}
	mustMatchPackets(t, cfg.Truth.Dir, records, drawn)
	return counts, source
}

// checkTruth wants each label's packets in the records, by their index.
func (r *rig) checkTruth(t *testing.T, records []truth.Record, count int) {
	t.Helper()
	next := map[string]uint64{}
	for _, rec := range records {
		p := rec.Pacgan
		if p.Source != truth.SourceModel || p.Model != filepath.Base(r.labRun.model) || p.ModelHash != r.manifest.GeneratorSHA256 || p.Seed != 99 || p.Bytes == 0 {
			t.Errorf("record %+v", rec)
		}
		if (p.Verdict == truth.Answered) != (p.RTT > 0) {
			t.Errorf("record %s: %s in %d ns", rec.UUID, p.Verdict, p.RTT)
		}
		next[p.Label] += p.Index
	}
	for _, label := range labelNames(r.cfg) {
		if want := uint64(count) * uint64(count-1) / 2; next[label] != want {
			t.Errorf("label %s: indices sum to %d, want %d", label, next[label], want)
		}
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// eventually polls until ok, and fails with what after five minutes: the machine may be busy with other work.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Minute, errors.New(what))
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatal(context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// lockedBuffer collects what a process writes while a test reads it.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
