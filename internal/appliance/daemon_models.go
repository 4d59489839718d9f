package appliance

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"pacgan-appliance/internal/model"
)

// keepModels is how many models beside the current one are kept, to go back to.
const keepModels = 10

// judge decides by its quality, and by injecting some of its packets, whether
// a new model takes over.
func (s *service) judge(ctx context.Context, id string) (model.Judgement, error) {
	manifest, err := model.ReadManifest(filepath.Join(s.models, id))
	if err != nil {
		return model.Judgement{}, err
	}
	cfg := s.cfg.Load()
	origin, err := readOrigin(filepath.Join(s.models, id))
	if err != nil {
		return model.Judgement{}, err
	}
	g := gate{labels: labelNames(*cfg), first: true, elsewhere: origin != nil && origin.Gateway != cfg.Fleet.Name}
	if live := s.current.Load(); live != nil {
		g.first = false
		if g.quality, err = reportsOf(manifest.Quality); err != nil {
			return model.Judgement{}, err
		}
		if r := manifest.Rival; r != nil && r.ID == live.id {
			if g.rival, err = reportsOf(r.Quality); err != nil {
				return model.Judgement{}, err
			}
		}
	}
	faults, err := memorised(manifest, cfg.Train.MaxMemorised)
	if err != nil {
		return model.Judgement{}, err
	}
	if faults = append(faults, g.held()...); len(faults) > 0 {
		return model.Judgement{State: model.StateAside, Reason: strings.Join(faults, "; "), At: time.Now()}, nil
	}
	s.log.Info("trying the new model", "model", id, "packets", canaryPackets)
	c, err := s.canary(ctx, id)
	if err != nil {
		return model.Judgement{}, fmt.Errorf("canary: %w", err)
	}
	j := model.Judgement{At: time.Now(), Canary: c}
	j.State, j.Reason = g.tried(c)
	return j, nil
}

// decide does with a new model what was judged, and removes the oldest ones.
func (s *service) decide(id string, j model.Judgement) error {
	if j.State != model.StatePromoted {
		s.log.Warn("the new model is kept aside", "model", id, "reason", j.Reason)
		if err := model.Judge(s.models, id, j); err != nil {
			return err
		}
	} else if err := s.promote(id, j); err != nil {
		return err
	}
	removed, err := model.Prune(s.models, keepModels)
	if len(removed) > 0 {
		s.log.Info("removed the oldest models", "models", strings.Join(removed, ", "))
	}
	return err
}

// promote has packets drawn from a model, and from the next start on.
func (s *service) promote(id string, j model.Judgement) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	m, manifest, err := model.Load(filepath.Join(s.models, id))
	if err != nil {
		return err
	}
	manifest.Judgement = &j
	mixed, err := s.mixtureOf(id, manifest, m, *s.cfg.Load())
	if err != nil {
		return err
	}
	if err := model.Judge(s.models, id, j); err != nil {
		return err
	}
	if err := model.Promote(s.models, id); err != nil {
		return err
	}
	s.log.Info("promoted", "model", id, "reason", j.Reason)
	s.draw(mixed)
	return nil
}

// Promote implements control.Daemon.
func (s *service) Promote(_ context.Context, id string) (string, error) {
	if live := s.current.Load(); live != nil && live.id == id {
		return "model " + id + " is in use already", nil
	}
	manifest, err := manifestOf(s.models, id)
	if err != nil {
		return "", err
	}
	if err := s.promote(id, byRequest(manifest, model.StatePromoted, "promoted by request")); err != nil {
		return "", err
	}
	return "promoted " + id, nil
}

// rollback goes back to the model that was promoted before, and keeps the one
// in use aside.
func (s *service) rollback() (string, error) {
	live := s.current.Load()
	if live == nil {
		return "", model.ErrNoModel
	}
	id, err := model.Previous(s.models)
	if err != nil {
		return "", err
	}
	if _, err := s.Promote(context.Background(), id); err != nil {
		return "", err
	}
	return "back to " + id + "; " + live.id + " is kept aside", model.Judge(s.models, live.id, byRequest(live.manifest, model.StateAside, "rolled back by request"))
}

// byRequest is a person's judgement; the canary's result stays.
func byRequest(manifest *model.Manifest, state model.State, reason string) model.Judgement {
	j := model.Judgement{State: state, Reason: reason, At: time.Now()}
	if was := manifest.Judgement; was != nil {
		j.Canary = was.Canary
	}
	return j
}
