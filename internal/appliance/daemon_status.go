package appliance

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pacgan-appliance/internal/capture"
	"pacgan-appliance/internal/score"
)

// Status is what the daemon is doing: the JSON of GET /status. Fields may be
// added, none goes away.
type Status struct {
	Version       string            `json:"version"`
	State         string            `json:"state"` // capturing, training (the first model), injecting or paused
	Line          string            `json:"line"`  // the same for a person, with numbers
	Paused        bool              `json:"paused"`
	StateDir      string            `json:"state_dir"`
	Drift         string            `json:"drift"` // why the model in use is worse than it was; "" where it is not
	Started       time.Time         `json:"started"`
	UptimeSeconds float64           `json:"uptime_seconds"`
	CountsSince   time.Time         `json:"counts_since"` // of labels and all: they outlive the daemon
	Rate          float64           `json:"rate"`         // packets per second that are asked for
	Engine        string            `json:"engine"`       // that sends, and what was measured to choose it
	Allow         []string          `json:"allow"`
	Model         *ModelStatus      `json:"model,omitempty"`    // none before the first training
	Training      *TrainingStatus   `json:"training,omitempty"` // none while nothing is trained
	TrainingError string            `json:"training_error,omitempty"`
	Missing       []shortfall       `json:"missing"` // labels with too few packets to train
	Labels        []LabelReport     `json:"labels"`  // since CountsSince, in the config's order
	All           LabelReport       `json:"all"`
	Capture       CaptureStatus     `json:"capture"`
	Drops         DropStatus        `json:"drops"`
	Truth         *TruthStatus      `json:"truth,omitempty"` // none where no record is kept
	IDS           []score.LiveScore `json:"ids,omitempty"`   // since their Since, in the config's order
	Fleet         *FleetStatus      `json:"fleet,omitempty"` // none without a fleet
	Warnings      []string          `json:"warnings"`        // of losses, each with its stage and what to do
	Tasks         []TaskStatus      `json:"tasks"`
}

// ModelStatus is the model that packets are drawn from.
type ModelStatus struct {
	ID         string    `json:"id"`
	Recipe     string    `json:"recipe"`
	Created    time.Time `json:"created"`
	AgeSeconds float64   `json:"age_seconds"`
}

// TrainingStatus is how far the training under way is.
type TrainingStatus struct {
	Why     string  `json:"why"`
	Recipe  string  `json:"recipe"`
	Trying  bool    `json:"trying"` // it is trained, and some of its packets are injected to try it
	Seconds float64 `json:"seconds"`
	Step    int     `json:"step"`
	Steps   int     `json:"steps"` // 0: not known yet
}

// CaptureStatus are the capture's and the dataset's counts since the start.
type CaptureStatus struct {
	Seen     uint64               `json:"seen"` // frames that entered the LAN interface
	Ours     uint64               `json:"ours"` // of these, our own: not looked at
	Labels   []LabelCaptureStatus `json:"labels"`
	Stored   int                  `json:"stored"`
	Evicted  int                  `json:"evicted"`  // to keep within state.max_bytes
	Crowding int                  `json:"crowding"` // not stored: their source has its share of their label
	Torn     int                  `json:"torn"`     // files whose end a crash had torn
	Bytes    int64                `json:"bytes"`    // on disk now
}

// LabelCaptureStatus is what was captured of one label.
type LabelCaptureStatus struct {
	Label    string `json:"label"`
	Captured uint64 `json:"captured"`
	Dropped  uint64 `json:"dropped"`  // the ring was full
	Oversize uint64 `json:"oversize"` // longer than the snap length
	Stored   int    `json:"stored"`   // on disk now
}

// The states of Status.
const (
	stateCapturing = "capturing"
	stateTraining  = "training"
	stateInjecting = "injecting"
	statePaused    = "paused"
)

// state is what the daemon is doing, in one word.
func (s *service) state() string {
	switch {
	case s.valve.isPaused():
		return statePaused
	case s.valve.feed.main.Load() != nil:
		return stateInjecting
	case s.trainer.running.Load() != nil:
		return stateTraining
	}
	return stateCapturing
}

// line is what the daemon is doing, in one line.
func (s *service) line() (string, error) {
	counts, err := s.counts()
	if err != nil {
		return "", err
	}
	return s.lineOf(counts), nil
}

func (s *service) lineOf(counts tally) string {
	replays := s.replays()
	success := totalOf(counts[fromModel]).success()
	if replays {
		success = totalOf(counts[fromCapture]).success()
	}
	answered := fmt.Sprintf("%s answered (%s of %s)", percent(success.Rate), thousands(success.Answered), thousands(success.Decided))
	switch s.state() {
	case statePaused:
		return "paused, " + answered
	case stateInjecting:
		if replays {
			return fmt.Sprintf("injecting captured packets %s, %s", s.pace(), answered)
		}
		age := time.Since(s.current.Load().manifest.Created)
		return fmt.Sprintf("injecting %s, %s, model %s old%s", s.pace(), answered, roughly(age), s.untrained())
	case stateCapturing:
		if replays {
			return "capturing: waits for packets of every label to inject"
		}
		if missing := s.missing(); missing != "" {
			return "capturing: " + missing + " packets"
		}
	}
	return "training the first model"
}

// untrained names the labels that the model in use has not learned, with the
// reasons; "" where there are none.
func (s *service) untrained() string {
	live := s.current.Load()
	if live == nil || len(live.lacks) == 0 {
		return ""
	}
	reasons := map[string]string{}
	for _, label := range live.lacks {
		if reasons[label] = live.manifest.LeftOut()[label]; reasons[label] == "" {
			reasons[label] = "waits for a training"
		}
	}
	for _, m := range s.shortfalls() {
		if slices.Contains(live.untried(), m.Label) {
			reasons[m.Label] = fmt.Sprintf("%s of %s packets", thousands(m.Have), thousands(m.Need))
		}
	}
	return "; not trained: " + inWords(reasons)
}

// asked is the rate that is asked for, in packets per second.
func (s *service) asked() float64 {
	most := rateOf(*s.cfg.Load())
	if main := s.valve.feed.main.Load(); main != nil {
		if learned, ok := main.order.(*learnedOrder); ok {
			return min(learned.rate(), most)
		}
	}
	return most
}

// pace is the rate in words.
func (s *service) pace() string {
	if s.cfg.Load().Inject.Rate.Learned {
		return fmt.Sprintf("%.3g/s (learned)", s.asked())
	}
	return fmt.Sprintf("%g/s", s.asked())
}

// Status implements control.Daemon.
func (s *service) Status(context.Context) (any, error) { return s.status() }

// status reads all that there is to tell: to a person, to the page and to the
// metrics, so that they agree.
func (s *service) status() (Status, error) {
	counts, err := s.counts()
	if err != nil {
		return Status{}, err
	}
	cfg, now := s.cfg.Load(), time.Now()
	out := Status{
		Version: s.options.version, State: s.state(), Line: s.lineOf(counts), Paused: s.valve.isPaused(), StateDir: cfg.State.Dir,
		Started: s.started, UptimeSeconds: now.Sub(s.started).Seconds(), CountsSince: s.past.since, Rate: s.asked(), Engine: s.wire.injector.Engine().String(), Allow: texts(cfg.Safety.Allow),
		Missing: s.shortfalls(), All: reportAll(counts[fromModel]), Tasks: s.tasks.tasks(),
	}
	ceilings := counts.ceilings()
	for _, c := range counts[fromModel] {
		l := reportOf(c)
		if ceiling, ok := ceilings[c.name]; ok {
			l.Ceiling = &ceiling
		}
		out.Labels = append(out.Labels, l)
	}
	out.All.Ceiling = counts.ceiling()
	if m := s.current.Load(); m != nil {
		out.Model = &ModelStatus{
			ID: m.id, Recipe: string(m.model.Recipe), Created: m.manifest.Created, AgeSeconds: now.Sub(m.manifest.Created).Seconds(),
		}
	}
	s.trainer.describe(&out, now)
	return out, s.describeCapture(&out)
}

// describe fills in the training under way, and why the last one failed.
func (t *trainer) describe(out *Status, now time.Time) {
	if drift := t.drift.Load(); drift != nil {
		out.Drift = *drift
	}
	if r := t.running.Load(); r != nil {
		out.Training = &TrainingStatus{
			Why: r.why, Recipe: string(r.recipe), Trying: r.trying.Load(), Seconds: now.Sub(r.began).Seconds(),
		}
		e := r.curve.latest()
		out.Training.Step, out.Training.Steps = e.Step, e.Steps
	}
	if last := t.last.Load(); last != nil && last.err != nil {
		out.TrainingError = oneLine(last.err)
	}
}

// describeCapture fills in the counts of the capture and the dataset, and what
// was lost anywhere.
func (s *service) describeCapture(out *Status) error {
	counters, err := s.tap.capture.Counters()
	if err != nil {
		return err
	}
	if out.Drops, err = s.wire.drops(); err != nil {
		return err
	}
	stored := s.store.Stats()
	out.Capture = CaptureStatus{
		Seen: counters.Seen, Ours: counters.Ours, Stored: stored.Stored, Evicted: stored.Evicted, Crowding: stored.Crowding, Torn: stored.Torn, Bytes: stored.Bytes,
	}
	out.Drops.Disk = stored.Dropped
	for _, l := range arranged(counters.Labels, labelNames(*s.cfg.Load())) {
		out.Capture.Labels = append(out.Capture.Labels, LabelCaptureStatus{
			Label: l.Label, Captured: l.Labelled, Dropped: l.Dropped, Oversize: l.Oversize, Stored: s.store.Count(l.Label),
		})
		out.Drops.Ring += l.Dropped
	}
	out.Truth = s.wire.truth.status()
	out.IDS = s.sensors.scores()
	out.Fleet = s.fleet.status()
	out.Warnings = slices.Concat(out.Drops.warnings(s.wire.name), out.Truth.warnings(), sensorWarnings(out.IDS), out.Fleet.warnings())
	if live := s.current.Load(); live != nil && len(live.manifest.LeftOut()) > 0 {
		out.Warnings = append(out.Warnings, "labels left out of the model in use: "+inWords(live.manifest.LeftOut()))
	}
	return nil
}

// arranged are the named labels' counters first and in their order, then those
// of labels that are no more.
func arranged(counters []capture.LabelCounters, names []string) []capture.LabelCounters {
	place := func(l capture.LabelCounters) int {
		if i := slices.Index(names, l.Label); i >= 0 {
			return i
		}
		return len(names)
	}
	slices.SortStableFunc(counters, func(a, b capture.LabelCounters) int { return place(a) - place(b) })
	return counters
}

// roughly writes a time as a person says it: 40 s, 12 min, 3 h, 9 d.
func roughly(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(max(d, 0).Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 2*day:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d/day))
}
