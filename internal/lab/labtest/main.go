// Package labtest lets tests own a network: it runs a package's tests in fresh network, pid and
// mount namespaces, and gives them hosts on cables of their own.
package labtest

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/lab/program"
	"pacgan-appliance/internal/lab/sandbox"
)

const kind = "labtest"

// Main is a whole TestMain. As root it runs the test binary again, with the same arguments, inside
// a sandbox: an empty gateway with loopback up and IPv6 off, whose tests, with everything that they
// started, are gone when it ends. Without root the tests run where they are, and those that call
// RequireRoot skip.
func Main(m *testing.M) {
	if handled, code := lab.RoleMain(); handled {
		os.Exit(code)
	}
	if sandbox.Kind() != "" || os.Geteuid() != 0 {
		os.Exit(m.Run())
	}
	code, err := sandbox.Run(kind, os.Args[1:])
	if errors.Is(err, sandbox.ErrNoNamespaces) {
		fmt.Fprintf(os.Stderr, "%v: tests that need it will skip\n", err)
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// RequireRoot skips a test that needs root and a network of its own where there is none; with
// PACGAN_REQUIRE_ROOT=1 it fails instead.
func RequireRoot(tb testing.TB) {
	tb.Helper()
	if sandbox.Kind() != "" {
		return
	}
	skip(tb, "needs root, and TestMain to call labtest.Main")
}

// RequireProgram skips a test that runs somebody else's program where that is not installed; with
// PACGAN_REQUIRE_ROOT=1 it fails instead.
func RequireProgram(tb testing.TB, name string) {
	tb.Helper()
	if _, err := program.Find(name); err != nil {
		skip(tb, err.Error())
	}
}

func skip(tb testing.TB, missing string) {
	tb.Helper()
	if os.Getenv("PACGAN_REQUIRE_ROOT") == "1" {
		tb.Fatal(missing)
	}
	tb.Skip(missing)
}
