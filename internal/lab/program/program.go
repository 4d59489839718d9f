// Package program finds the system's own servers and tools for a lab that uses them, says what to
// install where one is missing, and runs them.
package program

import (
	"fmt"
	"os/exec"
	"path/filepath"
)

// hints say what to do where a program is missing.
var hints = map[string]string{
	"nginx":      systemHint("nginx-light"),
	"unbound":    systemHint("unbound"),
	"ping":       systemHint("iputils-ping"),
	"dig":        systemHint("bind9-dnsutils"),
	"curl":       systemHint("curl"),
	"suricata":   `install Debian's suricata, of Debian 12's backports ("make deps-ids" does), or leave --ids out`,
	"tshark":     `install it with "make deps-ids"`,
	"ndpiReader": `install it with "make deps-ids"`,
}

// systemHint is that of what a lab with system servers runs, by its Debian package.
func systemHint(pkg string) string {
	return fmt.Sprintf(`install it with "apt-get install %s", or use --servers embedded`, pkg)
}

// Find is exec.LookPath with the directories where Debian keeps servers, which are not in every PATH.
func Find(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	hint, ok := hints[name]
	if !ok {
		hint = fmt.Sprintf(`install it with "apt-get install %s"`, name)
	}
	return "", fmt.Errorf("%s: not found: %s", name, hint)
}

// FindAll finds everything that a lab with system servers runs, or says what is missing first.
func FindAll() error {
	for _, name := range []string{"nginx", "unbound", "ping", "dig", "curl"} {
		if _, err := Find(name); err != nil {
			return err
		}
	}
	return nil
}

// CleanEnv is the environment of those programs: no proxy, locale or start-up file of the user
// changes what they do.
func CleanEnv() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/nonexistent"}
}
