// Package oldkernel holds a test alone: it boots Debian 12's kernel 6.1, which
// has no TCX, in an emulator and runs there those tests of the other packages
// that hang on the kernel. `make test` fetches the kernel.
package oldkernel
