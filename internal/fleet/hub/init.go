package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nkeys"

	"pacgan-appliance/internal/fleet"
)

// Plan says for whom Init makes keys.
type Plan struct {
	Hosts    []string // names or addresses by which members reach the hub, the first one in their configs
	Port     int
	Gateways []string
	Trainers []string
}

// Init makes in dir, which must be empty or not there, all that a hub runs with, and a directory for each member.
func Init(dir string, p Plan) error {
	if err := p.check(); err != nil {
		return err
	}
	switch files, err := os.ReadDir(dir); {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case len(files) > 0:
		return fmt.Errorf("%s is not empty: nothing is overwritten; hub add adds a member", dir)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	certs, err := newCertificates(p.Hosts, time.Now())
	if err != nil {
		return err
	}
	seed, public, err := newKey()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, membersDir), 0o750); err != nil {
		return err
	}
	accounts := accountsHead + user(fleet.Hub, "hub", public) + endOfMembers + accountsTail
	for _, f := range []struct {
		name string
		text []byte
	}{
		{CAFile, certs.ca}, {"ca.key", certs.caKey}, {"server.pem", certs.server}, {"server.key", certs.serverKey}, {KeyFile, seed},
		{AccountsFile, []byte(accounts)}, {ConfigFile, []byte(config(dir, p))}, {urlFile, []byte(p.url() + "\n")},
	} {
		if err := writeNew(filepath.Join(dir, f.name), f.text, 0o600); err != nil {
			return err
		}
	}
	for _, name := range p.Trainers { // before gateways, which trust them
		if _, err := Add(dir, fleet.Trainer, name); err != nil {
			return err
		}
	}
	for _, name := range p.Gateways {
		if _, err := Add(dir, fleet.Gateway, name); err != nil {
			return err
		}
	}
	return trustGateways(dir, p, public)
}

// trustGateways writes trainers' snippets again, now that the gateways' keys are there.
func trustGateways(dir string, p Plan, hub string) error {
	accounts, err := os.ReadFile(filepath.Join(dir, AccountsFile))
	if err != nil {
		return err
	}
	for _, name := range p.Trainers {
		text := snippet(fleet.Trainer, name, p.url(), hub, trusted(string(accounts), fleet.Trainer))
		if err := replace(filepath.Join(dir, membersDir, name, memberSnippet), []byte(text)); err != nil {
			return err
		}
	}
	return nil
}

func (p Plan) check() error {
	if len(p.Hosts) == 0 {
		return errors.New("no host: name or address by which members reach the hub")
	}
	for _, host := range p.Hosts {
		if net.ParseIP(host) == nil && (host == "" || strings.ContainsAny(host, ":/ \"\n@")) {
			return fmt.Errorf("host %q: must be a name or an address, without a port", host)
		}
	}
	if p.Port < 1 || p.Port > 65535 {
		return fmt.Errorf("port %d: must be 1 to 65535", p.Port)
	}
	seen := map[string]bool{"hub": true}
	for _, name := range append(append([]string{}, p.Gateways...), p.Trainers...) {
		if err := fleet.CheckName(name); err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("name %q: is given twice, or is the hub's", name)
		}
		seen[name] = true
	}
	return nil
}

func (p Plan) url() string {
	return fmt.Sprintf("tls://%s", net.JoinHostPort(p.Hosts[0], strconv.Itoa(p.Port)))
}

const (
	membersDir = "members"
	urlFile    = "url" // what members' configs say
)

// config is hub.conf. Its paths are whole: nats-server takes others as from where it was started.
func config(dir string, p Plan) string {
	every := "0.0.0.0"
	if slices.ContainsFunc(p.Hosts, func(h string) bool { return strings.Contains(h, ":") }) {
		every = "::"
	}
	return fmt.Sprintf(`# An ordinary configuration of nats-server, made by "pacgan-appliance hub init":
# https://docs.nats.io/running-a-nats-service/configuration
listen: %q
server_name: hub

tls {
  cert_file: %q
  key_file: %q
}

jetstream {
  store_dir: %q
  # With any other a power failure loses records that gateways were told are kept; the hub refuses it.
  sync_interval: always
  # max_file_store: 20GB # otherwise three quarters of what is free
}

include %s
`, net.JoinHostPort(every, strconv.Itoa(p.Port)), filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key"), filepath.Join(dir, "jetstream"), AccountsFile)
}

const (
	accountsHead = `# Who is let in, and may do what: the least that each role needs. "pacgan-appliance hub add" adds members,
# taking one out is deleting its block; then reload the hub (SIGHUP).
accounts {
  PACGAN {
    jetstream: enabled
    users: [
`
	endOfMembers = "      # hub add writes above this line\n"
	accountsTail = "    ]\n  }\n}\n"
)

// newKey makes a member's key pair.
func newKey() (seed []byte, public string, err error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return nil, "", fmt.Errorf("make an NKey: %w", err)
	}
	if public, err = pair.PublicKey(); err != nil {
		return nil, "", fmt.Errorf("make an NKey: %w", err)
	}
	seed, err = pair.Seed()
	return append(seed, '\n'), public, err
}

// writeNew writes a file that must not be there.
func writeNew(path string, text []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}
