package lab

import "pacgan-appliance/internal/lab/sandbox"

// RoleMain runs the part of a lab that this process was started as, if any, and says so with its
// exit code. It comes first in main and TestMain, before flags.
func RoleMain() (handled bool, code int) {
	return sandbox.RoleMain()
}
