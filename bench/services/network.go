package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"pacgan-appliance/internal/capture"
	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/lab/plan"
	"pacgan-appliance/internal/lab/program"
)

// startServer writes a protocol's files and runs its server until the lab is closed, in the foreground.
func startServer(ctx context.Context, network *lab.Lab, p protocol, dir string) error {
	for name, text := range p.files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(text, "DIR", dir)), 0o644); err != nil {
			return err
		}
	}
	path, err := program.Find(p.server[0])
	if err != nil {
		return err
	}
	var args []string
	for _, a := range p.server[1:] {
		args = append(args, strings.ReplaceAll(a, "DIR", dir))
	}
	log, err := os.Create(filepath.Join(dir, p.name+".out"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := network.ServerCommand(ctx, path, args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, dir
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if listens(ctx, network, p) {
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("%s ended at once: %v: see %s", p.server[0], err, log.Name())
		case <-time.After(50 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s does not listen on port %d after 30 s: see %s", p.server[0], p.port, log.Name())
}

func listens(ctx context.Context, network *lab.Lab, p protocol) bool {
	kind := "-Hlnu"
	if p.tcp {
		kind = "-Hlnt"
	}
	out, err := network.ServerCommand(ctx, "ss", kind, fmt.Sprintf("sport = :%d", p.port)).Output()
	return err == nil && len(out) > 0
}

// prepare makes what servers need beside their configuration: nginx a certificate, mosquitto its users.
func prepare(ctx context.Context, dir string) error {
	certificate := exec.CommandContext(ctx, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-days", "2", "-subj", "/CN=lab.test", "-keyout", filepath.Join(dir, "key.pem"), "-out", filepath.Join(dir, "cert.pem"))
	if out, err := certificate.CombinedOutput(); err != nil {
		return fmt.Errorf("openssl req: %w: %s", err, out)
	}
	passwords := filepath.Join(dir, "passwords")
	if err := os.WriteFile(passwords, nil, 0o600); err != nil {
		return err
	}
	for _, user := range mqttUsers() {
		if out, err := exec.CommandContext(ctx, "mosquitto_passwd", "-b", passwords, user[0], user[1]).CombinedOutput(); err != nil {
			return fmt.Errorf("mosquitto_passwd: %w: %s", err, out)
		}
	}
	return nil
}

// How many clients run at a time, and how many rounds of them may pass without a packet.
const clientsAtOnce, waitingAtOnce, mostSilent = 4, 40, 3

// captureAll captures so many packets of each label as its clients send them.
func captureAll(ctx context.Context, network *lab.Lab, o options, labels []protocol, dir string) (err error) {
	store, err := dataset.Open(dataset.Options{Dir: filepath.Join(o.state, "data"), Labels: o.labels, MaxBytes: 1 << 30})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	var filters []capture.Label
	for _, p := range labels {
		filter, err := capture.Compile(p.filter)
		if err != nil {
			return fmt.Errorf("label %s: %w", p.name, err)
		}
		filters = append(filters, capture.Label{Name: p.name, Filter: filter})
	}
	tap, err := capture.Open(capture.Options{Interface: lab.GatewayLAN, Labels: filters})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tap.Close()) }()
	group, running := errgroup.WithContext(ctx)
	capturing, stop := context.WithCancel(running)
	group.Go(func() error { return tap.Run(capturing, store.Append) })
	group.Go(func() error {
		defer stop()
		for i, p := range labels {
			if err := askMany(running, network, p, o, rand.New(rand.NewPCG(o.seed, uint64(i))), store, dir); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}

// askMany runs clients of a protocol until enough packets are captured. What a client says of the answer is not asked:
// openssl, for one, takes the end of its input for an error.
func askMany(ctx context.Context, network *lab.Lab, p protocol, o options, rng *rand.Rand, store *dataset.Store, dir string) error {
	atOnce := clientsAtOnce
	if p.waits {
		atOnce = waitingAtOnce
	}
	for silent := 0; silent < mostSilent; silent++ {
		before := store.Count(p.name)
		missing := o.packets - before
		if missing <= 0 {
			return nil
		}
		group, running := errgroup.WithContext(ctx)
		group.SetLimit(atOnce)
		for range min(missing, 4*atOnce) {
			command := p.ask(dir, rng, pick(rng, plan.Clients()), pick(rng, plan.WebServers()))
			group.Go(func() error {
				path, err := program.Find(command[0])
				if err != nil {
					return err
				}
				_ = network.ClientCommand(running, path, command[1:]...).Run()
				return running.Err()
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		for wait := 0; wait < 20 && store.Count(p.name) == before; wait++ {
			time.Sleep(100 * time.Millisecond) // the capture hands packets over when there are some
		}
		if store.Count(p.name) > before {
			silent = 0
		}
	}
	return fmt.Errorf("label %s: clients send no packets that its filter takes: %d of %d", p.name, store.Count(p.name), o.packets)
}
