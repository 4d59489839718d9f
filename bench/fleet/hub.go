package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/hub"
)

// hubProcess is the appliance's hub.
type hubProcess struct {
	cmd  *exec.Cmd
	dir  string
	conn *nats.Conn
	js   jetstream.JetStream
	port int
	log  bytes.Buffer
}

// startHub makes a hub with keys for so many gateways and runs it.
func startHub(ctx context.Context, dir string, names []string) (*hubProcess, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	h := &hubProcess{dir: dir, port: port}
	if err := hub.Init(dir, hub.Plan{Hosts: []string{"127.0.0.1"}, Port: port, Gateways: names}); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, hub.ConfigFile)
	text, err := os.ReadFile(config)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(config, bytes.Replace(text, []byte("0.0.0.0"), []byte("127.0.0.1"), 1), 0o600); err != nil { // nobody else's
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	h.cmd = exec.Command(self, "hub", "--config", config, "--page", "127.0.0.1:0", "--truth", "8GiB", "--models", "16MiB", "--data", "1MiB")
	h.cmd.Env = append(os.Environ(), hubVariable+"=1")
	h.cmd.Stdout, h.cmd.Stderr = &h.log, &h.log
	h.cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := h.cmd.Start(); err != nil {
		return nil, err
	}
	if err := h.connect(ctx, names[len(names)-1]); err != nil {
		h.stop()
		return nil, fmt.Errorf("%w; the hub says:\n%s", err, h.log.String())
	}
	return h, nil
}

// connect waits until the hub has made what gateways need: last's bucket is among the last things.
func (h *hubProcess) connect(ctx context.Context, last string) error {
	c, err := h.member("hub", filepath.Join(h.dir, hub.KeyFile))
	if err != nil {
		return err
	}
	h.conn = c
	if h.js, err = jetstream.New(c); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		if _, err = h.js.ObjectStore(ctx, fleet.DataBucket(last)); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the hub is not ready after %v: %w", startLimit, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

const startLimit = 2 * time.Minute

// member connects as one that has the key in a file.
func (h *hubProcess) member(name, key string) (*nats.Conn, error) {
	return fleet.Connect(fleet.Options{
		URL: "tls://127.0.0.1:" + strconv.Itoa(h.port), Name: name, Key: key, CA: filepath.Join(h.dir, hub.CAFile), Log: slog.New(slog.DiscardHandler),
	})
}

func (h *hubProcess) stop() {
	if h.conn != nil {
		h.conn.Close()
	}
	_ = h.cmd.Process.Signal(unix.SIGTERM) // it may have ended
	_ = h.cmd.Wait()                       // what it thought of its end is not asked
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// cpu is the time that a process has computed.
func cpu(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] { // utime and stime
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	const tick = time.Second / 100 // USER_HZ
	return time.Duration(ticks) * tick, nil
}

// memory is a figure of /proc/PID/status, in bytes: VmRSS or VmHWM.
func memory(pid int, name string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status: no %s", pid, name)
}

// bytesBelow are those of the files below a directory.
func bytesBelow(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}
