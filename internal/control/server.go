package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
)

// maxPath is how long a socket's path may be: sun_path of unix(7) with its
// final zero, and room for the name that it is made under.
const maxPath = 107 - len(aside)

// aside is how the socket's name ends until it is ready to be found.
const aside = ".new"

// Server listens on the socket.
type Server struct {
	path     string
	listener *net.UnixListener
}

// Listen makes the socket, in the place of one that a killed daemon left.
// Requests wait until Run. It appears with its mode and group or not at all.
func Listen(path string) (*Server, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("control socket %s: the path has %d bytes, at most %d are possible: choose a shorter state.dir", path, len(path), maxPath)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		return nil, errors.Join(fmt.Errorf("control socket %s: in use by another daemon: stop it first", path), conn.Close())
	}
	made := path + aside
	if err := os.Remove(made); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, socketError(path, err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, socketError(path, err)
	}
	listener.SetUnlinkOnClose(false) // by then it has another name
	err = restrict(made)
	if err == nil {
		err = os.Rename(made, path)
	}
	if err != nil {
		return nil, errors.Join(socketError(path, err), listener.Close(), os.Remove(made))
	}
	return &Server{path: path, listener: listener}, nil
}

// socketError names the socket once, whatever step on the way to it went wrong.
func socketError(path string, err error) error {
	var pathErr *fs.PathError
	var opErr *net.OpError
	var linkErr *os.LinkError
	switch {
	case errors.As(err, &pathErr):
		err = pathErr.Err
	case errors.As(err, &linkErr):
		err = linkErr.Err
	case errors.As(err, &opErr):
		err = opErr.Err
	}
	return fmt.Errorf("control socket %s: %w", path, err)
}

// restrict gives the socket its mode, and its group where there is one. A
// daemon that may not give files away keeps its own group.
func restrict(path string) error {
	if group, err := user.LookupGroup(Group); err == nil {
		gid, err := strconv.Atoi(group.Gid)
		if err != nil {
			return fmt.Errorf("group %s has the id %q", Group, group.Gid)
		}
		if err := os.Chown(path, -1, gid); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return os.Chmod(path, socketMode)
}

// Run answers requests until ctx ends, and returns nil then, once the replies
// under way are out.
func (s *Server) Run(ctx context.Context, d Daemon) error {
	server := &http.Server{
		Handler: handler(d), ReadHeaderTimeout: requestTimeout, WriteTimeout: replyTimeout,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
		defer cancel()
		if server.Shutdown(grace) != nil { // replies under way are late
			server.Close()
		}
	})
	defer func() {
		if !stop() { // Serve returns before the last reply is out
			<-ended
		}
	}()
	err := server.Serve(s.listener)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("control socket %s: %w", s.path, err)
}

// Path is where the socket lies.
func (s *Server) Path() string { return s.path }

// Close takes the socket away.
func (s *Server) Close() error {
	err := s.listener.Close()
	if errors.Is(err, net.ErrClosed) { // Run has closed it
		err = nil
	}
	return errors.Join(err, os.Remove(s.path))
}

func handler(d Daemon) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		status, err := d.Status(r.Context())
		if err != nil {
			write(w, http.StatusInternalServerError, reply{Error: err.Error()})
			return
		}
		write(w, http.StatusOK, status)
	})
	for _, a := range []Action{Pause, Resume, Train, Reload, Rollback} {
		mux.HandleFunc("POST /"+string(a), doing(func(ctx context.Context, _ *http.Request) (string, error) { return d.Do(ctx, a) }))
	}
	mux.HandleFunc("POST /"+promote+"{model}", doing(func(ctx context.Context, r *http.Request) (string, error) {
		return d.Promote(ctx, r.PathValue("model"))
	}))
	return mux
}

// doing answers with what was done, or why it was not.
func doing(do func(context.Context, *http.Request) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// The client may go; what it asked for is done whole.
		message, err := do(context.WithoutCancel(r.Context()), r)
		if err != nil {
			write(w, http.StatusConflict, reply{Error: err.Error()})
			return
		}
		write(w, http.StatusOK, reply{Message: message})
	}
}

// write answers with JSON. A client that has gone needs no answer.
func write(w http.ResponseWriter, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		code, body = http.StatusInternalServerError, fmt.Appendf(nil, `{"error":%q}`, err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n'))
}
