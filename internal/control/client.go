package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// maxReply bounds what is read of an answer.
const maxReply = 4 << 20

// ErrNoDaemon is wrapped by the errors of a Client whose socket nobody
// listens on.
var ErrNoDaemon = errors.New("no daemon listens")

// Client asks the daemon behind a socket.
type Client struct {
	path string
	http http.Client
}

// NewClient returns a client of the socket at path. It connects when it asks.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &Client{path: path, http: http.Client{
		Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: replyTimeout,
	}}
}

// Status decodes what the daemon is doing into v.
func (c *Client) Status(ctx context.Context, v any) error {
	body, err := c.ask(ctx, http.MethodGet, "status", "status")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("status from %s: %w: is the daemon of this version?", c.path, err)
	}
	return nil
}

// Do asks for an action and returns what the daemon says is so now. The error
// is the daemon's own where it refused.
func (c *Client) Do(ctx context.Context, a Action) (string, error) {
	return c.do(ctx, string(a), string(a))
}

// Promote asks, as Do does, for packets of another model.
func (c *Client) Promote(ctx context.Context, model string) (string, error) {
	return c.do(ctx, "promote", promote+url.PathEscape(model))
}

func (c *Client) do(ctx context.Context, what, path string) (string, error) {
	body, err := c.ask(ctx, http.MethodPost, what, path)
	if err != nil {
		return "", err
	}
	var r reply
	if err := json.Unmarshal(body, &r); err != nil {
		return "", fmt.Errorf("%s: reply from %s: %w", what, c.path, err)
	}
	return r.Message, nil
}

// ask asks for a path; what stands for it in errors.
func (c *Client) ask(ctx context.Context, method, what, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://daemon/"+path, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.explain(ctx, what, err)
	}
	defer response.Body.Close() // read only
	body, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	if err != nil {
		return nil, fmt.Errorf("%s: read reply from %s: %w", what, c.path, err)
	}
	if response.StatusCode == http.StatusOK {
		return body, nil
	}
	var r reply
	if json.Unmarshal(body, &r) != nil || r.Error == "" {
		return nil, fmt.Errorf("%s: %s answers %s: is it a socket of pacgan-appliance?", what, c.path, response.Status)
	}
	return nil, fmt.Errorf("%s: %s", what, r.Error)
}

// explain says in one line why there is no answer, and what to do.
func (c *Client) explain(ctx context.Context, what string, err error) error {
	var timeout net.Error
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w on %s: start it, or name its socket with --socket", ErrNoDaemon, c.path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("control socket %s: permission denied: run as root, or as a member of group %s", c.path, Group)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%s: the daemon behind %s does not answer within %v", what, c.path, replyTimeout)
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return fmt.Errorf("%s: control socket %s: %w", what, c.path, err)
}
