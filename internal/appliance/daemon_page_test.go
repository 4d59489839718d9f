package appliance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/web/webtest"
)

const pageURL = "http://127.0.0.1:9746/"

// TestPageOfADaemon compares what a browser shows of a daemon that captured,
// trained and injected with what `status --json` says.
func TestPageOfADaemon(t *testing.T) {
	withoutRace(t)
	d := mustDaemon(t, nil)
	d.train(t)
	if got := d.do(t, "pause"); got.Code != ExitDone {
		t.Fatalf("pause: %+v", got)
	}
	eventually(t, "packets stay in flight", func() bool { return d.status(t).All.Inflight == 0 })
	status := d.status(t)

	b := webtest.New(t)
	b.Resize(1280, 800)
	b.Open(pageURL)
	var articles []string
	b.Until("the page does not show the three labels", func() bool {
		articles = b.Texts("article")
		return len(articles) == len(status.Labels) && strings.Contains(b.Text("header"), "paused")
	})
	for i, l := range status.Labels {
		for _, want := range []string{
			l.Label, shownShare(l.SuccessRate) + " % answered 95 %: " + shownShare(l.Wilson95[0]) + " – " + shownShare(l.Wilson95[1]),
			"of " + thousands(l.Generated-l.Inflight) + " in all",
			"captured " + thousands(status.Capture.Labels[i].Captured), "submitted " + thousands(l.Generated), "on wire " + thousands(l.OnWire), "answered " + thousands(l.Answered),
		} {
			if !strings.Contains(articles[i], want) {
				t.Errorf("the page lacks %q in %q", want, articles[i])
			}
		}
	}
	if got := b.Text("#models tr.current"); !strings.Contains(got, status.Model.ID) || !strings.Contains(got, "in use") {
		t.Errorf("the list of models says %q, the model is %s", got, status.Model.ID)
	}
	packets := b.Text("#packets")
	for _, want := range []string{"ping nearest of", "ICMP sequence", "DNS name", "HTTP request", "digits differ"} {
		if !strings.Contains(packets, want) {
			t.Errorf("the packets lack %q in:\n%s", want, packets)
		}
	}
	if complaints := b.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
}

// shownShare is a share as the page shows it: only what is all, up to
// rounding, is 100.0.
func shownShare(share float64) string {
	if share < 1-1e-12 {
		share = min(share, 0.999)
	}
	return fmt.Sprintf("%.1f", 100*share)
}

// Of screenshots: how long packets are injected, and how large a file may be.
const (
	injectedBeforeShot = 8 * time.Minute
	largestShot        = 200 << 10
)

// screenshots names the directory for the README's pictures; "": none are made.
const screenshots = "PACGAN_SCREENSHOTS"

// TestScreenshots makes the README's pictures, in the directory that
// PACGAN_SCREENSHOTS names: of a daemon that trains a GAN and then injects for
// some minutes, while clients go on.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv(screenshots)
	if dir == "" {
		t.Skip("make screenshots makes them")
	}
	must(t, os.MkdirAll(dir, 0o755))
	d := mustDaemon(t, func(c *config.Config) {
		c.Train.Recipe, c.Train.MinPackets, c.Inject.Rate.PerSecond = config.RecipeGAN, 1500, 50
	})
	for _, label := range lab.Labels() {
		must(t, d.network.Traffic(t.Context(), label, 1800, nil))
	}
	patiently(t, "training does not get on", func() bool { s := d.status(t).Training; return s != nil && s.Steps > 0 && 2*s.Step > s.Steps })
	shoot(t, filepath.Join(dir, "training.png"), func(b *webtest.Browser) []byte { return b.ScreenshotOf("#training") })
	patiently(t, "no model comes", func() bool { return d.status(t).State == stateInjecting })
	began := time.Now()
	patiently(t, "clients do not go on", func() bool {
		for _, label := range lab.Labels() {
			must(t, d.network.Traffic(t.Context(), label, 20, nil))
		}
		return time.Since(began) > injectedBeforeShot
	})
	for _, scheme := range []string{"light", "dark"} {
		shoot(t, filepath.Join(dir, "page-"+scheme+".png"), func(b *webtest.Browser) []byte {
			b.Colours(scheme)
			return b.Screenshot(false)
		})
	}
	shoot(t, filepath.Join(dir, "packets.png"), func(b *webtest.Browser) []byte { return b.ScreenshotOf("#packets") })
	shoot(t, filepath.Join(dir, "phone.png"), func(b *webtest.Browser) []byte { b.Resize(400, 860); b.Colours("dark"); return b.Screenshot(false) })
	shoot(t, filepath.Join(dir, "model.png"), func(b *webtest.Browser) []byte {
		b.Click("#models tr.current a")
		b.Until("no page of the model", func() bool { return len(b.Texts("main.model")) == 1 })
		return b.Screenshot(false)
	})
}

// shoot opens the page in a browser of its own and keeps what shot shows.
func shoot(t *testing.T, path string, shot func(*webtest.Browser) []byte) {
	t.Helper()
	b := webtest.New(t)
	b.Resize(1280, 800)
	b.Open(pageURL)
	png := shot(b)
	b.Close()
	if len(png) > largestShot {
		t.Errorf("%s has %d bytes, at most %d are wanted", path, len(png), largestShot)
	}
	must(t, os.WriteFile(path, png, 0o644))
}

// patiently polls until ok, for as long as a training may take on a busy machine.
func patiently(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Minute, errors.New(what))
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatal(context.Cause(ctx))
		case <-time.After(time.Second):
		}
	}
}
