package appliance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/shelf"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/wholefile"
)

const (
	triedFile   = "tried.json" // in fleetDir: what became of the last model that was desired
	trainerWait = 2 * time.Second
	// trainerAsk is between questions whether a trainer is still there, and trainerGone for how long none may be: one that is
	// started again is back sooner.
	trainerAsk  = time.Second
	trainerGone = 5 * time.Second
	// learnWait is how long a model of a trainer's is waited for: other gateways' trainings may come first.
	learnWait = time.Hour
	// fetchAgain is when a model is asked for again that could not be fetched.
	fetchAgain = 30 * time.Second
)

// learner has models trained by the fleet, and takes those that the hub desires.
type learner struct {
	*service
	key  nkeys.KeyPair
	path string // of triedFile
	link atomic.Pointer[learnerLink]
	wish atomic.Pointer[fleet.Desired]
	news chan struct{} // holds one: the wish may be another
	last atomic.Pointer[fleet.Tried]
}

// learnerLink is a connection to the hub.
type learnerLink struct {
	c  *nats.Conn
	js jetstream.JetStream
}

// openLearner reads what became of the last model; nil without a fleet.
func (s *service) openLearner() (*learner, error) {
	f := s.cfg.Load().Fleet
	if s.fleet == nil {
		return nil, nil
	}
	key, err := fleet.LoadKey(f.Key)
	if err != nil {
		return nil, err
	}
	l := &learner{service: s, key: key, path: filepath.Join(s.cfg.Load().State.Dir, fleetDir, triedFile), news: make(chan struct{}, 1)}
	text, err := os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	var last fleet.Tried
	if err == nil {
		err = json.Unmarshal(text, &last)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: remove it", l.path, err)
	}
	l.last.Store(&last)
	return l, nil
}

func (l *learner) want(d fleet.Desired) {
	l.wish.Store(&d)
	l.tell()
}

func (l *learner) tell() {
	select {
	case l.news <- struct{}{}:
	default:
	}
}

func (l *learner) tried() *fleet.Tried { return l.last.Load() }

func (l *learner) run(ctx context.Context, c *nats.Conn, js jetstream.JetStream) error {
	l.link.Store(&learnerLink{c, js})
	defer l.link.Store(nil)
	l.tell()
	<-ctx.Done()
	return nil
}

// fleetNews is where the trainer hears that the hub may desire another model; without a fleet never.
func (s *service) fleetNews() <-chan struct{} {
	if s.learner == nil {
		return nil
	}
	return s.learner.news
}

// takeFromFleet tries what the hub desires, as the end of a training that was elsewhere.
func (s *service) takeFromFleet(ctx context.Context) {
	running := &runningTraining{began: time.Now(), occasion: occasion{why: "a model of the fleet's", recipe: s.cfg.Load().Train.Recipe}}
	running.trying.Store(true)
	s.trainer.running.Store(running)
	defer s.trainer.running.Store(nil)
	s.learner.takeDesired(ctx, running.occasion)
}

// takeDesired does with the model that the hub desires what is to be done, once. It is for the trainer's goroutine, as all
// that makes and removes models. It reports whether that model was promoted.
func (l *learner) takeDesired(ctx context.Context, o occasion) (promoted bool) {
	d, link, last := l.wish.Load(), l.link.Load(), l.last.Load()
	known := last != nil && d != nil && last.SHA256 == d.Model
	switch {
	case d == nil || d.Model == "":
		return false
	case d.Back:
		if !known || last.Promoted { // else it is done
			l.back(d)
		}
		return false
	case known || link == nil:
		return known && last.Promoted
	}
	j, err := l.try(ctx, link.js, d.Model, o)
	switch {
	case ctx.Err() != nil:
		return false
	case errors.Is(err, errLater):
		l.log.Warn("fleet: the model that the hub desires does not come: it is fetched again", "after", fetchAgain, "error", err)
		time.AfterFunc(fetchAgain, l.tell)
		return false
	case err != nil:
		l.log.Error("fleet: the model that the hub desires is not used", "error", err)
		l.settle(fleet.Tried{SHA256: d.Model, Reason: oneLine(err)})
		return false
	}
	l.settle(fleet.Tried{SHA256: d.Model, Promoted: j.State == model.StatePromoted, Reason: j.Reason})
	return j.State == model.StatePromoted
}

// errLater is of the network or the disk: the model may be as good as any.
var errLater = errors.New("not fetched")

// later marks errors of the shelf that say nothing of the model.
func later(err error) error {
	if err == nil || errors.Is(err, shelf.ErrRefused) || errors.Is(err, jetstream.ErrObjectNotFound) {
		return err
	}
	return fmt.Errorf("%w: %w", errLater, err)
}

var modelName = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}$`)

// try fetches a model, verifies it, has it measured as one that was trained here, and has the same gate judge it.
func (l *learner) try(ctx context.Context, js jetstream.JetStream, sum string, o occasion) (model.Judgement, error) {
	want := shelf.Want{Kind: shelf.Model, SHA256: sum, Trust: l.cfg.Load().Fleet.Trust}
	m, err := shelf.Look(ctx, js, fleet.ModelBucket, want)
	if err != nil {
		return model.Judgement{}, later(err)
	}
	if !modelName.MatchString(m.Name) {
		return model.Judgement{}, fmt.Errorf("model %.8s: %.40q is no model's name", sum, m.Name)
	}
	dir := filepath.Join(l.models, m.Name)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		_, err = shelf.Get(ctx, js, fleet.ModelBucket, want, dir, func(aside string) error {
			if _, _, err := model.Load(aside); err != nil {
				return err
			}
			return writeOrigin(aside, m)
		})
		if err != nil {
			return model.Judgement{}, later(err)
		}
	} else if l.originOf(m.Name) != sum {
		return model.Judgement{}, fmt.Errorf("model %.8s: another model %s is here already", sum, m.Name)
	}
	l.log.Info("fleet: fetched a model", "model", m.Name, "by", m.Member, "learned_at", m.Gateway)
	if lacks := l.lacking(m.Labels); lacks != "" {
		j := model.Judgement{State: model.StateAside, Reason: "it has not learned " + lacks + ", the model in use has", At: time.Now()}
		return j, l.decide(m.Name, j)
	}
	cfg := l.cfg.Load()
	args := []string{m.Name, "--state", cfg.State.Dir, "--seed", strconv.FormatUint(seedNow(), 10)}
	if err := measureChild(ctx, cfg.Train.MaxMemory, append(args, o.sinceArgs(cfg.Train.MinPackets)...)); err != nil {
		return model.Judgement{}, err
	}
	j, err := l.judge(ctx, m.Name)
	if err != nil {
		return j, err
	}
	return j, l.decide(m.Name, j)
}

// lacking are the labels that the model in use generates and a new one would not.
func (l *learner) lacking(learned []string) string {
	live := l.current.Load()
	if live == nil {
		return ""
	}
	return strings.Join(slices.DeleteFunc(labelNames(*l.cfg.Load()), func(name string) bool {
		return slices.Contains(live.lacks, name) || slices.Contains(learned, name)
	}), ", ")
}

// originOf is the SHA-256 that a model had on the shelf; "": it was trained here.
func (l *learner) originOf(id string) string {
	origin, err := readOrigin(filepath.Join(l.models, id))
	if err != nil || origin == nil {
		return ""
	}
	return origin.SHA256
}

// back goes back to the model before one that has failed since, where that is in use.
func (l *learner) back(d *fleet.Desired) {
	message := "it was not in use"
	if live := l.current.Load(); live != nil && l.originOf(live.id) == d.Model {
		var err error
		if message, err = l.rollback(); err != nil {
			message = oneLine(err)
		}
	}
	l.log.Warn("fleet: a model has failed", "sha256", d.Model, "why", d.Why, "done", message)
	l.settle(fleet.Tried{SHA256: d.Model, Reason: message})
}

// settle keeps what became of a model: it is not tried again after a restart.
func (l *learner) settle(t fleet.Tried) {
	if now, err := l.snapshot(); err == nil {
		t.Counts = beatOf(&now).Labels
	}
	l.last.Store(&t)
	if err := wholefile.Write(l.path, 0o640, func(w io.Writer) error { return json.NewEncoder(w).Encode(t) }); err != nil {
		l.log.Error("fleet: the model would be tried again by a restart", "error", err)
	}
}
