package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"pacgan-appliance/internal/bounded"
)

// called is a daemon that notes what it was asked for.
type called struct{ actions, models []string }

func (c *called) Status(context.Context) (any, error) { return struct{}{}, nil }

func (c *called) Do(_ context.Context, a Action) (string, error) {
	c.actions = append(c.actions, string(a))
	return "", nil
}

func (c *called) Promote(_ context.Context, model string) (string, error) {
	c.models = append(c.models, model)
	return "", nil
}

// FuzzRequest gives the socket's handler any request that HTTP lets pass:
// nothing but a POST does something, at most one thing, and every reply of
// ours is JSON.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		"GET /status HTTP/1.1\r\nHost: d\r\n\r\n", "POST /pause HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\n\r\n{}",
		"POST /promote/a HTTP/1.1\r\nHost: d\r\n\r\n", "POST /promote/..%2f..%2fetc HTTP/1.1\r\nHost: d\r\n\r\n",
		"GET /pause HTTP/1.1\r\nHost: d\r\n\r\n", "POST //pause HTTP/1.1\r\nHost: d\r\n\r\n", "CONNECT /pause HTTP/1.1\r\nHost: d\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	actions := []string{string(Pause), string(Resume), string(Train), string(Reload), string(Rollback)}
	f.Fuzz(func(t *testing.T, request []byte) {
		defer bounded.Input(t, len(request))()
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
		if err != nil {
			t.Skip("no request")
		}
		d, w := &called{}, httptest.NewRecorder()
		handler(d).ServeHTTP(w, r)
		done := len(d.actions) + len(d.models)
		if done > 1 || done == 1 && (r.Method != http.MethodPost || w.Code != http.StatusOK) {
			t.Errorf("%s %q did %v %v, and was answered %d", r.Method, r.URL, d.actions, d.models, w.Code)
		}
		for _, a := range d.actions {
			if !slices.Contains(actions, a) {
				t.Errorf("%q did %q", r.URL, a)
			}
		}
		if w.Code == http.StatusOK && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%q was answered %q", r.URL, w.Body)
		}
	})
}
