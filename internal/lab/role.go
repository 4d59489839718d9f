package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"net/rpc/jsonrpc"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"pacgan-appliance/internal/lab/sandbox"
)

// role is a process of this program in a network namespace of its own, which does what it is told by
// JSON lines on its standard input and answers on its standard output.
type role struct {
	name   string
	cmd    *exec.Cmd
	netns  string
	client *rpc.Client
	exited chan struct{}
}

// startRole starts one; outer is the supervisor's /proc, for the role's pid as seen from there.
func startRole(name string, outer *os.File) (_ *role, err error) {
	theirIn, ourOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirIn.Close()
	ourIn, theirOut, err := os.Pipe()
	if err != nil {
		ourOut.Close()
		return nil, err
	}
	defer theirOut.Close()
	r := &role{name: name, exited: make(chan struct{}), cmd: &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{name}, Stdin: theirIn, Stdout: theirOut, Stderr: os.Stderr,
		ExtraFiles:  []*os.File{outer},
		SysProcAttr: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET},
	}}
	if err := r.cmd.Start(); err != nil {
		ourIn.Close()
		ourOut.Close()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = r.cmd.Wait() // call and stop tell how it ended
		close(r.exited)
	}()
	r.client = rpc.NewClientWithCodec(jsonrpc.NewClientCodec(duplex{ourIn, ourOut}))
	if r.netns, err = sandbox.NetNS(fmt.Sprint(r.cmd.Process.Pid)); err != nil {
		return nil, errors.Join(err, r.client.Close())
	}
	return r, nil
}

// call has the role run a method and waits for its result, or for the end of ctx.
func (r *role) call(ctx context.Context, method string, args, reply any) error {
	call := r.client.Go("Role."+method, args, reply, make(chan *rpc.Call, 1))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-call.Done:
	}
	if errors.Is(call.Error, rpc.ErrShutdown) || errors.Is(call.Error, io.ErrUnexpectedEOF) {
		<-r.exited
		return fmt.Errorf("process %s has ended: %s", r.name, r.cmd.ProcessState)
	}
	return call.Error
}

// stop closes the role's input, upon which it ends, and sees to it that nothing is left of it.
func (r *role) stop(ctx context.Context) error {
	err := r.client.Close()
	if errors.Is(err, rpc.ErrShutdown) {
		err = nil
	}
	select {
	case <-r.exited:
	case <-ctx.Done():
	case <-time.After(10 * time.Second):
	}
	return errors.Join(err, sandbox.KillNetNS(ctx, r.netns))
}

// serveRole answers calls from the gateway until it hangs up. hangUp is called first then, so that
// a call that still runs can end.
func serveRole(receiver any, hangUp func()) error {
	server := rpc.NewServer()
	if err := server.RegisterName("Role", receiver); err != nil {
		return err
	}
	in := &notifyEOF{Reader: os.Stdin, hangUp: hangUp}
	server.ServeCodec(jsonrpc.NewServerCodec(duplex{io.NopCloser(in), os.Stdout}))
	return nil
}

// notifyEOF calls hangUp when its reader has no more.
type notifyEOF struct {
	io.Reader
	hangUp func()
}

// Read reads.
func (n *notifyEOF) Read(b []byte) (int, error) {
	c, err := n.Reader.Read(b)
	if err != nil {
		n.hangUp()
	}
	return c, err
}

// duplex is a connection made of two pipes.
type duplex struct {
	io.ReadCloser
	out io.WriteCloser
}

// Write writes to the other side.
func (d duplex) Write(b []byte) (int, error) { return d.out.Write(b) }

// Close hangs up. The other side's end of the reading pipe is closed by its end.
func (d duplex) Close() error { return errors.Join(d.out.Close(), d.ReadCloser.Close()) }

// labError begins an error's text, which may come from a role, with the package's name once.
func labError(err error) error {
	if err == nil {
		return nil
	}
	return errors.New("lab: " + strings.TrimPrefix(err.Error(), "lab: "))
}
