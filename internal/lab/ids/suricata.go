// Package ids runs Suricata as a lab's sensor: on an interface of the calling process's network namespace, or
// over a capture file, with a configuration and rules of its own, in a directory of its own. It neither
// reads the machine's configuration of Suricata nor judges what the sensor says.
package ids

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"

	"pacgan-appliance/internal/lab/program"
)

// patience is how long Suricata may take to start, to read its rules or to end, on a machine that is busy.
const patience = time.Minute

// Suricata is a running sensor.
type Suricata struct {
	dir     string
	iface   string
	before  uint64 // frames that had passed the interface when the engine started
	process *program.Process
}

// Start runs a sensor on an interface and returns when its engine has started: from then on it misses no packet.
func Start(dir, iface string, rules []Rule) (*Suricata, error) {
	path, err := prepare(dir, iface, rules)
	if err != nil {
		return nil, err
	}
	s := &Suricata{dir: dir, iface: iface}
	s.process, err = program.Start(dir, path, "-c", filepath.Join(dir, configFile), "-l", dir, "--af-packet="+iface, "--init-errors-fatal")
	if err != nil {
		return nil, err
	}
	if err := s.process.Ready(patience, s.logged("Engine started", 1)); err != nil {
		return nil, errors.Join(err, s.process.Stop(patience))
	}
	if s.before, err = frames(iface); err != nil {
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

// Stop ends the sensor once it has looked at every frame that has passed its interface so far: those that
// wait in its ring when it ends are lost. It says how many it never saw, since there was no room in the ring:
// what they would have raised is not its rules' miss.
func (s *Suricata) Stop() (lost uint64, err error) {
	passed, err := frames(s.iface)
	if err == nil {
		err = s.process.Ready(patience, func() (bool, error) {
			var seen uint64
			var err error
			seen, lost, err = s.seen()
			return seen+lost >= passed-s.before, err
		})
	}
	return lost, errors.Join(err, s.process.Stop(patience))
}

// Kill ends the sensor as a crash does.
func (s *Suricata) Kill() error { return s.process.Kill() }

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
	for _, name := range []string{logFile, eveFile, statsFile} { // Suricata appends
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

// seen is how many frames the sensor has decoded, as it said last, and how many the kernel had no room for.
func (s *Suricata) seen() (decoded, lost uint64, err error) {
	text, err := os.ReadFile(filepath.Join(s.dir, statsFile))
	if errors.Is(err, os.ErrNotExist) {
		return 0, 0, nil
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1] // a line that it is writing
	last := bytes.TrimSpace(text)
	last = last[bytes.LastIndexByte(last, '\n')+1:]
	if err != nil || len(last) == 0 {
		return 0, 0, err
	}
	var event struct {
		Stats struct {
			Decoder struct{ Pkts uint64 }
			Capture struct {
				Drops uint64 `json:"kernel_drops"`
			}
		}
	}
	if err := json.Unmarshal(last, &event); err != nil {
		return 0, 0, fmt.Errorf("%s: %w", statsFile, err)
	}
	return event.Stats.Decoder.Pkts, event.Stats.Capture.Drops, nil
}

// frames is how many have passed an interface, in both directions.
func frames(iface string) (uint64, error) {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return 0, fmt.Errorf("frames of %s: %w", iface, err)
	}
	counts := link.Attrs().Statistics
	return counts.RxPackets + counts.TxPackets, nil
}
