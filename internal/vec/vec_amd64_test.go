package vec

import "testing"

// forBoth runs a test in Go and, where this processor has them, with vectors.
func forBoth(t *testing.T, name string, test func(t *testing.T)) {
	t.Run(name+" vector", func(t *testing.T) {
		if !hasVector {
			t.Skip("no AVX2 here")
		}
		test(t)
	})
	t.Run(name+" portable", func(t *testing.T) {
		defer func(had bool) { hasVector = had }(hasVector)
		hasVector = false
		test(t)
	})
}
