package program_test

import (
	"testing"
	"time"

	"pacgan-appliance/internal/lab/program"
)

func TestMissingProgramSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, c := range []struct{ name, want string }{
		{"dig", `dig: not found: install it with "apt-get install bind9-dnsutils", or use --servers embedded`},
		{"curl", `curl: not found: install it with "apt-get install curl", or use --servers embedded`},
		{"suricata", `suricata: not found: install Debian's suricata, of Debian 12's backports ("make deps-ids" does), or leave --ids out`},
		{"nobodys-tool", `nobodys-tool: not found: install it with "apt-get install nobodys-tool"`},
	} {
		if _, err := program.Find(c.name); err == nil || err.Error() != c.want {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

func TestAProgramThatEndsAtOnceSaysWhy(t *testing.T) {
	p, err := program.Start(t.TempDir(), "/bin/sh", "-c", "echo 'bad config line 3' >&2; exit 4")
	if err != nil {
		t.Fatal(err)
	}
	err = p.Ready(time.Minute, func() (bool, error) { return false, nil })
	if want := "sh ended at once: exit status 4: bad config line 3"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
}
