package hub

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/nats-io/nats-server/v2/server"

	"pacgan-appliance/internal/fleet"
)

// Members are those whom a server's accounts let in, as they were read last: whose public NKey is whose is said there and
// nowhere else. The zero Members are none. Any goroutine may ask.
type Members struct {
	read atomic.Pointer[members]
}

type members struct {
	keys     map[string]string // by name
	gateways []string          // their names, sorted
}

// ReadMembers reads a nats-server's configuration that has accounts, such as AccountsFile.
func ReadMembers(config string) (*Members, error) {
	o, err := server.ProcessConfigFile(config)
	if err != nil {
		return nil, fmt.Errorf("%s: %s", config, oneLine(err))
	}
	m := &Members{}
	return m, m.take(config, o)
}

// take has the members be those of a configuration.
func (m *Members) take(config string, o *server.Options) error {
	now, err := membersOf(o)
	if err != nil {
		return fmt.Errorf("%s: %w", config, err)
	}
	m.read.Store(now)
	return nil
}

// Key is a [fleet.Keyring].
func (m *Members) Key(name string) string {
	if now := m.read.Load(); now != nil {
		return now.keys[name]
	}
	return ""
}

// Gateways are the names of those that may publish truth, sorted.
func (m *Members) Gateways() []string {
	if now := m.read.Load(); now != nil {
		return slices.Clone(now.gateways)
	}
	return nil
}

// membersOf finds them by what accounts let them publish: the name stands there alone.
func membersOf(o *server.Options) (*members, error) {
	m := &members{keys: map[string]string{}}
	for _, user := range o.Nkeys {
		if user.Permissions == nil || user.Permissions.Publish == nil {
			continue
		}
		for _, subject := range user.Permissions.Publish.Allow {
			if name, ok := strings.CutPrefix(subject, fleet.KeySubject(fleet.BeatBucket, "")); ok && fleet.CheckName(name) == nil {
				if is := m.keys[name]; is != "" && is != user.Nkey {
					return nil, fmt.Errorf("two keys, %s and %s, may write the beat of member %q: one must be it", is, user.Nkey, name)
				}
				m.keys[name] = user.Nkey
			}
			if name, ok := strings.CutPrefix(subject, fleet.TruthSubject("")); ok && fleet.CheckName(name) == nil {
				m.gateways = append(m.gateways, name)
			}
		}
	}
	slices.Sort(m.gateways)
	m.gateways = slices.Compact(m.gateways)
	return m, nil
}
