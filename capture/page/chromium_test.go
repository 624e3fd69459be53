package page

import (
	"bytes"
	"context"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sluice-go/sluice/capture"
)

// The tests share one Chromium, each with a tab of its own.
var shared struct {
	once sync.Once
	ctx  context.Context
	err  error
	stop []func()
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, stop := range slices.Backward(shared.stop) {
		stop()
	}
	os.Exit(code)
}

// chromiumPath is where Chromium is, or "".
func chromiumPath() string {
	for _, n := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(n); err == nil {
			return p
		}
	}
	return ""
}

// startBrowser starts Chromium.
func startBrowser(path string) {
	dir, err := os.MkdirTemp("", "chromium")
	if err != nil {
		shared.err = err
		return
	}
	ctx, stop := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(path), chromedp.UserDataDir(dir), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.WindowSize(1400, 900),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("no-proxy-server", true), chromedp.Flag("hide-scrollbars", false),
		chromedp.WSURLReadTimeout(60*time.Second))
	ctx, cancel := chromedp.NewContext(ctx)
	shared.stop = []func(){func() { os.RemoveAll(dir) }, stop, cancel, func() { chromedp.Cancel(ctx) }}
	shared.ctx, shared.err = ctx, chromedp.Do(ctx)
}

// browser opens a tab. Where Chromium is missing the test is skipped, but in CI.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := chromiumPath()
	if path == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("chromium is not installed")
		}
		t.Skip("chromium is not installed")
	}
	shared.once.Do(func() { startBrowser(path) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	ctx, cancel := chromedp.NewContext(shared.ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// A console is what a page has complained about.
type console struct {
	ctx      context.Context
	messages iter.Seq2[chromedp.ConsoleMessage, error]
}

// check fails the test where the console has a line.
func (c *console) check(t *testing.T) {
	t.Helper()
	const end = "the end of the test"
	do(t, c.ctx, chromedp.Evaluate[chromedp.Void](`console.info("`+end+`")`))
	for m, err := range c.messages {
		if err != nil {
			t.Fatal(err)
		}
		if m.Text == end {
			return
		}
		t.Errorf("on the console: %v", m)
	}
}

// pageFile writes the page of what scene makes, and returns its URL.
func pageFile(t *testing.T, o Options, scene func(capture.Handler)) string {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b, o)
	scene(w.Handle)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return "file://" + path
}

// open opens a page, and waits until it is drawn.
func open(t *testing.T, ctx context.Context, url string) *console {
	t.Helper()
	c := &console{ctx: ctx, messages: chromedp.Console(ctx)}
	do(t, ctx, chromedp.EmulateViewport(1500, 940), chromedp.Navigate(url),
		chromedp.WaitReady(chromedp.CSS(`html[data-ready]`)), settled())
	return c
}

// settled waits until what was asked for is drawn.
func settled() chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](
		`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))`,
		chromedp.EvalAwaitPromise)
}

func do(t *testing.T, ctx context.Context, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// stepTimeout is how long a step may take: more than any does on a busy machine.
const stepTimeout = 30 * time.Second

// eval is the value of an expression.
func eval[T any](t *testing.T, ctx context.Context, expression string) T {
	t.Helper()
	do(t, ctx, settled())
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// screenshots is where pictures of the page are written, if anywhere.
var screenshots = os.Getenv("SLUICE_SCREENSHOTS")

// shoot writes a picture.
func shoot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	if screenshots == "" {
		return
	}
	do(t, ctx, settled())
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(screenshots, name+".png"), png, 0o600); err != nil {
		t.Fatal(err)
	}
}
