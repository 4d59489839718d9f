//go:build !amd64

package vec

import "testing"

func forBoth(t *testing.T, name string, test func(t *testing.T)) { t.Run(name, test) }
