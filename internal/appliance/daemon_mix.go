package appliance

import (
	"slices"
	"strings"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/model"
)

// mixture is what is injected under a config.
type mixture struct {
	model   *liveModel // nil: there is none yet
	main    *source    // nil: nothing to inject yet
	control *controls  // nil: the main source is of captured packets
}

// mix makes what is injected ready for another config.
func (s *service) mix(cfg config.Config) (*mixture, error) {
	if now := s.current.Load(); now != nil {
		return s.mixtureOf(now.id, now.manifest, now.model, cfg)
	}
	return s.mixtureOf("", nil, nil, cfg)
}

// mixtureOf is the mixture of a model that is loaded; nil: of none.
func (s *service) mixtureOf(id string, manifest *model.Manifest, m *model.Model, cfg config.Config) (*mixture, error) {
	mixed := &mixture{}
	var err error
	if m != nil {
		if mixed.model, err = s.newLiveModel(id, manifest, m, cfg); err != nil {
			return nil, err
		}
		mixed.main = mixed.model.source
	}
	if cfg.Inject.Source == config.SourceCapture {
		mixed.main, err = s.captureSource(cfg)
		return mixed, err
	}
	mixed.control = newControls(s.recent, labelNames(cfg), s.wire.slots)
	return mixed, nil
}

// captureSource replays captured packets for ever; nil while a label has none.
func (s *service) captureSource(cfg config.Config) (*source, error) {
	names := labelNames(cfg)
	drawer := recentDrawer{s.recent, names}
	if !drawer.ready() {
		return nil, nil
	}
	order, err := orderOf(cfg, s.store, seedNow())
	if err != nil {
		return nil, err
	}
	return &source{
		drawer: drawer, order: order, slots: s.wire.slots.slotsOf(fromCapture, names),
		left: slices.Repeat([]int{endless}, len(names)), drawn: make([]uint64, len(names)),
	}, nil
}

// draw has packets injected from a mixture. It takes over between two packets.
func (s *service) draw(mixed *mixture) {
	before := s.current.Swap(mixed.model)
	s.valve.fill(mixed.main, mixed.control)
	m := mixed.model
	if m == nil || before != nil && before.id == m.id && slices.Equal(before.lacks, m.lacks) {
		return
	}
	if len(m.lacks) > 0 {
		s.log.Warn("the model in use lacks labels: they are trained once there are enough packets", "model", m.id, "labels", strings.Join(m.lacks, ", "))
	}
	s.log.Info("model in use", "model", m.id, "recipe", m.model.Recipe, "seed", m.seed)
}

// replays reports whether captured packets are what the config wants injected.
func (s *service) replays() bool { return s.cfg.Load().Inject.Source == config.SourceCapture }

// replay begins to inject captured packets once there are some of every label,
// where the config wants that.
func (s *service) replay() error {
	if !s.replays() || s.valve.feed.main.Load() != nil {
		return nil
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	mixed, err := s.mix(*s.cfg.Load())
	if err != nil {
		return err
	}
	s.draw(mixed)
	if mixed.main != nil {
		s.log.Info("injecting captured packets")
	}
	return nil
}

// untried are the labels that the model lacks though nobody has found that they
// cannot be learned.
func (m *liveModel) untried() []string {
	leftOut := m.manifest.LeftOut()
	var out []string
	for _, label := range m.lacks {
		if leftOut[label] == "" {
			out = append(out, label)
		}
	}
	return out
}
