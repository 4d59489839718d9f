package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"pacgan-appliance/internal/lab"
)

// The sides of a comparison, in the order of the table.
const (
	clients   = iota // real clients, as they talk to the servers
	replayed         // what they sent, sent again by the injector
	generated        // what a model made of it, sent by the injector
	sides
)

// recordings are the capture files of one label.
type recordings [sides]string

// record records one label's traffic of each side, one after the other.
func (o options) record(ctx context.Context, l *lab.Lab, label string) (files recordings, err error) {
	model, err := o.model()
	if err != nil {
		return files, err
	}
	dir := filepath.Join(o.state, "recorded")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return files, err
	}
	talk := func() error {
		_, err := l.Client(ctx, label, o.sent)
		return err
	}
	for side, traffic := range [sides]func() error{
		talk,
		func() error { return o.inject(ctx, label, "--source", "capture") },
		func() error { return o.inject(ctx, label, "--model", model) },
	} {
		files[side] = filepath.Join(dir, fmt.Sprintf("%s-%d.pcap", label, side))
		if err := lab.Tape(ctx, lab.GatewayWAN, files[side], traffic); err != nil {
			return files, err
		}
	}
	return files, nil
}

// inject has the program send a label's packets, from the lab's gateway, where this process is.
func (o options) inject(ctx context.Context, label string, source ...string) error {
	args := append([]string{
		"inject", "-c", filepath.Join(o.state, "config.toml"), "--label", label, "--rate", fmt.Sprint(o.rate),
		"--count", strconv.Itoa(o.sent), "--seed", strconv.FormatUint(o.seed, 10),
	}, source...)
	cmd := exec.CommandContext(ctx, o.binary, args...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%v: %w", cmd, err)
	}
	return nil
}
