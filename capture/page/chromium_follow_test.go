package page

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/sluice-go/sluice/capture"
)

// A livePage is a page that shows the connection of a running program, as requests come.
type livePage struct {
	t       *testing.T
	ctx     context.Context
	server  atomic.Pointer[Server]
	sim     *simulation
	last    uint32 // stream
	conns   uint64
	console *console
}

func newLivePage(t *testing.T, o Options) *livePage {
	t.Helper()
	p := &livePage{t: t, ctx: browser(t)}
	s := NewServer(ServerOptions{Token: NewToken(), Options: o})
	p.server.Store(s)
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.server.Load().ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		p.server.Load().Close()
		ts.Close()
	})
	p.console = open(t, p.ctx, s.URL(strings.TrimPrefix(ts.URL, "http://")))
	do(t, p.ctx, chromedp.WaitVisible(chromedp.CSS("#live.live")))
	p.begin(s)
	p.await(`document.getElementById("conn-count").textContent === "1"`) // and is shown
	return p
}

// begin has the connection begin.
func (p *livePage) begin(s *Server) {
	p.sim, p.last, p.conns = connect(s.Handle, 1, 0, capture.Connection{Protocol: capture.HTTP2}), 0, 1
}

// send has n requests come, of two frames each, and waits until the page has them: that has another
// connection then.
func (p *livePage) send(n int) {
	p.t.Helper()
	for i := range n {
		p.last += 2
		p.sim.at(float64(p.last)).get(p.last-1, "GET", fmt.Sprintf("/%d", p.last-1))
		p.sim.answer(p.last-1, "204", "")
		p.sim.done(p.last - 1)
		if i == n-1 || i%50 == 49 { // no more at once than a viewer may be behind
			p.conns++
			connect(p.server.Load().Handle, p.conns, 0, capture.Connection{Protocol: capture.HTTP2})
			p.await(fmt.Sprintf(`document.getElementById("conn-count").textContent === "%d"`, p.conns))
		}
	}
}

// await waits until an expression holds.
func (p *livePage) await(expression string) {
	p.t.Helper()
	do(p.t, p.ctx, chromedp.Poll[chromedp.Void](expression), settled())
}

// run runs a script, and has the page drawn.
func (p *livePage) run(script string) {
	p.t.Helper()
	do(p.t, p.ctx, chromedp.Evaluate[chromedp.Void](script), settled())
}

const frBox = `document.getElementById("fr")`

// scroll scrolls the list of frames to a row.
func (p *livePage) scroll(row int) {
	p.t.Helper()
	p.run(fmt.Sprintf(frBox+`.scrollTop = %d`, 22*row))
}

// wheel turns the wheel over the list of frames, up where by is negative.
func (p *livePage) wheel(by float64) {
	p.t.Helper()
	at := eval[[]float64](p.t, p.ctx, `(() => {
		const r = `+frBox+`.getBoundingClientRect();
		return [r.left + 50, r.top + 50];
	})()`)
	do(p.t, p.ctx, chromedp.MouseEvent(chromedp.MouseWheel, at[0], at[1], func(e *input.DispatchMouseEventParams) {
		e.DeltaX, e.DeltaY = 0.01, by // Chromium wants both, and 0 is left out
	}), settled(), settled())
}

// first is the row at the top of the list, as the number of its frame.
func (p *livePage) first() int {
	p.t.Helper()
	return eval[int](p.t, p.ctx, `+[...document.querySelectorAll("#fr-space .fr-row")].filter((r) => !r.hidden).find((r) =>
		r.getBoundingClientRect().bottom > `+frBox+`.getBoundingClientRect().top + 1).firstChild.textContent`)
}

// below is how many pixels of the list are below the box.
func (p *livePage) below() float64 {
	p.t.Helper()
	return eval[float64](p.t, p.ctx, frBox+`.scrollHeight - `+frBox+`.clientHeight - `+frBox+`.scrollTop`)
}

// follows fails the test where the end of the list is not kept in sight, or is.
func (p *livePage) follows(what string, want bool) {
	p.t.Helper()
	p.send(30)
	if below := p.below(); (math.Abs(below) <= 1) != want {
		p.t.Errorf("%s: %v pixels are below what is in sight; follows: %v", what, below, want)
	}
}

// Somebody who scrolls up is left alone, however slowly; the height of the box says nothing.
func TestPageLiveScroll(t *testing.T) {
	p := newLivePage(t, Options{})
	p.send(100)
	p.follows("at first", true)
	for range 8 {
		p.wheel(-6)
	}
	p.await(frBox + `.scrollHeight - ` + frBox + `.clientHeight - ` + frBox + `.scrollTop >= 40`) // of 48
	p.follows("slowly up", false)
	p.scroll(1e6)
	p.follows("down to the end", true)
	// The box is made smaller when the page has scrolled, and has not been told so yet.
	p.run(`const box = document.getElementById("fr"), split = document.getElementById("split"), before = box.scrollTop;
		const down = () => split.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowDown"}));
		const watch = setInterval(() => {
			if (box.scrollTop === before) return;
			clearInterval(watch);
			for (let i = 0; i < 5; i++) down();
		}, 1);`)
	p.follows("another height", true)
	p.run(`document.getElementById("tab-requests").click()`)
	p.send(30)
	p.run(`document.getElementById("tab-frames").click()`)
	p.follows("out of sight and back", true)
	p.console.check(t)
}

// The frames that somebody reads stay where they are when the oldest are forgotten, and when those
// of a row have been looked at.
func TestPageLiveKeepsPlace(t *testing.T) {
	p := newLivePage(t, Options{MaxFrames: 300})
	p.send(170) // 340 frames
	place := func(what string, want int) {
		t.Helper()
		if got := p.first(); got != want {
			t.Errorf("%s: the first frame in sight is %d, want %d", what, got, want)
		}
	}
	p.scroll(200)
	place("scrolled", 201)
	p.send(20) // 380: 80 are forgotten
	place("80 forgotten", 201)
	p.scroll(290 - 15) // from where the end of the list would be out of it with 70 fewer
	read := p.first()
	p.send(40)
	place("more forgotten", read)
	p.follows("more forgotten", false)
	place("and again", read)
	click(t, p.ctx, 100, 0)
	p.await(`!document.getElementById("scope-clear").hidden`)
	p.run(`document.getElementById("scope-clear").click()`)
	place("a row's frames and back", read)
	p.follows("a row's frames and back", false)
	p.scroll(1e6)
	click(t, p.ctx, 100, 0)
	p.await(`!document.getElementById("scope-clear").hidden`)
	p.run(`document.getElementById("scope-clear").click()`)
	p.follows("a row's frames while it followed", true)
	p.scroll(0)
	p.send(200)
	if first := p.first(); first <= int(p.last)-400 {
		t.Errorf("frame %d is in sight, and was to be forgotten", first)
	}
	p.console.check(t)
}

// A program that begins anew is followed anew, even where the page is drawn late.
func TestPageLiveBeginsAnew(t *testing.T) {
	p := newLivePage(t, Options{})
	p.send(100)
	p.run(`const frame = requestAnimationFrame; window.requestAnimationFrame = (f) => setTimeout(() => frame(f), 200)`)
	old := p.server.Load()
	s := NewServer(old.o)
	p.begin(s)
	for range 60 {
		p.last += 2
		p.sim.at(float64(p.last)).get(p.last-1, "GET", fmt.Sprintf("/anew/%d", p.last-1))
		p.sim.answer(p.last-1, "204", "")
	}
	p.server.Store(s)
	old.Close()
	p.await(`document.getElementById("n-frames").textContent === "120"`)
	p.run(`window.requestAnimationFrame = frame`)
	p.follows("anew", true)
	p.console.check(t)
}
