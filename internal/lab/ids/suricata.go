// Package ids runs Suricata as a lab's sensor: on an interface of the calling process's network namespace, or
// over a capture file, with a configuration and rules of its own, in a directory of its own. It neither
// reads the machine's configuration of Suricata nor judges what the sensor says.
package ids

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"pacgan-appliance/internal/lab/program"
)

// patience is how long Suricata may take to start, to read its rules or to end, on a machine that is busy.
const patience = time.Minute

// Suricata is a running sensor.
type Suricata struct {
	dir     string
	process *program.Process
}

// Start runs a sensor on an interface and returns when its engine has started: from then on it misses no packet.
func Start(dir, iface string, rules []Rule) (*Suricata, error) {
	path, err := prepare(dir, iface, rules)
	if err != nil {
		return nil, err
	}
	s := &Suricata{dir: dir}
	s.process, err = program.Start(dir, path, "-c", filepath.Join(dir, configFile), "-l", dir, "--af-packet="+iface, "--init-errors-fatal")
	if err != nil {
		return nil, err
	}
	if err := s.process.Ready(patience, s.logged("Engine started", 1)); err != nil {
		return nil, errors.Join(err, s.process.Stop(patience))
	}
	return s, nil
}

// SetRules has the running sensor go by other rules.
func (s *Suricata) SetRules(rules []Rule) error {
	const done = "rule reload complete"
	before, err := s.count(done)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.dir, ruleFile), rulesFile(rules), 0o644); err != nil {
		return err
	}
	if err := s.process.Signal(syscall.SIGUSR2); err != nil {
		return err
	}
	return s.process.Ready(patience, s.logged(done, before+1))
}

// Stop ends the sensor, which writes down what it still had to say.
func (s *Suricata) Stop() error { return s.process.Stop(patience) }

// Read has a sensor read a capture file, and returns when its EVE log in dir is whole.
func Read(ctx context.Context, dir, pcap string, rules []Rule) error {
	path, err := prepare(dir, "lo", rules)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, "-c", filepath.Join(dir, configFile), "-l", dir, "-r", pcap, "-k", "all", "--runmode", "single")
	cmd.Env, cmd.Dir = program.CleanEnv(), dir
	if out, err := cmd.CombinedOutput(); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, logFile)) // says more, where it is there
		return fmt.Errorf("suricata -r %s: %w: %s", pcap, err, bytes.TrimSpace(append(out, log...)))
	}
	return nil
}

// prepare makes the sensor's directory anew and returns the program's path.
func prepare(dir, iface string, rules []Rule) (path string, err error) {
	if path, err = program.Find("suricata"); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for _, name := range []string{logFile, eveFile} { // Suricata appends
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	config, err := configOf(dir, iface)
	if err != nil {
		return "", err
	}
	for name, content := range map[string][]byte{configFile: config, ruleFile: rulesFile(rules)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return "", err
		}
	}
	return path, nil
}

// logged says whether Suricata's own log has said something so many times.
func (s *Suricata) logged(what string, times int) func() (bool, error) {
	return func() (bool, error) {
		n, err := s.count(what)
		return n >= times, err
	}
}

func (s *Suricata) count(what string) (int, error) {
	log, err := os.ReadFile(filepath.Join(s.dir, logFile))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	return bytes.Count(log, []byte(what)), err
}
