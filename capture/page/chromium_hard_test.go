package page

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/frame"
)

// What peers send that would be HTML, script or the end of a script in a careless page.
var hostileTexts = []string{
	`</script><script>window.hacked = 1</script>`,
	`<img src=x onerror="window.hacked = 1">`,
	`<!--<script>`,
	`"]}');window.hacked=1;//`,
	"\u2028window.hacked = 1\u2029",
	`javascript:window.hacked=1`,
	`'"><svg onload=window.hacked=1>`,
	"\x00\xff\xfe\u202e",
	`__proto__`,
	`{{constructor.constructor("window.hacked=1")()}}`,
}

// hostile puts the texts wherever an event has a text.
func hostile(h capture.Handler) {
	for i, x := range hostileTexts {
		s := connect(h, uint64(i+1), time.Duration(i)*time.Millisecond, capture.Connection{
			Protocol: capture.Protocol(x), Found: x, Problem: x, Leg: x,
			TLS: &capture.TLS{ServerName: x, ALPN: x, Offered: []string{x}},
		})
		s.get(1, x, x, field(x, x))
		s.answer(1, "200", x, field("x", x))
		s.data(capture.Server, 1, 10, true)
		s.send(capture.Server, frame.GoAway{DebugData: []byte(x)}, 0)
		s.send(capture.Server, frame.AltSvc{Origin: []byte(x), Value: []byte(x)}, 0)
		f := s.send(capture.Server, frame.PriorityUpdate{PrioritizedID: 1, Value: []byte(x)}, 0)
		s.reqs[1].Authority, s.reqs[1].Priority, s.reqs[1].ResetBy = x, x, x
		s.reqs[1].GRPC = &capture.GRPC{Method: x, Message: x}
		s.done(1)
		s.finding(f, capture.Error, x, x, x)
		h(&capture.Stall{Conn: s.conn, Stream: 1, Window: capture.StreamWindow, Start: t0, End: t0.Add(1), EndedBy: x})
		h(&capture.Gap{Conn: s.conn, Time: t0, Octets: -1, Reason: x, Text: x})
		h(&capture.Message{
			Conn: s.conn, Stream: 3, Time: t0, Line: x, Fields: []capture.Field{field(x, x)}, Problems: []string{x},
		})
		s.end(x)
	}
}

// Nothing that a peer sends becomes more than text, wherever the page shows it.
func TestPageHostile(t *testing.T) {
	ctx := browser(t)
	c := open(t, ctx, pageFile(t, Options{Title: hostileTexts[0]}, hostile))
	elements := eval[int](t, ctx, `document.querySelectorAll("script, img, svg, iframe").length`)
	for i := range hostileTexts {
		do(t, ctx, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.getElementById("conn-%d").click()`, i+1)))
		for _, tab := range []string{"findings", "stalls", "requests", "frames"} {
			do(t, ctx, chromedp.Click(chromedp.CSS("#tab-"+tab)), settled())
		}
		click(t, ctx, 100, 0)
		frames := eval[int](t, ctx, `document.querySelectorAll("#fr .fr-row:not([hidden])").length`)
		for f := range frames {
			do(t, ctx, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.querySelectorAll("#fr .fr-row")[%d].click()`, f)),
				settled())
		}
		move := `document.getElementById("wf").dispatchEvent(new PointerEvent("pointermove",
			{clientX: 500, clientY: document.getElementById("wf").getBoundingClientRect().top + 37}))`
		do(t, ctx, chromedp.Evaluate[chromedp.Void](move), settled())
	}
	do(t, ctx, chromedp.Evaluate[chromedp.Void](`dispatchEvent(new Event("beforeprint"))`), settled())
	if got := eval[string](t, ctx, `typeof window.hacked`); got != "undefined" {
		t.Error("a text was run as a script")
	}
	if n := eval[int](t, ctx, `document.querySelectorAll("script, img, svg, iframe").length`); n != elements {
		t.Errorf("%d elements of scripts and images, want the %d of the page itself", n, elements)
	}
	shown := eval[string](t, ctx, `document.querySelector("#conn-1 b").textContent`)
	if shown != hostileTexts[0] {
		t.Errorf("the name of a server is shown as %q, want %q", shown, hostileTexts[0])
	}
	c.check(t)
}

// A page of 50,000 frames opens, scrolls, zooms and is searched without freezing: half of the
// pictures take no longer than the bounds. The slowest ones may, since tests share their machine.
func TestPageMany(t *testing.T) {
	ctx := browser(t)
	begin := time.Now()
	c := open(t, ctx, pageFile(t, Options{}, func(h capture.Handler) { many(h, 60_000) }))
	t.Logf("written, opened and drawn in %v", time.Since(begin))
	if got := text(t, ctx, "#bounds p"); got != "Only 50,000 of 60,000 frames are in this page." {
		t.Errorf("the bound is told as %q", got)
	}
	if n := eval[string](t, ctx, `document.getElementById("fr-grid").getAttribute("aria-rowcount")`); n != "50001" {
		t.Errorf("%s rows of frames, want 50,000 and the head", n)
	}
	if n := eval[int](t, ctx, `document.querySelectorAll("#fr .fr-row").length`); n > 100 {
		t.Errorf("%d elements for the rows of frames in sight", n)
	}
	for _, step := range []struct {
		what, script string
		bound        float64 // milliseconds
	}{
		{"scrolling the frames", `document.getElementById("fr").scrollTop = i * 23456`, 250},
		{"scrolling the rows", `document.getElementById("wf").scrollTop = i * 321`, 250},
		{"zooming in", `press("+")`, 250},
		{"zooming out", `press("-")`, 250},
		{"selecting rows", `press("ArrowDown")`, 250},
		{"filtering", `const f = document.getElementById("filter"); f.focus();
			f.value = i % 2 ? "" : "type:data objects/0001"; press("Enter", f)`, 2000},
	} {
		script := `(async () => { const times = [];
			const press = (key, e) => (e || document.body).dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
			document.activeElement.blur();
			for (let i = 0; i < 20; i++) {
				const t = performance.now(); ` + step.script + `;
				await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
				times.push(performance.now() - t);
			}
			return times.sort((a, b) => a - b)[times.length / 2]; })()`
		median, err := chromedp.Run(ctx, chromedp.Evaluate[float64](script, chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		t.Logf("%s: half of the pictures took at most %.0f ms", step.what, median)
		if median > step.bound {
			t.Errorf("%s: half of the pictures took at least %.0f ms, want at most %.0f", step.what, median, step.bound)
		}
	}
	shoot(t, ctx, "many")
	c.check(t)
}

// A page of a Server shows what comes while it is open, and a request that is not over.
func TestPageLive(t *testing.T) {
	ctx := browser(t)
	s := NewServer(ServerOptions{Token: NewToken(), Options: Options{Title: "live"}})
	ts := httptest.NewServer(s)
	defer ts.Close()
	defer s.Close()
	c := open(t, ctx, s.URL(strings.TrimPrefix(ts.URL, "http://")))
	if got := eval[string](t, ctx, "location.search"); got != "" {
		t.Errorf("the token stays in the address: %s", got)
	}
	do(t, ctx, chromedp.WaitVisible(chromedp.CSS("#live.live")))
	want(t, ctx, "before the first connection", "#facts .muted", "Waiting for the first connection …")
	sim := connect(s.Handle, 1, 0, capture.Connection{
		Protocol: capture.HTTP2, Client: netip.MustParseAddrPort("127.0.0.1:5000"),
		Server: netip.MustParseAddrPort("127.0.0.1:8443"),
	})
	sim.get(1, "GET", "/first")
	do(t, ctx, chromedp.WaitReady(chromedp.CSS(`#wf-grid[aria-rowcount="1"]`)))
	want(t, ctx, "frames", "#fr .fr-row", "1 0.000 → HEADERS 1 END_STREAM END_HEADERS 64 GET /first")
	sim.at(5).answer(1, "200", "text/plain")
	sim.data(capture.Server, 1, 5, true)
	sim.done(1)
	sim.at(6).get(3, "GET", "/second")
	do(t, ctx, chromedp.WaitReady(chromedp.CSS(`#wf-grid[aria-rowcount="2"]`)))
	want(t, ctx, "counts", "#tabs .n", "4\n0\n0\n2")
	c.check(t)
}

// A page that is open for long forgets the oldest frames instead of growing.
func TestPageLiveBound(t *testing.T) {
	ctx := browser(t)
	s := NewServer(ServerOptions{Token: NewToken(), Options: Options{MaxFrames: 300}})
	ts := httptest.NewServer(s)
	defer ts.Close()
	defer s.Close()
	c := open(t, ctx, s.URL(strings.TrimPrefix(ts.URL, "http://")))
	do(t, ctx, chromedp.WaitVisible(chromedp.CSS("#live.live")))
	sim := connect(s.Handle, 1, 0, capture.Connection{Protocol: capture.HTTP2})
	last := uint32(0)
	for range 40 {
		for range 10 {
			last += 2
			sim.at(float64(last)).get(last-1, "GET", fmt.Sprintf("/%d", last-1))
			sim.answer(last-1, "204", "")
			sim.done(last - 1)
		}
		shown := fmt.Sprintf(`document.getElementById("fr-space").textContent.includes("/%d")`, last-1)
		do(t, ctx, chromedp.Poll[chromedp.Void](shown))
	}
	n := eval[string](t, ctx, `document.getElementById("n-frames").textContent`)
	var frames int
	if err := json.Unmarshal([]byte(n), &frames); err != nil || frames > 360 || frames < 200 {
		t.Errorf("%s frames are kept, want about 300", n)
	}
	if diff := cmp.Diff("", text(t, ctx, ".problem")); diff != "" {
		t.Error(diff)
	}
	c.check(t)
}
