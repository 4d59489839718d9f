package live

import (
	"sync"
	"time"
)

// Cached keeps what is dear to make for a while, so that many clients are no
// more work than one. An error is kept like a value.
type Cached[T any] struct {
	Age  time.Duration // how old the value may be; 0: made each time
	Make func() (T, error)

	mu    sync.Mutex
	made  time.Time
	value T
	err   error
}

// Get is the value. Whoever asks while it is being made waits for it.
func (c *Cached[T]) Get() (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made.IsZero() || time.Since(c.made) >= c.Age {
		c.value, c.err = c.Make()
		c.made = time.Now()
	}
	return c.value, c.err
}

// Forget has the value made anew for whoever asks next.
func (c *Cached[T]) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made = time.Time{}
}
