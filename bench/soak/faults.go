package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/appliance"
	"pacgan-appliance/internal/family"
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
	{name: "disk full", do: fillDisk},
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

// killDaemon wants the counts to go on from what was saved, a minute before at most.
func killDaemon(ctx context.Context, d *daemon, _ *lab.Lab) error {
	if _, err := d.end(syscall.SIGKILL); err == nil {
		return errors.New("it was killed and ended without an error")
	}
	saved, answered, err := d.savedCounts()
	if err != nil {
		return err
	}
	if age := time.Since(saved); age > 65*time.Second {
		return fmt.Errorf("the counts were saved %v before the kill: want a minute", age.Round(time.Second))
	}
	if err := until(ctx, 30*time.Second, "its cable is taken away", func() bool { _, err := os.Stat("/sys/class/net/inj0"); return err != nil }); err != nil {
		return err
	}
	if err := d.start(ctx); err != nil {
		return err
	}
	s, err := d.status(ctx)
	if err == nil && (s.All.Answered < answered || answered == 0) {
		err = fmt.Errorf("counts begin anew: %d packets answered, %d were saved", s.All.Answered, answered)
	}
	return err
}

// train wants a training to its end; whether its model is better is not asked here.
func train(ctx context.Context, d *daemon, _ *lab.Lab) error {
	if err := d.do(ctx, "train", "now"); err != nil {
		return err
	}
	begun := false
	// It gives way to everything else on the machine.
	return until(ctx, 15*time.Minute, "a training has ended without an error", func() bool {
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
	var child int
	var err error
	if late := until(ctx, time.Minute, "a training child runs", func() bool {
		child, err = family.Child(d.pid(), "train")
		return child != 0 || err != nil
	}); late != nil || err != nil {
		return errors.Join(late, err)
	}
	return syscall.Kill(child, syscall.SIGKILL)
}

// fillDisk wants what cannot be stored counted, and all stored again once it can.
func fillDisk(ctx context.Context, d *daemon, _ *lab.Lab) error {
	before, err := d.status(ctx)
	if err != nil {
		return err
	}
	path := filepath.Join(filepath.Dir(d.state), "somebody-elses")
	if err := fill(path); err != nil {
		return errors.Join(err, os.RemoveAll(path))
	}
	var full appliance.Status
	err = until(ctx, time.Minute, "packets and records are counted as lost to the disk", func() bool {
		full, err = d.status(ctx)
		return err == nil && full.Drops.Disk > before.Drops.Disk && full.Truth.Lost > before.Truth.Lost
	})
	if err := errors.Join(err, os.Remove(path)); err != nil {
		return err
	}
	return until(ctx, 30*time.Second, "packets and records are stored again", func() bool {
		s, err := d.status(ctx)
		return err == nil && s.Capture.Stored > full.Capture.Stored && s.Truth.Written > full.Truth.Written && !s.Truth.Failing
	})
}

// fill writes a file until the disk is full.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	block := make([]byte, 1<<16)
	for err == nil {
		_, err = f.Write(block)
	}
	if errors.Is(err, unix.ENOSPC) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

// rotateIDS wants alerts of the new log joined with our flows.
func rotateIDS(ctx context.Context, d *daemon, l *lab.Lab) error {
	if err := l.KillIDS(ctx); err != nil {
		return err
	}
	if err := os.Rename(l.EVE(), l.EVE()+".1"); err != nil {
		return err
	}
	if err := l.StartIDS(ctx); err != nil {
		return err
	}
	before, err := d.detected(ctx)
	if err != nil {
		return err
	}
	return until(ctx, 30*time.Second, "flows of ours have alerts", func() bool {
		now, err := d.detected(ctx)
		return err == nil && now > before
	})
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
