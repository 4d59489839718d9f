// Package program finds the system's own servers and tools for a lab that uses them, and says what to
// install where one is missing.
package program

import (
	"fmt"
	"os/exec"
	"path/filepath"
)

// Debian's packages of the programs that a lab with system servers runs.
var packages = map[string]string{
	"nginx":   "nginx-light",
	"unbound": "unbound",
	"ping":    "iputils-ping",
	"dig":     "bind9-dnsutils",
	"curl":    "curl",
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
	pkg, ok := packages[name]
	if !ok {
		pkg = name
	}
	return "", fmt.Errorf(`%s: not found: install it with "apt-get install %s", or use --servers embedded`, name, pkg)
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
