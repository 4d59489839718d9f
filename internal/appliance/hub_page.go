package appliance

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"

	"github.com/nats-io/nats.go/jetstream"

	"pacgan-appliance/internal/fleet/hub"
	"pacgan-appliance/internal/fleet/hubpage"
)

// noPage is the value of --page without a page.
const noPage = "off"

// checkPage refuses an address from which others than this machine's users could stop the fleet.
func checkPage(address string) error {
	if address == noPage {
		return nil
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return usagef("--page %s: must be like %s, or %s", address, hubpage.DefaultAddress, noPage)
	}
	if !at.Addr().IsLoopback() {
		return usagef("--page %s: must be on loopback, since whoever reaches it can stop the fleet: use a tunnel such as ssh -L", address)
	}
	return nil
}

// pageTask serves the hub's page.
func pageTask(address string, keys fleetKeys, log *slog.Logger) hub.Task {
	return func(ctx context.Context, js jetstream.JetStream) error {
		if address == noPage {
			return nil
		}
		page, err := hubpage.New(hubpage.Options{JetStream: js, Key: keys.own, Keys: keys.of, Hosts: hosts(), Log: log})
		if err != nil {
			return err
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("hub's page: %w: give another address with --page, or --page %s", err, noPage)
		}
		log.Info("hub: page", "url", "http://"+l.Addr().String()+"/")
		return page.Serve(ctx, l)
	}
}
