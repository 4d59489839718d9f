package web

import (
	"sync"
	"time"
)

// cached keeps what is dear to make for a while, so that many clients are no
// more work than one. An error is kept like a value.
type cached[T any] struct {
	age  time.Duration // how old the value may be; 0: made each time
	make func() (T, error)

	mu    sync.Mutex
	made  time.Time
	value T
	err   error
}

// get is the value. Whoever asks while it is being made waits for it.
func (c *cached[T]) get() (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made.IsZero() || time.Since(c.made) >= c.age {
		c.value, c.err = c.make()
		c.made = time.Now()
	}
	return c.value, c.err
}
