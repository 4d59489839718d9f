package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"pacgan-appliance/internal/fleet"
)

// installDir is where a member's directory is expected on its machine.
const installDir = "/etc/pacgan-appliance/fleet"

// Files of a member's directory.
const (
	memberKey     = "member.nk"
	memberSnippet = "fleet.toml"
)

// Add lets one more member in, makes its directory below dir, and returns its public key. The hub has to reload its
// config; gateways that are there already trust a new trainer only once their fleet.trust names that key.
func Add(dir string, role fleet.Role, name string) (public string, err error) {
	if err := fleet.CheckName(name); err != nil {
		return "", err
	}
	url, err := URL(dir)
	if err != nil {
		return "", err
	}
	ca, err := os.ReadFile(filepath.Join(dir, CAFile))
	if err != nil {
		return "", err
	}
	hub, err := publicKey(filepath.Join(dir, KeyFile))
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, AccountsFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	before, after, found := strings.Cut(string(text), endOfMembers)
	switch {
	case !found:
		return "", fmt.Errorf("%s: has no line %q after its last user: write it", path, strings.TrimSpace(endOfMembers))
	case named(before, name):
		return "", fmt.Errorf("%s: there is a member %q already", path, name)
	}
	seed, public, err := newKey()
	if err != nil {
		return "", err
	}
	member := filepath.Join(dir, membersDir, name)
	if err := os.Mkdir(member, 0o750); err != nil {
		return "", err
	}
	files := map[string][]byte{memberKey: seed, CAFile: ca, memberSnippet: []byte(snippet(role, name, url, hub, trusted(before, role)))}
	for file, text := range files {
		if err := writeNew(filepath.Join(member, file), text, 0o640); err != nil {
			return "", err
		}
	}
	return public, replace(path, []byte(before+user(role, name, public)+endOfMembers+after))
}

// URL is where members reach the hub that Init made in dir.
func URL(dir string) (string, error) {
	url, err := os.ReadFile(filepath.Join(dir, urlFile))
	if err != nil {
		return "", fmt.Errorf("%s was not made by hub init: %w", dir, err)
	}
	return strings.TrimSpace(string(url)), nil
}

// publicKey is that of a file with a key.
func publicKey(path string) (string, error) {
	key, err := fleet.LoadKey(path)
	if err != nil {
		return "", err
	}
	return key.PublicKey()
}

var memberLine = regexp.MustCompile(`\{ # (\w+) (\S+)\n\s*nkey: (U[A-Z2-7]{55})\n`)

func named(accounts, name string) bool {
	for _, m := range memberLine.FindAllStringSubmatch(accounts, -1) {
		if m[2] == name {
			return true
		}
	}
	return false
}

// trusted are the public keys whose objects a member of a role uses: of trainers for a gateway, of gateways for a trainer.
func trusted(accounts string, role fleet.Role) []string {
	other := fleet.Trainer
	if role == fleet.Trainer {
		other = fleet.Gateway
	}
	var keys []string
	for _, m := range memberLine.FindAllStringSubmatch(accounts, -1) {
		if m[1] == string(other) {
			keys = append(keys, m[3])
		}
	}
	return keys
}

// snippet is what a member adds to its config.
func snippet(role fleet.Role, name, url, hub string, trust []string) string {
	quoted := make([]string, len(trust))
	for i, key := range trust {
		quoted[i] = fmt.Sprintf("%q", key)
	}
	use := "add this to its config.toml"
	if role == fleet.Trainer {
		use = "pacgan-appliance trainer --config " + filepath.Join(installDir, memberSnippet) + " --state DIR"
	}
	return fmt.Sprintf(`[fleet] # %s %s: %s
url = %q
name = %q
key = %q
hub = %q
ca = %q
trust = [%s]
`, role, name, use, url, name, filepath.Join(installDir, memberKey), hub, filepath.Join(installDir, CAFile), strings.Join(quoted, ", "))
}

// replace puts a new file in an old one's place, with its owner and mode: a hub that runs as somebody else still reads it.
func replace(path string, text []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	aside := path + ".new"
	if err := os.Remove(aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNew(aside, text, info.Mode().Perm()); err != nil {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		if err := os.Chown(aside, int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
	}
	return os.Rename(aside, path)
}
