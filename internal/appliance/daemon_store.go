package appliance

import (
	"errors"
	"time"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/packet"
	"pacgan-appliance/internal/privacy"
)

// scrub has packets that are captured from now on stored as the config says.
func (s *service) scrub(cfg config.Config) error {
	scrubber, err := privacy.NewScrubber(privacy.Mode(cfg.Capture.Payload))
	if err != nil {
		return err
	}
	s.scrubber.Store(scrubber)
	return nil
}

// expireEvery is how often packets are looked for that have been kept for long
// enough: more often than an eighth of the shortest retention.
const expireEvery = 5 * time.Second

// expire removes packets for their age. It is for the dataset's task alone.
func (s *service) expire() error {
	keep := s.cfg.Load().Capture.Retention
	if keep == 0 || time.Since(s.expired) < expireEvery {
		return nil
	}
	s.expired = time.Now()
	return s.store.Expire(keep)
}

// keep stores a captured packet. A full disk costs packets, which the store
// counts, and not the daemon.
func (s *service) keep(p packet.Packet) error {
	s.captured.Add(1)
	p.Frame = s.scrubber.Load().Scrub(p.Frame)
	s.recent.offer(p)
	return s.forgiveFull(s.store.Append(p))
}

func (s *service) flush() error {
	s.storing.beat()
	err := errors.Join(s.store.Flush(), s.expire())
	if err == nil && s.full.CompareAndSwap(true, false) {
		s.log.Info("captured packets are stored again")
	}
	return s.forgiveFull(err)
}

// forgiveFull says once that the disk is full.
func (s *service) forgiveFull(err error) error {
	if !errors.Is(err, dataset.ErrFull) {
		return err
	}
	if s.full.CompareAndSwap(false, true) {
		s.log.Error("captured packets are dropped until there is room: free some, or lower state.max_bytes", "error", err)
	}
	return nil
}
