package appliance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/coreos/go-systemd/v22/activation"

	"pacgan-appliance/internal/config"
)

// pageSocketName is the name of the page's socket where systemd passes one
// (FileDescriptorName= in a .socket unit).
const pageSocketName = "web"

// passedSocket is the page's listening socket, where systemd passed one
// (sd_listen_fds(3)); nil otherwise. To be asked once, before any child.
func passedSocket() (*os.File, error) {
	var page *os.File
	var err error
	for _, file := range activation.Files(true) {
		switch {
		case file.Name() != pageSocketName:
			err = errors.Join(err, fmt.Errorf(`a socket named %q is passed, and only "%s" is known: set FileDescriptorName=%s in the .socket unit`,
				file.Name(), pageSocketName, pageSocketName), file.Close())
		case page != nil:
			err = errors.Join(err, fmt.Errorf("two sockets named %q are passed: keep to one ListenStream=", pageSocketName), file.Close())
		default:
			page = file
		}
	}
	if err != nil && page != nil {
		err = errors.Join(err, page.Close())
	}
	return page, err
}

// pageSocket is where the page listens: the socket that systemd passed, which
// stays open as long as the daemon lives, or one at the config's address.
type pageSocket struct {
	passed *os.File

	mu     sync.Mutex
	opened net.Listener // at the start, until it is first served
	at     net.Addr     // of the last listener; nil: there is no page
}

// open listens, so that a taken address is told at once.
func (p *pageSocket) open(cfg config.Config) error {
	l, err := p.listen(cfg)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened = l
	return nil
}

// take is the listener to serve: the first time the one that was opened, nil
// where the config wants none.
func (p *pageSocket) take(cfg config.Config) (net.Listener, error) {
	p.mu.Lock()
	l := p.opened
	p.opened = nil
	p.mu.Unlock()
	if l != nil {
		return l, nil
	}
	return p.listen(cfg)
}

func (p *pageSocket) listen(cfg config.Config) (l net.Listener, err error) {
	switch {
	case p.passed != nil:
		if l, err = net.FileListener(p.passed); err != nil {
			return nil, fmt.Errorf("the socket %q that systemd passed: %w", pageSocketName, err)
		}
	case cfg.Web.Listen.IsValid():
		if l, err = net.Listen("tcp", cfg.Web.Listen.String()); err != nil {
			return nil, fmt.Errorf(`web.listen: %w: name another address, or "" for none`, err)
		}
	default:
		return nil, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = l.Addr()
	return l, nil
}

// addr is where the page listens; nil: nowhere.
func (p *pageSocket) addr() net.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at
}

// alive asks the page as a browser would.
func (p *pageSocket) alive(ctx context.Context) error {
	at := p.addr()
	if at == nil {
		return nil
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, at.Network(), at.String())
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/healthz", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("ask the page: %w", err)
	}
	return response.Body.Close() // whatever it answers
}

func (p *pageSocket) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	if p.opened != nil {
		errs = append(errs, p.opened.Close())
	}
	if p.passed != nil {
		errs = append(errs, p.passed.Close())
	}
	return errors.Join(errs...)
}
