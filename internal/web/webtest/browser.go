// Package webtest looks at pages in tests as a person does: in a browser. It
// knows nothing of what is on them.
package webtest

import (
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// Patience is how long a browser may take over all of a test, on a machine
// that is busy.
const Patience = 3 * time.Minute

// Browser is a Chromium without a window, with one page. Its methods fail the
// test when the browser does.
type Browser struct {
	// Close ends the browser before the test does.
	Close context.CancelFunc

	tb  testing.TB
	ctx context.Context

	mu       sync.Mutex
	hosts    map[string]int
	complain []string
}

// New starts Debian's Chromium, until the test ends. Under -short, and where
// there is no Chromium, the test is skipped; the latter is a failure where
// PACGAN_REQUIRE_ROOT=1 says that everything has to run.
func New(tb testing.TB) *Browser {
	tb.Helper()
	if testing.Short() {
		tb.Skip("starts a browser")
	}
	path, err := exec.LookPath("chromium")
	if err != nil && os.Getenv("PACGAN_REQUIRE_ROOT") == "1" {
		tb.Fatalf("%v: make deps installs it", err)
	}
	if err != nil {
		tb.Skip(err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), Patience)
	tb.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx,
		chromedp.ExecPath(path), chromedp.UserDataDir(tb.TempDir()), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true))
	tb.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	b := &Browser{tb: tb, ctx: ctx, Close: cancel, hosts: map[string]int{}}
	tb.Cleanup(cancel)
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		tb.Fatal(err)
	}
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	return b
}

// hear notes what the page asks for and what the browser complains about.
func (b *Browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err == nil {
			b.hosts[u.Host]++
		}
	case *log.EventEntryAdded:
		b.complain = append(b.complain, e.Entry.Text)
	}
}

// Asked says how often the page asked each host for something.
func (b *Browser) Asked() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]int{}
	for host, n := range b.hosts {
		out[host] = n
	}
	return out
}

// Complaints are the browser's: what the page's policy refused, for example.
func (b *Browser) Complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.complain...)
}

// Open loads a page.
func (b *Browser) Open(url string) { b.do(chromedp.Navigate(url)) }

// Resize makes the window so many pixels large.
func (b *Browser) Resize(width, height int) {
	b.do(chromedp.EmulateViewport(int64(width), int64(height)))
}

// Colours has the page see a reader who prefers "light" or "dark".
func (b *Browser) Colours(scheme string) {
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
}

// NoScripts switches JavaScript off.
func (b *Browser) NoScripts() {
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// Click clicks the first element that a CSS selector names.
func (b *Browser) Click(selector string) { b.do(chromedp.Click(chromedp.CSS(selector))) }

// HTML is the page as it is now, scripts or not. What the browser cannot read because the page is just being
// replaced, by a refresh of its own, is read again.
func (b *Browser) HTML() string {
	b.tb.Helper()
	for {
		html, err := chromedp.Run(b.ctx, chromedp.OuterHTML(chromedp.CSS("html")))
		if refused := new(cdproto.Error); err == nil {
			return html
		} else if !errors.As(err, &refused) || b.ctx.Err() != nil {
			b.tb.Fatalf("browser: %v", err)
		}
	}
}

// Texts are the texts of the elements that a CSS selector names, as they are
// shown, each on one line.
func (b *Browser) Texts(selector string) []string {
	return Evaluate[[]string](b, `[...document.querySelectorAll("`+selector+`")].map(e => e.innerText.replace(/\s+/g, " ").trim())`)
}

// Text is Texts, a line for each element.
func (b *Browser) Text(selector string) string { return strings.Join(b.Texts(selector), "\n") }

// Evaluate is the value of an expression in the page.
func Evaluate[T any](b *Browser, expression string) T {
	return run(b, chromedp.Evaluate[T](expression))
}

// Screenshot is the window's content, or the whole page's, as PNG.
func (b *Browser) Screenshot(whole bool) []byte {
	if whole {
		return run(b, chromedp.FullScreenshot(100))
	}
	return run(b, chromedp.CaptureScreenshot())
}

// ScreenshotOf is the first element that a CSS selector names, as PNG.
func (b *Browser) ScreenshotOf(selector string) []byte {
	return run(b, chromedp.Screenshot(chromedp.CSS(selector)))
}

// Until looks at the page again and again until ok, and fails with what when
// the browser's patience ends.
func (b *Browser) Until(what string, ok func() bool) {
	b.tb.Helper()
	for !ok() {
		select {
		case <-b.ctx.Done():
			b.tb.Fatal(what)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (b *Browser) do(a chromedp.Action[chromedp.Void]) { run(b, a) }

func run[T any](b *Browser, a chromedp.Action[T]) T {
	b.tb.Helper()
	v, err := chromedp.Run(b.ctx, a)
	if err != nil {
		b.tb.Fatalf("browser: %v", err)
	}
	return v
}

func call[P, R any](b *Browser, c cdp.Command[P, R], params P) {
	b.tb.Helper()
	run(b, func(ctx context.Context, t *chromedp.Target) (R, error) { return cdp.Call(ctx, t, c, params) })
}

// LeastContrast is the least contrast ratio (WCAG 2.1) of the page's texts to
// what is behind them.
func (b *Browser) LeastContrast() float64 { return Evaluate[float64](b, leastContrast) }

const leastContrast = `(() => {
  const parse = (c) => (c.match(/[\d.]+/g) || []).map((v, i) => c.startsWith("color(srgb") && i < 3 ? 255 * v : Number(v));
  const luminance = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
    const v = c[i] / 255;
    return sum + weight * (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  }, 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  let least = 21;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let t = texts.nextNode(); t; t = texts.nextNode()) {
    const e = t.parentElement;
    if (!t.data.trim() || !e.checkVisibility() || e.localName === "title") continue;
    const style = getComputedStyle(e);
    const ink = parse(e instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [luminance(ink), luminance(behind(e))].sort((x, y) => y - x);
    least = Math.min(least, (a + 0.05) / (b + 0.05));
  }
  return least;
})()`
