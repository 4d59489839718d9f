package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

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
		if err := tape(ctx, files[side], traffic); err != nil {
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

// tape has tcpdump record the IP packets in front of the servers while traffic passes.
func tape(ctx context.Context, file string, traffic func() error) (err error) {
	cmd := exec.CommandContext(ctx, "tcpdump", "-i", lab.GatewayWAN, "-n", "-U", "--immediate-mode", "-B", "32768", "-Z", "root", "-w", file, "ip")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	said := bufio.NewScanner(stderr)
	defer func() {
		ended := cmd.Process.Signal(syscall.SIGINT)
		for said.Scan() { // Wait may close the pipe only when it is read out
		}
		err = errors.Join(err, ended, cmd.Wait())
	}()
	for said.Scan() && !bytes.Contains(said.Bytes(), []byte("listening on")) {
	}
	if err := traffic(); err != nil {
		return err
	}
	return settle(ctx, cmd, said)
}

// settle waits until tcpdump has written down all that the kernel has for it, and until that grows no more.
func settle(ctx context.Context, cmd *exec.Cmd, said *bufio.Scanner) error {
	counts := regexp.MustCompile(`(\d+) packets? captured, (\d+) packets? received by filter, (\d+) packets? dropped by kernel`)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for last := ""; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil {
			return fmt.Errorf("tcpdump: %w", err)
		}
		if !said.Scan() {
			return errors.New("tcpdump has ended while it recorded")
		}
		m := counts.FindStringSubmatch(said.Text())
		switch {
		case m == nil:
			return fmt.Errorf("tcpdump said %q in the place of its counts", said.Text())
		case m[3] != "0":
			return fmt.Errorf("tcpdump lost %s packets: run this on a machine that is less busy, or with a lower -rate", m[3])
		case m[1] == m[2] && m[1] == last:
			return nil
		}
		last = m[1]
	}
}
