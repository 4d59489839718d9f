package fleet

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// Options say how a member is connected.
type Options struct {
	URL  string // one or more servers, by commas: "tls://hub.example:4222"
	Name string // the member's
	Key  string // file with its NKey's seed, or with NATS credentials (.creds: a JWT and a seed)
	CA   string // file with the certificate that signed the servers'; "": the system's
	Log  *slog.Logger
	// InProcess is a server in this very process, in place of URL and CA; nil: none is.
	InProcess nats.InProcessConnProvider
	// Dialer, if there is one, dials in place of net's, which nothing can interrupt.
	Dialer nats.CustomDialer
	Once   bool // an attempt that fails is an error: for commands, which do not wait for better times
}

// reconnectWait is between attempts, for as long as it takes.
const reconnectWait = time.Second

// Connect returns a connection that comes up when a server can be reached and comes back whenever it was lost. The error
// is of the options and the key's file, one line, never of the network.
func Connect(o Options) (*nats.Conn, error) {
	log := o.Log.With("url", o.URL)
	said := ""      // the last reason: a server that is away for a week fills no log
	denied := false // told for this connection
	options := []nats.Option{
		nats.Name(o.Name), nats.CustomInboxPrefix(InboxPrefix(o.Name)), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait),
		nats.ReconnectBufSize(-1), // what could not be sent is an error, and sent again by who knows what it was
		nats.IgnoreAuthErrorAbort(),
		nats.ConnectHandler(func(c *nats.Conn) { said = ""; log.Info("fleet: connected", "server", c.ConnectedUrlRedacted()) }),
		nats.ReconnectHandler(func(c *nats.Conn) {
			said, denied = "", false
			log.Info("fleet: connected again", "server", c.ConnectedUrlRedacted())
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { log.Warn("fleet: connection lost", "error", err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			if text := err.Error(); text != said {
				said = text
				log.Warn("fleet: cannot connect", "error", err)
			}
		}),
		nats.ErrorHandler(func(c *nats.Conn, _ *nats.Subscription, err error) {
			switch {
			case !c.IsConnected(): // it follows from that, which was told
			case !errors.Is(err, nats.ErrPermissionViolation):
				log.Warn("fleet", "error", err)
			case !denied: // whatever else it does is denied, too, again and again
				denied = true
				log.Error("fleet: the hub does not let this key act in this name: fleet.name or fleet.key is another member's", "name", o.Name, "error", err)
			}
		}),
	}
	if o.Dialer != nil {
		options = append(options, nats.SetCustomDialer(o.Dialer))
	}
	if o.Key != "" {
		option, err := authenticate(o.Key)
		if err != nil {
			return nil, err
		}
		options = append(options, option)
	}
	if o.CA != "" {
		if _, err := os.Stat(o.CA); err != nil {
			return nil, fmt.Errorf("fleet.ca: %w", err)
		}
		options = append(options, nats.RootCAs(o.CA))
	}
	if o.Once {
		options = append(options, nats.RetryOnFailedConnect(false))
	}
	if o.InProcess != nil {
		options = append(options, nats.InProcessServer(o.InProcess))
	}
	c, err := nats.Connect(o.URL, options...)
	if err != nil {
		return nil, fmt.Errorf("fleet.url %q: %w", o.URL, err)
	}
	return c, nil
}

// InboxPrefix is where a member gets replies: below its name, so that no other may listen.
func InboxPrefix(name string) string { return "_INBOX_" + name }

// credentials mark a file that has a JWT beside the seed.
var credentials = []byte("-----BEGIN NATS USER JWT-----")

func authenticate(path string) (nats.Option, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("fleet.key: %w", err)
	}
	if bytes.Contains(text, credentials) {
		return nats.UserCredentials(path), nil
	}
	option, err := nats.NkeyOptionFromSeed(path)
	if err != nil {
		return nil, fmt.Errorf("fleet.key %s: %w", path, err)
	}
	return option, nil
}

// LoadKey reads the key pair of a file that holds an NKey's seed or NATS credentials.
func LoadKey(path string) (nkeys.KeyPair, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("fleet.key: %w", err)
	}
	key, err := nkeys.ParseDecoratedNKey(text)
	if err != nil {
		return nil, fmt.Errorf("fleet.key %s: %w", path, err)
	}
	if _, err := key.Seed(); err != nil {
		return nil, errors.Join(fmt.Errorf("fleet.key %s: holds no seed", path), err)
	}
	return key, nil
}
