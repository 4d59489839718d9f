package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/appliance"
	"pacgan-appliance/internal/lab"
)

// fault is something that gateways live through. do breaks it and mends it.
type fault struct {
	name string
	hits bool // clients, too
	once bool // in the first cycle alone, so that a long life is left to measure
	do   func(ctx context.Context, d *daemon, l *lab.Lab) error
}

// faults are one cycle.
var faults = []fault{
	{name: "daemon killed", once: true, do: killDaemon},
	{name: "daemon stopped for 3 s", do: func(ctx context.Context, d *daemon, _ *lab.Lab) error {
		return around(ctx, 3*time.Second, func() error { return d.signal(syscall.SIGSTOP) }, func() error { return d.signal(syscall.SIGCONT) })
	}},
	{name: "training", do: train},
	{name: "training", do: train},
	{name: "training child killed", do: killChild},
	{name: "pause and resume", do: func(ctx context.Context, d *daemon, _ *lab.Lab) error {
		return around(ctx, 2*time.Second, func() error { return d.do(ctx, "pause") }, func() error { return d.do(ctx, "resume") })
	}},
	{name: "wan down and up", hits: true, do: func(ctx context.Context, d *daemon, _ *lab.Lab) error {
		return counted(ctx, d, "failed", func(s appliance.Status) uint64 { return s.All.Failed }, func() error {
			return around(ctx, 3*time.Second, ip("link set wan0 down"), ip("link set wan0 up"))
		})
	}},
	{name: "MTU 1400 and back", hits: true, do: func(ctx context.Context, _ *daemon, _ *lab.Lab) error {
		return around(ctx, 2*time.Second, ip("link set wan0 mtu 1400"), ip("link set wan0 mtu 1500"))
	}},
	{name: "next hop's ARP gone", do: func(context.Context, *daemon, *lab.Lab) error { return ip("neigh flush dev wan0")() }},
	{name: "servers dead and back", hits: true, do: func(ctx context.Context, d *daemon, l *lab.Lab) error {
		return counted(ctx, d, "expired", func(s appliance.Status) uint64 { return s.All.Expired }, func() error {
			return around(ctx, 4*time.Second, func() error { return l.StopServers(ctx) }, func() error { return l.StartServers(ctx) })
		})
	}},
	{name: "sensor killed, its log rotated", do: rotateIDS},
	{name: "config of rubbish", do: rubbish},
	{name: "state read-only for 3 s", do: func(ctx context.Context, d *daemon, _ *lab.Lab) error {
		return around(ctx, 3*time.Second, func() error {
			return errors.Join(unix.Mount(d.state, d.state, "", unix.MS_BIND, ""),
				unix.Mount("", d.state, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
		}, func() error { return unix.Unmount(d.state, unix.MNT_DETACH) })
	}},
}

// around breaks something, lets it be so for a while, and mends it, also where ctx ends.
func around(ctx context.Context, d time.Duration, break_, mend func() error) error {
	if err := break_(); err != nil {
		return errors.Join(err, mend())
	}
	pause(ctx, d)
	return mend()
}

// counted wants a fault's losses in the count that is theirs.
func counted(ctx context.Context, d *daemon, name string, count func(appliance.Status) uint64, do func() error) error {
	before, err := d.status(ctx)
	if err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return until(ctx, 10*time.Second, "packets are counted as "+name, func() bool {
		s, err := d.status(ctx)
		return err == nil && count(s) > count(before)
	})
}

func ip(args string) func() error {
	return func() error {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
		return nil
	}
}

// killDaemon wants the counts to go on after it.
func killDaemon(ctx context.Context, d *daemon, _ *lab.Lab) error {
	if _, err := d.end(syscall.SIGKILL); err == nil {
		return errors.New("it was killed and ended without an error")
	}
	if err := until(ctx, 30*time.Second, "its cable is taken away", func() bool { _, err := os.Stat("/sys/class/net/inj0"); return err != nil }); err != nil {
		return err
	}
	if err := d.start(ctx); err != nil {
		return err
	}
	s, err := d.status(ctx)
	if err == nil && s.All.Answered == 0 {
		err = errors.New("counts begin anew")
	}
	return err
}

// train wants a training to its end; whether its model is better is not asked here.
func train(ctx context.Context, d *daemon, _ *lab.Lab) error {
	if err := d.do(ctx, "train", "now"); err != nil {
		return err
	}
	begun := false
	return until(ctx, 3*time.Minute, "a training has ended without an error", func() bool {
		s, err := d.status(ctx)
		if err != nil {
			return false
		}
		begun = begun || s.Training != nil
		return begun && s.Training == nil && s.TrainingError == ""
	})
}

func killChild(ctx context.Context, d *daemon, _ *lab.Lab) error {
	if err := d.do(ctx, "train", "now"); err != nil {
		return err
	}
	child := 0
	if err := until(ctx, time.Minute, "a training child runs", func() bool { child = childOf(d.pid()); return child != 0 }); err != nil {
		return err
	}
	return syscall.Kill(child, syscall.SIGKILL)
}

// childOf is the training process of a daemon, 0 where it has none.
func childOf(daemon int) int {
	tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(daemon) + "/task/*/children")
	for _, task := range tasks {
		text, _ := os.ReadFile(task) // a thread may have ended
		for _, field := range strings.Fields(string(text)) {
			line, _ := os.ReadFile("/proc/" + field + "/cmdline")
			if pid, err := strconv.Atoi(field); err == nil && strings.Contains(string(line), "\x00train\x00") {
				return pid
			}
		}
	}
	return 0
}

func rotateIDS(ctx context.Context, _ *daemon, l *lab.Lab) error {
	if err := l.KillIDS(ctx); err != nil {
		return err
	}
	if err := os.Rename(l.EVE(), l.EVE()+".1"); err != nil {
		return err
	}
	return l.StartIDS(ctx)
}

// rubbish wants it refused in one line, and the config before it taken again.
func rubbish(ctx context.Context, d *daemon, _ *lab.Lab) error {
	if err := os.WriteFile(d.config, []byte("[inject]\nrate = \"\x00 rubbish\n"), 0o600); err != nil {
		return err
	}
	refused := d.do(ctx, "reload")
	if err := os.WriteFile(d.config, []byte(d.text), 0o600); err != nil {
		return err
	}
	if refused == nil {
		return errors.New("rubbish was taken")
	}
	if strings.Contains(refused.Error(), "\n") {
		return fmt.Errorf("it is refused in more than a line: %w", refused)
	}
	return d.do(ctx, "reload")
}
