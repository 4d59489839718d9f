package control_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/control"
)

// daemon refuses to train, and remembers what it was asked.
type daemon struct {
	asked []control.Action
}

type state struct {
	State string `json:"state"`
	Count uint64 `json:"count"`
}

func (d *daemon) Status(context.Context) (any, error) { return state{"injecting", 1<<53 + 1}, nil }

func (d *daemon) Do(_ context.Context, a control.Action) (string, error) {
	d.asked = append(d.asked, a)
	if a == control.Train {
		return "", errors.New("too few packets: dns 0 of 300")
	}
	return "done: " + string(a), nil
}

func (d *daemon) Promote(_ context.Context, model string) (string, error) {
	if model != "20260102T150405Z-0123abcd" {
		return "", errors.New("no model " + model)
	}
	return "promoted " + model, nil
}

// broken cannot tell its status.
type broken struct{ daemon }

func (*broken) Status(context.Context) (any, error) { return nil, errors.New("read counters: gone") }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// mustServe runs a server until the test ends.
func mustServe(t *testing.T, path string, d control.Daemon) *control.Client {
	t.Helper()
	server, err := control.Listen(path)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx, d) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-done)
		must(t, server.Close())
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	})
	return control.NewClient(path)
}

func TestRequests(t *testing.T) {
	d := &daemon{}
	c := mustServe(t, filepath.Join(t.TempDir(), control.SocketName), d)
	var got state
	must(t, c.Status(t.Context(), &got))
	if diff := cmp.Diff(state{"injecting", 1<<53 + 1}, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	for _, a := range []control.Action{control.Pause, control.Resume, control.Reload} {
		message, err := c.Do(t.Context(), a)
		must(t, err)
		if want := "done: " + string(a); message != want {
			t.Errorf("%s: message %q, want %q", a, message, want)
		}
	}
	_, err := c.Do(t.Context(), control.Train)
	if err == nil || err.Error() != "train: too few packets: dns 0 of 300" {
		t.Errorf("train: error %v", err)
	}
	if diff := cmp.Diff([]control.Action{control.Pause, control.Resume, control.Reload, control.Train}, d.asked); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
}

func TestSocketIsRestricted(t *testing.T) {
	path := filepath.Join(t.TempDir(), control.SocketName)
	mustServe(t, path, &daemon{})
	info, err := os.Stat(path)
	must(t, err)
	if want := os.ModeSocket | 0o660; info.Mode() != want {
		t.Errorf("mode %v, want %v", info.Mode(), want)
	}
}

// TestStrangersAreRefused: a user outside the socket's group cannot talk to the
// daemon, though the socket's directory lets everybody in.
func TestStrangersAreRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	dir, err := os.MkdirTemp("", "control")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chmod(dir, 0o755))
	path := filepath.Join(dir, control.SocketName)
	mustServe(t, path, &daemon{})
	ask := func(uid, gid uint32) int {
		cmd := exec.Command("curl", "-s", "-o", "/dev/null", "--unix-socket", path, "http://daemon/status")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
		_ = cmd.Run() // its exit code says it
		return cmd.ProcessState.ExitCode()
	}
	const nobody, couldNotConnect = 65534, 7 // curl(1)
	if code := ask(0, 0); code != 0 {
		t.Fatalf("root: curl ends with %d", code)
	}
	if code := ask(nobody, 0); code != 0 { // the socket's group
		t.Errorf("a member of the group: curl ends with %d", code)
	}
	if code := ask(nobody, nobody); code != couldNotConnect {
		t.Errorf("a stranger: curl ends with %d, want %d", code, couldNotConnect)
	}
}

// TestSocketOfAKilledDaemon is replaced; one in use is not.
func TestSocketOfAKilledDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), control.SocketName)
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	stale.SetUnlinkOnClose(false)
	must(t, stale.Close())
	c := mustServe(t, path, &daemon{})
	must(t, c.Status(t.Context(), &state{}))

	_, err = control.Listen(path)
	if want := "control socket " + path + ": in use by another daemon: stop it first"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	must(t, c.Status(t.Context(), &state{}))
}

// TestErrors pins the whole text of what can go wrong.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, strings.Repeat("x", 100))
	foreign := filepath.Join(dir, "foreign.sock")
	listener, err := net.Listen("unix", foreign)
	must(t, err)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	must(t, server.Listener.Close())
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	mustServe(t, filepath.Join(dir, "broken.sock"), &broken{})
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	listen := func(path string) error {
		_, err := control.Listen(path)
		return err
	}
	status := func(name string) error {
		return control.NewClient(filepath.Join(dir, name)).Status(t.Context(), &state{})
	}
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"nobody", status("none.sock"), "no daemon listens on DIR/none.sock: start it, or name its socket with --socket"},
		{"not a socket", status("file"), "no daemon listens on DIR/file: start it, or name its socket with --socket"},
		{"below a file", status("file/x"), "no daemon listens on DIR/file/x: start it, or name its socket with --socket"},
		{"another program", status("foreign.sock"), "status: DIR/foreign.sock answers 404 Not Found: is it a socket of pacgan-appliance?"},
		{"broken", status("broken.sock"), "status: read counters: gone"},
		{"no directory", listen(filepath.Join(dir, "none", "s")), "control socket DIR/none/s: bind: no such file or directory"},
		{"long path", listen(long), "control socket " + long + ": the path has " + "LEN bytes, at most 103 are possible: choose a shorter state.dir"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := strings.NewReplacer("DIR", dir, "LEN", strconv.Itoa(len(long))).Replace(tt.want)
			got := ""
			if tt.err != nil {
				got = tt.err.Error()
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
	if err := status("none.sock"); !errors.Is(err, control.ErrNoDaemon) {
		t.Errorf("error %v is not ErrNoDaemon", err)
	}
}

// TestPromote hands on the model's ID as it is, whatever is in it.
func TestPromote(t *testing.T) {
	client := mustServe(t, filepath.Join(t.TempDir(), "s"), &daemon{})
	got, err := client.Promote(t.Context(), "20260102T150405Z-0123abcd")
	if got != "promoted 20260102T150405Z-0123abcd" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for _, id := range []string{"x", "../x", "a b?c#d", "a/b"} {
		if _, err := client.Promote(t.Context(), id); err == nil || err.Error() != "promote: no model "+id {
			t.Errorf("%q: error %v", id, err)
		}
	}
}
