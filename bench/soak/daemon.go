package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/appliance"
	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/control"
	"pacgan-appliance/internal/lab"
)

// What the state may take on disk: the config's bounds, and this for models, history and checkpoints.
const (
	captureMiB = 64
	truthMiB   = 64
	otherMiB   = 96
	diskMiB    = captureMiB + truthMiB + otherMiB
)

const configText = `[gateway]
lan = "lan0"
wan = "wan0"
nat = "none"

[safety]
allow = ["%[1]s"]
max_rate = %[2]g

[[label]]
name = "ping"
filter = "icmp[icmptype] == icmp-echo"
answer = "icmp-echo"

[[label]]
name = "dns"
filter = "udp dst port 53"
answer = "dns"

[[label]]
name = "traversal"
filter = "src net %[7]s and tcp dst port 80 and tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420"
answer = "http"
malicious = true

[[label]]
name = "http"
filter = "tcp dst port 80 and tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420"
answer = "http"

[train]
recipe = "tree"
min_packets = 300

[inject]
rate = %[2]g

[state]
dir = "%[3]s"
max_bytes = "%[5]dMiB"

[truth]
max_bytes = "%[6]dMiB"

[[ids]]
name = "suricata"
kind = "suricata"
path = "%[4]s"
`

// daemon is the program at work. Its methods may be called concurrently.
type daemon struct {
	binary, config, state, text string
	log                         *os.File

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan error
}

func newDaemon(o options, eve string) (*daemon, error) {
	dir, err := os.MkdirTemp("", "pacgan-soak-")
	if err != nil {
		return nil, err
	}
	d := &daemon{binary: o.binary, config: filepath.Join(dir, "config.toml"), state: filepath.Join(dir, "state")}
	d.text = fmt.Sprintf(configText, lab.ServersNetwork(), o.rate, d.state, eve, captureMiB, truthMiB, lab.TestersNetwork())
	// A disk of its own, which can be filled without anybody else's harm.
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", diskMiB+32)); err != nil {
		return nil, fmt.Errorf("mount %s: %w", dir, err)
	}
	if d.log, err = os.Create(filepath.Join(o.out, "daemon.log")); err != nil {
		return nil, err
	}
	return d, os.WriteFile(d.config, []byte(d.text), 0o600)
}

// clear takes the disk away, with all that is on it.
func (d *daemon) clear() error {
	dir := filepath.Dir(d.config)
	return errors.Join(unix.Unmount(dir, unix.MNT_DETACH), os.Remove(dir))
}

// start starts it and waits until it answers.
func (d *daemon) start(ctx context.Context) error {
	cmd := exec.Command(d.binary, "run", "-c", d.config)
	cmd.Stderr = d.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the daemon: %w", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	d.mu.Lock()
	d.cmd, d.exited = cmd, exited
	d.mu.Unlock()
	return until(ctx, time.Minute, "the daemon answers", func() bool { _, err := d.status(ctx); return err == nil })
}

func (d *daemon) pid() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cmd.Process.Pid
}

func (d *daemon) signal(s syscall.Signal) error { return syscall.Kill(d.pid(), s) }

// end sends a signal and waits until the daemon is gone.
func (d *daemon) end(s syscall.Signal) (time.Duration, error) {
	began := time.Now()
	if err := d.signal(s); err != nil {
		return 0, err
	}
	select {
	case err := <-d.exited:
		return time.Since(began), err
	case <-time.After(time.Minute):
		return time.Since(began), errors.New("the daemon does not end")
	}
}

func (d *daemon) status(ctx context.Context) (appliance.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var s appliance.Status
	err := control.NewClient(filepath.Join(d.state, control.SocketName)).Status(ctx, &s)
	return s, err
}

// detected are our flows that the sensor had alerts for.
func (d *daemon) detected(ctx context.Context) (uint64, error) {
	s, err := d.status(ctx)
	if err != nil {
		return 0, err
	}
	n := uint64(0)
	for _, sensor := range s.IDS {
		for _, l := range sensor.Labels {
			n += l.Detected.Hits
		}
	}
	return n, nil
}

// savedCounts are when it last saved its counts, and how many packets of models were answered by then.
func (d *daemon) savedCounts() (at time.Time, answered uint64, err error) {
	text, err := os.ReadFile(filepath.Join(d.state, "counters.json"))
	if err != nil {
		return at, 0, err
	}
	var file struct {
		Saved  time.Time
		Counts []struct {
			Origin   string
			Answered uint64
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return at, 0, err
	}
	for _, c := range file.Counts {
		if c.Origin == "model" {
			answered += c.Answered
		}
	}
	return file.Saved, answered, nil
}

// do runs a command of the program's for this daemon.
func (d *daemon) do(ctx context.Context, args ...string) error {
	args = append(args, "--socket", filepath.Join(d.state, control.SocketName))
	out, err := exec.CommandContext(ctx, d.binary, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args[:len(args)-2], " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// look takes a sample; what cannot be read, since the process is between two lives, is an error.
func (d *daemon) look(ctx context.Context, began time.Time) (sample, error) {
	s := sample{At: time.Since(began).Seconds(), PID: d.pid()}
	proc := "/proc/" + strconv.Itoa(s.PID)
	text, err := os.ReadFile(proc + "/status")
	if err != nil {
		return s, err
	}
	var rss, mapped, goroutines, heap float64
	if err := values(string(text), map[string]*float64{"VmRSS:": &rss, "RssFile:": &mapped}); err != nil {
		return s, err
	}
	metrics, err := d.metrics(ctx)
	if err != nil {
		return s, err
	}
	if err := values(metrics, map[string]*float64{"go_goroutines": &goroutines, "go_memstats_heap_inuse_bytes": &heap}); err != nil {
		return s, err
	}
	s.RSS, s.Mapped, s.Heap, s.Goroutines = rss/1024, mapped/1024, heap/(1<<20), int(goroutines)
	files, err := os.ReadDir(proc + "/fd")
	if err != nil {
		return s, err
	}
	for _, f := range files {
		s.Files++
		if to, err := os.Readlink(proc + "/fd/" + f.Name()); err == nil && strings.HasPrefix(to, "anon_inode:bpf") {
			s.BPF++
		}
	}
	status, err := d.status(ctx)
	if err != nil {
		return s, err
	}
	s.Generated, s.Answered, s.Inflight = status.All.Generated, status.All.Answered, status.All.Inflight
	s.Disk, err = usedMiB(d.state)
	return s, err
}

// metrics are what the daemon's page tells Prometheus.
func (d *daemon) metrics(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+config.Default().Web.Listen.String()+"/metrics", nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET /metrics: %s: %s", response.Status, text)
	}
	return string(text), err
}

// values reads lines that are a name, spaces and a number; each name has to be there.
func values(text string, into map[string]*float64) error {
	found := 0
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 || into[fields[0]] == nil {
			continue
		}
		v, err := strconv.ParseFloat(fields[1], 64)
		if err != nil {
			return err
		}
		*into[fields[0]] = v
		found++
	}
	if found != len(into) {
		return fmt.Errorf("%d of %d values found", found, len(into))
	}
	return nil
}

// usedMiB is what a directory's files take; one that goes meanwhile takes nothing.
func usedMiB(dir string) (float64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() {
			sum += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return nil
	})
	return float64(sum) / (1 << 20), err
}

// until polls ok.
func until(ctx context.Context, most time.Duration, what string, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for !ok() {
		if !pause(ctx, 50*time.Millisecond) {
			return fmt.Errorf("not so after %v: %s", most, what)
		}
	}
	return nil
}

// pause says whether the time has passed, rather than ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
