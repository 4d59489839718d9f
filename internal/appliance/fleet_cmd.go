package appliance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/hub"
)

const (
	fleetLong = `Shows and steers the gateways and trainers of a fleet, with the hub's own key: --hub names the directory that
"hub init" made, or --url, --key, --ca and --accounts a server of your own.`

	fleetListLong = `Lists each member that the hub ever heard of: what it does, at which rate, how much of what it asked was answered
(with the numbers of which that is a share), the model in use, when it was last heard of, and what of its truth it has
still to hand over.`

	fleetPauseLong = `Has a gateway, or all of them, stop injecting, as "pause" does on each. It ends with exit code 1 where a gateway
that is known did not answer within a second, and says which: it may be cut off, and injects on.`

	fleetResumeLong = `Has a gateway, or all of them, inject again, as "resume" does on each. It ends with exit code 1 where a gateway that
is known did not answer within a second, and says which.`

	fleetTruthLong = `Writes the truth records of a gateway that the hub has, as JSON lines in their order: what "score --truth" and
"truth export" read.`
)

// fleetPatience is for one question to the hub, but its gateways' answers.
const fleetPatience = 10 * time.Second

// fleetFlags say which fleet a command is for.
type fleetFlags struct {
	hub, url, key, ca, accounts string
}

const accountsUsage = "`file` of your own server's accounts, in nats-server's configuration: whose key is whose"

// fleetKeys are the hub's own key and its members' public ones.
type fleetKeys struct {
	own nkeys.KeyPair
	of  fleet.Keyring
}

func (f *fleetFlags) register(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.hub, "hub", "", "`directory` that hub init made")
	flags.StringVar(&f.url, "url", "", "`URL` of the server, or of a cluster's servers by commas")
	flags.StringVar(&f.key, "key", "", "`file` of the hub's NKey or credentials")
	flags.StringVar(&f.ca, "ca", "", "`file` of the certificate that signed the server's")
	flags.StringVar(&f.accounts, "accounts", "", accountsUsage)
}

// keys reads the hub's key, by which members know it, and theirs, by which it knows them.
func (f *fleetFlags) keys() (fleetKeys, error) {
	if err := f.check(); err != nil {
		return fleetKeys{}, err
	}
	key, accounts := f.key, f.accounts
	if f.hub != "" {
		if _, err := hub.URL(f.hub); err != nil {
			return fleetKeys{}, err
		}
		key, accounts = filepath.Join(f.hub, hub.KeyFile), filepath.Join(f.hub, hub.AccountsFile)
	}
	own, err := fleet.LoadKey(key)
	if err != nil {
		return fleetKeys{}, err
	}
	members, err := readAccounts(accounts)
	if err != nil {
		return fleetKeys{}, err
	}
	return fleetKeys{own, members.Key}, nil
}

func readAccounts(path string) (*hub.Members, error) {
	if path == "" {
		return nil, usagef("--accounts is missing: the file of your own server's accounts, which say whose key is whose")
	}
	return hub.ReadMembers(path)
}

func (f *fleetFlags) check() error {
	switch {
	case f.hub != "" && f.url+f.key+f.ca+f.accounts != "":
		return usagef("--hub has all that --url, --key, --ca and --accounts say: give it or them")
	case f.hub == "" && (f.url == "" || f.key == ""):
		return usagef("which fleet: give --hub DIR, or --url with --key, --ca and --accounts")
	}
	return nil
}

// connect returns the hub's connection; the network's error is here one of the command, which does not wait for better times.
func (f *fleetFlags) connect() (*nats.Conn, jetstream.JetStream, error) {
	if err := f.check(); err != nil {
		return nil, nil, err
	}
	o := fleet.Options{URL: f.url, Name: hubName, Key: f.key, CA: f.ca, Log: slog.New(slog.DiscardHandler)}
	if f.hub != "" {
		url, err := hub.URL(f.hub)
		if err != nil {
			return nil, nil, err
		}
		o.URL, o.Key, o.CA = url, filepath.Join(f.hub, hub.KeyFile), filepath.Join(f.hub, hub.CAFile)
	}
	o.Once = true
	c, err := fleet.Connect(o)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(c)
	if err != nil {
		c.Close()
		return nil, nil, err
	}
	return c, js, nil
}

// fleetCommand is about the members of a fleet.
func (p *Program) fleetCommand() *cobra.Command {
	var f fleetFlags
	cmd := &cobra.Command{
		Use: "fleet", Short: "The gateways and trainers of a fleet", Long: fleetLong, Example: "  pacgan-appliance fleet list --hub hub", Args: cobra.NoArgs,
	}
	f.register(cmd)
	list := &cobra.Command{
		Use: "list --hub DIR", Short: "Who is there, and how each fares", Long: fleetListLong, Example: "  pacgan-appliance fleet list --hub hub", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			keys, err := f.keys()
			if err != nil {
				return err
			}
			return f.with(cmd.Context(), func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) error {
				members, err := fleet.Members(ctx, js, keys.of)
				if members == nil && err != nil {
					return err
				}
				return errors.Join(writeMembers(p.Stdout, members, time.Now()), err)
			})
		},
	}
	var out string
	truth := &cobra.Command{
		Use: "truth GATEWAY --hub DIR [--out FILE]", Short: "Write the truth that the hub has of a gateway", Long: fleetTruthLong,
		Example: "  pacgan-appliance fleet truth lab-a --hub hub --out lab-a.jsonl", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return p.fleetTruth(cmd.Context(), f, args[0], out) },
	}
	truth.Flags().StringVar(&out, "out", "", "`file` to write (default: standard output)")
	completeFiles(truth, "out", "jsonl")
	cmd.AddCommand(list, truth, p.fleetSetCommand(&f), p.fleetUnsetCommand(&f),
		p.tellCommand(&f, fleet.Pause, "Stop injecting, on one gateway or all", fleetPauseLong),
		p.tellCommand(&f, fleet.Resume, "Inject again, on one gateway or all", fleetResumeLong))
	return cmd
}

// with runs do with a connection, for as long as one question takes.
func (f *fleetFlags) with(ctx context.Context, do func(context.Context, *nats.Conn, jetstream.JetStream) error) error {
	c, js, err := f.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, fleetPatience)
	defer cancel()
	return do(ctx, c, js)
}

func (p *Program) fleetTruth(ctx context.Context, f fleetFlags, gateway, out string) (err error) {
	if err := fleet.CheckName(gateway); err != nil {
		return usageError{err}
	}
	keys, err := f.keys()
	if err != nil {
		return err
	}
	public := keys.of(gateway)
	if public == "" {
		return fmt.Errorf("gateway %s: the accounts know none of this name", gateway)
	}
	c, js, err := f.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	w := p.Stdout
	if out != "" {
		file, err := os.Create(out)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		w = file
	}
	done, err := fleet.ExportTruth(ctx, js, public, gateway, w)
	if err == nil && done.Foreign > 0 {
		err = fmt.Errorf("%d messages under %s are not as %s signed them and were left out", done.Foreign, fleet.TruthSubject(gateway), gateway)
	}
	return err
}

// tellCommand has gateways do something at once.
func (p *Program) tellCommand(f *fleetFlags, action, short, long string) *cobra.Command {
	return &cobra.Command{
		Use: action + " [GATEWAY] --hub DIR", Short: short, Long: long,
		Example: fmt.Sprintf("  pacgan-appliance fleet %s --hub hub\n  pacgan-appliance fleet %s lab-a --hub hub", action, action), Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			keys, err := f.keys()
			if err != nil {
				return err
			}
			return f.with(cmd.Context(), func(ctx context.Context, c *nats.Conn, js jetstream.JetStream) error {
				return p.tell(ctx, fleet.Voice{Conn: c, Key: keys.own, Keys: keys.of}, js, action, args)
			})
		},
	}
}

func (p *Program) tell(ctx context.Context, v fleet.Voice, js jetstream.JetStream, action string, args []string) error {
	subject, awaited := fleet.ControlAll, []string(nil)
	if len(args) == 1 {
		if err := fleet.CheckName(args[0]); err != nil {
			return usageError{err}
		}
		subject, awaited = fleet.ControlSubject(args[0]), args
	} else {
		asked, done := context.WithTimeout(ctx, fleet.AnswerWithin) // who ought to answer must not keep a stop waiting
		members, err := fleet.Members(asked, js, v.Keys)
		done()
		if err != nil {
			fmt.Fprintf(p.Stderr, "pacgan-appliance: who ought to answer: %v\n", err)
		}
		for _, m := range members {
			if m.Role == fleet.Gateway {
				awaited = append(awaited, m.Name)
			}
		}
	}
	told, err := fleet.Tell(ctx, v, subject, fleet.Control{Action: action, By: "pacgan-appliance fleet"}, awaited, fleet.AnswerWithin)
	if err != nil {
		return err
	}
	for _, r := range told.Replies {
		if r.Error == "" {
			fmt.Fprintf(p.Stdout, "%s: %s\n", r.Gateway, r.Message)
		}
	}
	var faults []string
	for _, r := range told.Failed() {
		faults = append(faults, r.Gateway+": "+r.Error)
	}
	if len(told.Silent) > 0 {
		faults = append(faults, fmt.Sprintf("no answer within %s from %s", fleet.AnswerWithin, strings.Join(told.Silent, ", ")))
	}
	if len(faults) > 0 {
		return fmt.Errorf("fleet %s: %s", action, strings.Join(faults, "; "))
	}
	return nil
}
