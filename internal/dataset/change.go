package dataset

import (
	"fmt"
	"os"
	"path/filepath"
)

// fileBytes is how large one file of a store with so much room may grow.
func fileBytes(dir string, room int64) (int64, error) {
	if room < MinMaxBytes {
		return 0, fmt.Errorf("dataset %s: room for %d bytes: at least %d are needed", dir, room, MinMaxBytes)
	}
	return min(max(room/filesInBudget, minFileBytes), maxFileBytes), nil
}

func (s *Store) makeDirectories(labels []string) error {
	for _, label := range labels {
		if err := os.MkdirAll(filepath.Join(s.dir, label), 0o750); err != nil {
			return fmt.Errorf("dataset: %w", err)
		}
	}
	return nil
}

// AddLabels has Append take further labels. Those that it takes already, and
// their packets, stay.
func (s *Store) AddLabels(labels []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if err := s.makeDirectories(labels); err != nil {
		return err
	}
	for _, label := range labels {
		if _, ok := s.labels[label]; ok {
			continue
		}
		one, err := s.openSeries(label)
		if err != nil {
			return err
		}
		s.labels[label] = one
	}
	s.total = s.bytes()
	return nil
}

// SetMaxBytes gives the store another size; where that is too small for what
// it holds, the oldest files go at once.
func (s *Store) SetMaxBytes(room int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	file, err := fileBytes(s.dir, room)
	if err != nil {
		return err
	}
	s.max, s.fileMax = room, file
	return s.makeRoom(0)
}
