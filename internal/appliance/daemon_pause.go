package appliance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// pausedFile is there, in the state directory, while a person wants nothing to
// be injected: a restart, or a crash, must not undo that.
const pausedFile = "paused"

func (s *service) pausedPath() string { return filepath.Join(s.cfg.Load().State.Dir, pausedFile) }

// pause stops the injector first, and then sees to it that a restart keeps it so.
func (s *service) pause() (string, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	changed, err := s.valve.pause()
	if err != nil {
		return "", err
	}
	if err := writeMark(s.pausedPath()); err != nil {
		s.log.Error("paused by request, but not over a restart", "error", err)
		return "", fmt.Errorf("nothing is injected, but a restart would go on: %w: stop the daemon before you rely on it", err)
	}
	if !changed {
		return "paused already", nil
	}
	s.log.Info("paused by request: nothing is injected until resume")
	return "paused: nothing is injected until resume", nil
}

func (s *service) resume() (string, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := removeMark(s.pausedPath()); err != nil {
		return "", fmt.Errorf("still paused: %w", err)
	}
	if !s.valve.resume() {
		return "not paused", nil
	}
	s.log.Info("resumed by request")
	return "resumed", nil
}

// keepPause pauses a daemon that was paused when it ended. It is for the time
// before the tasks run.
func (s *service) keepPause() error {
	info, err := os.Stat(s.pausedPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil { // not known: rather no start than packets that nobody wants
		return err
	}
	if _, err := s.valve.pause(); err != nil {
		return err
	}
	s.log.Warn("still paused from before the start: nothing is injected until resume", "since", info.ModTime().UTC())
	return nil
}

// writeMark makes an empty file that survives a crash of the machine. One that
// is there stays as it is.
func writeMark(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

// removeMark is the opposite of writeMark.
func removeMark(path string) error {
	if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

func syncDirectory(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
