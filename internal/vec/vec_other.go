//go:build !amd64

package vec

const hasVector = false

// Without vectors none of these is called: whole is 0.

func addVector(int, *float32, *float32, *float32)                       {}
func mulVector(int, *float32, *float32, *float32)                       {}
func addProductVector(int, *float32, *float32, *float32)                {}
func addScaledVector(int, *float32, float32, *float32)                  {}
func lerpVector(int, *float32, float32, *float32)                       {}
func affineVector(int, *float32, float32, *float32, float32)            {}
func gateVector(int, *float32, float32, *float32, *float32)             {}
func addGateVector(int, *float32, float32, *float32, *float32)          {}
func normaliseVector(int, *float32, *float32, *float32, *float32)       {}
func adamVector(int, *AdamStep, *float32, *float32, *float32, *float32) {}
