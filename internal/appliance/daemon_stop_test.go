package appliance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/train"
)

// TestStopWhileTraining ends a daemon whose training child is at work, and starts it again.
func TestStopWhileTraining(t *testing.T) {
	d := mustDaemon(t, func(c *config.Config) { c.Train.Recipe = config.RecipeGAN })
	for _, label := range lab.Labels() {
		must(t, d.network.Traffic(t.Context(), label, 400, nil))
	}
	eventually(t, "the training does not start", func() bool {
		s := d.status(t)
		t := s.Training
		return t != nil && t.Recipe == "gan" && t.Step > 1 && s.State == stateInjecting && s.Model.Recipe == "tree" // meanwhile
	})
	d.mustRefuseLike(t, `^pacgan-appliance: train: a training is under way for [0-9]+ s\n$`, "train", "now")
	d.mustStopSoon(t)
	d.ended = false
	d.start(t)
	eventually(t, "the training does not go on", func() bool {
		s := d.status(t)
		return s.Training != nil && s.Training.Step > 1 && strings.Contains(d.stderr.String(), "going on with an unfinished training")
	})
	if strings.Contains(d.stderr.String(), "given up") {
		t.Error("the training is begun anew")
	}
	d.stop(t)
}

// TestStopInFullSwing ends a daemon that injects, converses, captures and
// trains: soon, and with all of it on disk.
func TestStopInFullSwing(t *testing.T) {
	d := mustDaemon(t, func(c *config.Config) { c.Safety.MaxRate, c.Inject.Rate.PerSecond = 1000, 1000 })
	d.train(t)
	d.write(t, func(c *config.Config) { c.Train.Recipe = config.RecipeGAN })
	d.mustDo(t, "reloaded; changed: train.recipe", "reload")
	d.mustDo(t, "training with recipe gan", "train", "now")
	eventually(t, "the training does not start", func() bool {
		s := d.status(t)
		return s.Training != nil && s.Training.Step > 1
	})
	http := func() LabelReport { return d.status(t).Labels[2] }
	eventually(t, "no conversation is open", func() bool { return http().Inflight > 0 })
	must(t, d.network.Traffic(t.Context(), "ping", 50, nil))
	var captured Status
	eventually(t, "the last packets are not captured", func() bool {
		captured = d.status(t)
		return captured.Capture.Labels[0].Captured >= 450
	})
	d.mustStopSoon(t)
	store, err := dataset.OpenReadOnly(filepath.Join(d.cfg.State.Dir, dataDir))
	must(t, err)
	for _, l := range captured.Capture.Labels {
		if n := store.Count(l.Label); n < l.Stored {
			t.Errorf("label %s: %d packets on disk, %d were stored", l.Label, n, l.Stored)
		}
	}
	must(t, store.Close())
	if _, err := os.Stat(filepath.Join(d.cfg.State.Dir, modelsDir, "current", "manifest.json")); err != nil {
		t.Errorf("the model in use: %v", err)
	}
	if !train.Unfinished(trainOptions{state: d.cfg.State.Dir}.trainingDir()) {
		t.Error("the training's state is not there")
	}
}

// TestPauseOutlivesTheDaemon restarts a paused one, after an end in order and
// after kill -9: nothing is injected before resume, not even one packet.
func TestPauseOutlivesTheDaemon(t *testing.T) {
	withoutRace(t)
	d := mustDaemon(t, nil)
	d.train(t)
	d.mustDo(t, "paused: nothing is injected until resume", "pause")
	end := map[string]func(){
		"stopped": func() { d.stop(t) },
		"killed":  func() { d.kill(t) },
	}
	for _, how := range []string{"stopped", "killed"} {
		end[how]()
		d.ended = false
		w := mustWatchWire(t)
		d.start(t)
		wait(t.Context(), time.Second)
		// The servers of conversations that the pause has cut go on speaking; with no daemon there, the addresses' owners
		// answer them with a reset.
		if left := slices.DeleteFunc(w.stop(t), func(s sighting) bool { return s.reset }); len(left) > 0 {
			t.Errorf("%s: %d packets left after the restart", how, len(left))
		}
		if s := d.status(t); s.State != statePaused || s.Model == nil || !strings.HasPrefix(s.Line, "paused, ") {
			t.Errorf("%s: status %q in state %s, model %+v", how, s.Line, s.State, s.Model)
		}
		d.mustDo(t, "paused already", "pause")
	}
	before := d.status(t).All.Answered
	d.mustDo(t, "resumed", "resume")
	eventually(t, "no packet is answered", func() bool { return d.status(t).All.Answered > before+100 })
	d.stop(t)
	d.ended = false
	d.start(t)
	before = d.status(t).All.Answered
	eventually(t, "it is paused again", func() bool { return d.status(t).All.Answered > before+100 })
}

// TestPauseThatCannotBeKept stops all the same, and says what is not so.
func TestPauseThatCannotBeKept(t *testing.T) {
	d := mustDaemon(t, nil)
	d.train(t)
	must(t, os.Mkdir(filepath.Join(d.cfg.State.Dir, pausedFile), 0o750)) // not a file
	d.mustRefuse(t, "pause: nothing is injected, but a restart would go on: open "+filepath.Join(d.cfg.State.Dir, pausedFile)+
		": is a directory: stop the daemon before you rely on it", "pause")
	if n := len(witnessSecond(t)); n > 0 {
		t.Errorf("%d packets left", n)
	}
}
