package page

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture"
)

func allScenes(h capture.Handler) {
	pageLoad(h)
	otherConns(h)
}

// click clicks into the waterfall: x pixels from its left, on the row with the given index.
func click(t *testing.T, ctx context.Context, x, row int) {
	t.Helper()
	box := eval[[]float64](t, ctx, `(() => { const wf = document.getElementById("wf"), r = wf.getBoundingClientRect();
		return [r.left, r.top - wf.scrollTop]; })()`)
	do(t, ctx, chromedp.MouseClickXY(box[0]+float64(x), box[1]+26+22*float64(row)+11))
}

// text is the text of elements, one line for each that is in sight.
func text(t *testing.T, ctx context.Context, selector string) string {
	t.Helper()
	return eval[string](t, ctx, `[...document.querySelectorAll(`+strconv.Quote(selector)+`)]
		.filter((e) => e.offsetParent !== null)
		.map((e) => [...(e.children.length ? e.children : [e])].map((c) => c.textContent.trim()).join(" "))
		.join("\n")`)
}

// want fails the test where the text of elements is another one.
func want(t *testing.T, ctx context.Context, what, selector, wanted string) {
	t.Helper()
	if diff := cmp.Diff(wanted, text(t, ctx, selector)); diff != "" {
		t.Errorf("%s: -want +got\n%s", what, diff)
	}
}

// keys types keys, which go to what has the focus.
func keys(t *testing.T, ctx context.Context, k string) {
	t.Helper()
	do(t, ctx, chromedp.KeyEvent(k))
}

// The page shows the connections, a row for each request, and the frames of the row that is
// clicked.
func TestPage(t *testing.T) {
	ctx := browser(t)
	c := open(t, ctx, pageFile(t, Options{Title: "site.pcapng"}, allScenes))
	if title := eval[string](t, ctx, "document.title"); title != "site.pcapng – sluice inspect" {
		t.Errorf("title %q", title)
	}
	want(t, ctx, "connections", ".conn b", "www.example.com\nconnectivity.example\ntelemetry.example\n198.51.100.23:8443")
	want(t, ctx, "counts", "#tabs .n", "154\n3\n9\n18")
	if n := eval[string](t, ctx, `document.getElementById("wf-grid").getAttribute("aria-rowcount")`); n != "18" {
		t.Errorf("%s rows, want 18", n)
	}
	click(t, ctx, 100, 5)
	want(t, ctx, "scope", "#scope", "Stream 9: GET /api/session")
	want(t, ctx, "frames of stream 9", "#fr .fr-row", strings.Join([]string{
		"19 119.200 → HEADERS 9 END_STREAM END_HEADERS 64 GET /api/session",
		"21 151.000 ← HEADERS 9 END_HEADERS 41 404 application/json",
		"22 151.300 ← DATA 9 END_STREAM 212 ",
	}, "\n"))
	do(t, ctx, chromedp.Click(chromedp.CSS("#fr .fr-row")))
	want(t, ctx, "the request's fields", "#detail .fields tr", strings.Join([]string{
		":method GET", ":scheme https", ":authority www.example.com", ":path /api/session",
		"user-agent Mozilla/5.0 (X11; Linux x86_64)", "accept-encoding gzip, br, zstd", "cookie hiddennever indexed",
	}, "\n"))
	click(t, ctx, 900, 12) // on the bar of the video
	want(t, ctx, "scope", "#scope", "Stream 23: GET /media/intro.mp4?access_token=(hidden)&quality=1080p")
	keys(t, ctx, kb.Escape)
	want(t, ctx, "scope", "#scope", "All frames of the connection")
	if n := eval[int](t, ctx, `performance.getEntriesByType("resource").length`); n != 0 {
		t.Errorf("the page has requested %d resources", n)
	}
	c.check(t)
}

// A finding leads to its frame, and a stall to the frame that ended it.
func TestPageFindings(t *testing.T) {
	ctx := browser(t)
	c := open(t, ctx, pageFile(t, Options{}, allScenes))
	keys(t, ctx, "2")
	want(t, ctx, "sections", "#panel-findings .section a", "RFC 9113 §6.9.1\nRFC 9113 §5.1\nRFC 9113 §5.1")
	link := eval[string](t, ctx, `document.querySelector("#panel-findings .section a").href`)
	if link != "https://www.rfc-editor.org/rfc/rfc9113#section-6.9.1" {
		t.Errorf("link to %s", link)
	}
	do(t, ctx, chromedp.Click(chromedp.CSS("#panel-findings li:nth-child(2) .jump")))
	want(t, ctx, "selected frame", `#fr .fr-row[aria-selected="true"]`, "125 963.400 ← DATA 23  8,000 ")
	want(t, ctx, "finding beside the frame", "#detail .finding", "warning RFC 9113 §5.1")
	keys(t, ctx, "3")
	do(t, ctx, chromedp.Click(chromedp.CSS("#panel-stalls tbody tr:nth-child(4)")))
	want(t, ctx, "selected frame", `#fr .fr-row[aria-selected="true"]`,
		"83 688.000 → WINDOW_UPDATE 0  4 increment 188700")
	want(t, ctx, "what it left", "#detail dl dd:last-child", "188,700 for the server")
	c.check(t)
}

// Everything can be done by keyboard, and the row that is selected is told to assistive technology.
func TestPageKeyboard(t *testing.T) {
	ctx := browser(t)
	c := open(t, ctx, pageFile(t, Options{}, allScenes))
	active := `document.getElementById("wf-active").textContent`
	do(t, ctx, chromedp.Focus(chromedp.CSS("#wf")))
	keys(t, ctx, kb.ArrowDown+kb.ArrowDown+kb.ArrowDown)
	got := eval[string](t, ctx, active)
	if !strings.HasPrefix(got, "stream 3. method GET. target /assets/app.js. status 200. ") {
		t.Errorf("three rows down: %q", got)
	}
	keys(t, ctx, kb.End)
	if got := eval[string](t, ctx, active); !strings.HasPrefix(got, "stream 33. method HEAD.") {
		t.Errorf("the last row: %q", got)
	}
	keys(t, ctx, kb.Home+kb.Enter+kb.ArrowDown+kb.ArrowDown)
	want(t, ctx, "second frame of stream 1", `#fr .fr-row[aria-selected="true"]`,
		"7 92.000 ← PUSH_PROMISE 1 END_HEADERS 38 GET /assets/site.css")
	keys(t, ctx, kb.Escape+"]")
	want(t, ctx, "next connection", "#facts h2", "connectivity.example")
	want(t, ctx, "heads of HTTP/1.1", "#fr .fr-row", "1 13.000 → REQUEST 1   line GET /generate_204 HTTP/1.1\n"+
		"2 41.000 ← RESPONSE 1   line HTTP/1.1 204 No Content")
	keys(t, ctx, "]")
	want(t, ctx, "why nothing is shown", ".problem", "No key for client random 5f3a…c1: the key log has 14 others.")
	keys(t, ctx, "]")
	do(t, ctx, chromedp.Click(chromedp.CSS("#fr .fr-row")))
	want(t, ctx, "unknown fields are marked", "#detail .fields tr",
		":method GET\n(unknown) unknown\n:path /v2/itemstainted")
	keys(t, ctx, "[[[/")
	// The key that moves the focus arrives as a character, too, but from a keyboard it would not.
	do(t, ctx, chromedp.Evaluate[chromedp.Void](`document.activeElement.value = ""`))
	keys(t, ctx, "status:4xx"+kb.Enter)
	want(t, ctx, "rows with a status of 4xx", "#n-requests", "1")
	keys(t, ctx, kb.Escape+"?")
	want(t, ctx, "help", "#help-title", "Keys and filters")
	keys(t, ctx, kb.Escape)
	want(t, ctx, "no help", "#help-title", "")
	c.check(t)
}

// The waterfall is zoomed and panned; windows and rows share its stretch of time.
func TestPageZoom(t *testing.T) {
	ctx := browser(t)
	c := open(t, ctx, pageFile(t, Options{}, allScenes))
	picture := `document.getElementById("wf-canvas").toDataURL()`
	whole := eval[string](t, ctx, picture)
	keys(t, ctx, "+++")
	zoomed := eval[string](t, ctx, picture)
	keys(t, ctx, kb.ArrowRight)
	panned := eval[string](t, ctx, picture)
	if zoomed == whole || panned == zoomed {
		t.Error("keys do not zoom or pan")
	}
	keys(t, ctx, "0")
	if eval[string](t, ctx, picture) != whole {
		t.Error("0 does not show all of the time again")
	}
	do(t, ctx, chromedp.Click(chromedp.CSS("#zoom-in")))
	if eval[string](t, ctx, picture) == whole {
		t.Error("the button does not zoom")
	}
	c.check(t)
}

// The pointer drags rows and time, marks a stretch on the axis, and zooms with its wheel.
func TestPagePointer(t *testing.T) {
	ctx := browser(t)
	c := open(t, ctx, pageFile(t, Options{}, allScenes))
	picture := `document.getElementById("wf-canvas").toDataURL()`
	top := eval[float64](t, ctx, `document.getElementById("wf").getBoundingClientRect().top`)
	drag := func(x0, y0, x1, y1 float64) {
		t.Helper()
		do(t, ctx, chromedp.MouseEvent(chromedp.MousePressed, x0, top+y0, chromedp.ButtonLeft),
			chromedp.MouseEvent(chromedp.MouseMoved, (x0+x1)/2, top+(y0+y1)/2, chromedp.ButtonLeft),
			chromedp.MouseEvent(chromedp.MouseMoved, x1, top+y1, chromedp.ButtonLeft),
			chromedp.MouseEvent(chromedp.MouseReleased, x1, top+y1, chromedp.ButtonLeft),
			chromedp.MouseEvent(chromedp.MouseMoved, 100, 700)) // away from the waterfall
	}
	steps := []struct {
		what string
		do   func()
	}{
		{"nothing", func() {}},
		{"dragging the time", func() { drag(1000, 200, 800, 200) }},
		{"dragging the rows", func() { drag(1000, 200, 1000, 150) }},
		{"marking a stretch of the axis", func() { drag(900, 10, 1000, 10) }},
		{"the wheel over the axis", func() {
			do(t, ctx, chromedp.Evaluate[chromedp.Void](`document.getElementById("wf").dispatchEvent(new WheelEvent("wheel",
				{deltaY: 100, clientX: 900, clientY: document.getElementById("wf").getBoundingClientRect().top + 5}))`))
		}},
	}
	before := ""
	for _, s := range steps {
		s.do()
		now := eval[string](t, ctx, picture)
		if now == before {
			t.Errorf("%s changes nothing", s.what)
		}
		before = now
	}
	want(t, ctx, "a drag is no click", "#scope", "All frames of the connection")
	c.check(t)
}

// Light and dark follow the system, and the key changes between them.
func TestPageTheme(t *testing.T) {
	ctx := browser(t)
	scheme := func(v string) chromedp.Action[chromedp.Void] {
		return func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v}},
			})
			return chromedp.Void{}, err
		}
	}
	do(t, ctx, scheme("dark"))
	c := open(t, ctx, pageFile(t, Options{}, allScenes))
	background := `getComputedStyle(document.body).backgroundColor`
	dark, light := "rgb(16, 19, 23)", "rgb(244, 245, 247)"
	for _, step := range []struct{ what, key, want string }{
		{"the system is dark", "", dark}, {"the key", "d", light}, {"the key again", "d", dark},
	} {
		keys(t, ctx, step.key)
		if got := eval[string](t, ctx, background); got != step.want {
			t.Errorf("%s: background %s, want %s", step.what, got, step.want)
		}
	}
	keys(t, ctx, "d")
	do(t, ctx, scheme("light"))
	if got := eval[string](t, ctx, background); got != light {
		t.Errorf("the system is light: background %s", got)
	}
	c.check(t)
}

// Paper has the waterfall in light colours and tables, also of a page that is dark.
func TestPagePrint(t *testing.T) {
	ctx := browser(t)
	c := open(t, ctx, pageFile(t, Options{}, allScenes))
	keys(t, ctx, "d")
	_, err := chromedp.Run(ctx, chromedp.Evaluate[chromedp.Void](`dispatchEvent(new Event("beforeprint"))`))
	if err != nil {
		t.Fatal(err)
	}
	got := eval[[]int](t, ctx, `["canvas", ".findings li", "table"]
		.map((s) => document.querySelectorAll("#print " + s).length)`)
	if diff := cmp.Diff([]int{1, 3, 3}, got); diff != "" {
		t.Errorf("waterfall, findings, tables: -want +got\n%s", diff)
	}
	corner := `[...document.querySelector("#print canvas").getContext("2d").getImageData(2, 2, 1, 1).data].join()`
	if got := eval[string](t, ctx, corner); got != "255,255,255,255" {
		t.Errorf("the waterfall's axis is %s, want white", got)
	}
	if screenshots != "" {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
		if err != nil {
			t.Fatal(err)
		}
		shoot(t, ctx, "print")
	}
	pdf, err := chromedp.Run(ctx, chromedp.PrintToPDF())
	if err != nil || !strings.HasPrefix(string(pdf), "%PDF") {
		t.Errorf("printing: %v", err)
	}
	do(t, ctx, chromedp.Evaluate[chromedp.Void](`dispatchEvent(new Event("afterprint"))`))
	if n := eval[int](t, ctx, `document.getElementById("print").children.length`); n != 0 {
		t.Errorf("%d elements are left behind by printing", n)
	}
	c.check(t)
}

// Pictures of the page are written where SLUICE_SCREENSHOTS is a directory.
func TestPageScreenshots(t *testing.T) {
	if screenshots == "" {
		t.Skip("SLUICE_SCREENSHOTS is no directory")
	}
	ctx := browser(t)
	open(t, ctx, pageFile(t, Options{Title: "site.pcapng"}, allScenes))
	shoot(t, ctx, "light")
	click(t, ctx, 100, 12)
	do(t, ctx, chromedp.Focus(chromedp.CSS("#fr-grid")))
	keys(t, ctx, kb.ArrowDown)
	do(t, ctx, chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`))
	shoot(t, ctx, "inspect") // docs/inspect.png
	keys(t, ctx, "d")
	shoot(t, ctx, "dark")
	for _, step := range []struct{ key, name string }{
		{"2", "findings"}, {"3", "stalls"}, {"4", "requests"}, {"1?", "help"},
	} {
		keys(t, ctx, step.key)
		shoot(t, ctx, step.name)
	}
	keys(t, ctx, kb.Escape+"d")
	do(t, ctx, chromedp.MouseEvent(chromedp.MouseMoved, 1080, 430))
	shoot(t, ctx, "tip")
	do(t, ctx, chromedp.EmulateViewport(700, 900))
	shoot(t, ctx, "narrow")
}
