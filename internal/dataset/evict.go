package dataset

import (
	"os"
	"slices"
	"time"
)

// makeRoom removes old files until need more bytes fit. The label that takes
// most gives its oldest file; a label's last file goes only where no label has
// two, which needs more labels on disk than a config can have.
func (s *Store) makeRoom(need int64) error {
	for s.total+need > s.max {
		victim := s.largest(2)
		if victim == nil {
			victim = s.largest(1)
		}
		if victim == nil {
			return nil
		}
		if err := s.evictOldest(victim); err != nil {
			return err
		}
	}
	return nil
}

// largest returns the series with most bytes of those that have at least
// files files, the first by name among equals; nil if there is none.
func (s *Store) largest(files int) *series {
	var found *series
	for _, name := range s.names() {
		one := s.labels[name]
		if len(one.files) >= files && one.count() > 0 && (found == nil || one.bytes() > found.bytes()) {
			found = one
		}
	}
	return found
}

func (s *Store) evictOldest(one *series) error {
	if len(one.files) == 1 { // the one that is written to: begin another
		one.buffer.Reset()
		if err := one.rotate(); err != nil {
			return err
		}
	}
	oldest := one.files[0]
	path := one.pathOf(oldest)
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return unwritable(path, err)
	}
	one.files = slices.Delete(one.files, 0, 1) // in place: the list must not walk through memory
	one.unsynced = slices.DeleteFunc(one.unsynced, func(p string) bool { return p == path })
	s.stats.Evicted += oldest.count
	s.total = s.bytes()
	return nil
}

// retentionParts is into how many files, at least, the time that packets are
// kept is cut, so that the oldest can go.
const retentionParts = 8

// Expire removes packets that are older than keep, whole files of them: none
// that is older is left, and some go earlier, by an eighth of keep where the
// store was open all the time. It is to be called more often than that.
func (s *Store) Expire(keep time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readOnly || s.closed {
		return nil
	}
	now := time.Now()
	old := func(f *file, age time.Duration) bool { return f.count > 0 && now.Sub(f.begun) >= age }
	for _, name := range s.names() {
		one := s.labels[name]
		if old(one.last(), keep/retentionParts) { // it grows no longer
			if err := s.write(one); err != nil {
				return err
			}
			if err := one.rotate(); err != nil {
				return unwritable(one.path(), err)
			}
			s.total = s.bytes()
		}
		for len(one.files) > 1 && old(&one.files[0], keep) {
			if err := s.evictOldest(one); err != nil {
				return err
			}
		}
	}
	return nil
}
