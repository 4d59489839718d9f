package program_test

import (
	"testing"

	"pacgan-appliance/internal/lab/program"
)

func TestMissingProgramSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, c := range []struct{ name, want string }{
		{"dig", `dig: not found: install it with "apt-get install bind9-dnsutils", or use --servers embedded`},
		{"curl", `curl: not found: install it with "apt-get install curl", or use --servers embedded`},
		{"nobodys-tool", `nobodys-tool: not found: install it with "apt-get install nobodys-tool", or use --servers embedded`},
	} {
		if _, err := program.Find(c.name); err == nil || err.Error() != c.want {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}
