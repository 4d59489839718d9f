package client

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"time"

	"pacgan-appliance/internal/lab/plan"
)

// get fetches one page, with one of the URL queries, over a connection of its own. The request is
// written by hand and in one segment: net/http's client adds headers that do not fit the paper's 98 bytes.
func get(queries ...string) Burst {
	return func(ctx context.Context, rng *rand.Rand, from netip.Addr, _ int) (made, ok int, err error) {
		site, path := pick(rng, plan.Sites()), pick(rng, plan.Paths())
		path += pick(rng, queries)
		status, err := fetch(ctx, from, site, path)
		if err != nil && !unanswered(err) {
			return 0, 0, fmt.Errorf("GET http://%s%s from %s: %w", site.Host, path, from, err)
		}
		if status == http.StatusOK {
			ok = 1
		}
		return 1, ok, nil
	}
}

func fetch(ctx context.Context, from netip.Addr, site plan.Site, path string) (int, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), Timeout: timeout}
	conn, err := d.DialContext(ctx, "tcp4", netip.AddrPortFrom(site.Addr, 80).String())
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, site.Host); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return 0, err
	}
	return response.StatusCode, nil
}
