package page

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/sluice-go/sluice/capture"
)

// A live page keeps the last frame in sight, even where the list is drawn between the arrival of
// frames and the refresh for them, until somebody scrolls away.
func TestPageLiveFollows(t *testing.T) {
	ctx := browser(t)
	s := NewServer(ServerOptions{Token: NewToken()})
	ts := httptest.NewServer(s)
	defer ts.Close()
	defer s.Close()
	c := open(t, ctx, s.URL(strings.TrimPrefix(ts.URL, "http://")))
	do(t, ctx, chromedp.WaitVisible(chromedp.CSS("#live.live")))
	// Each picture draws the list, as a resize or the pointer would have it do.
	do(t, ctx, chromedp.Evaluate[chromedp.Void](
		`(function draw() { dispatchEvent(new Event("resize")); requestAnimationFrame(draw); })()`))
	sim := connect(s.Handle, 1, 0, capture.Connection{Protocol: capture.HTTP2})
	last := uint32(0)
	more := func() {
		for range 20 {
			last += 2
			sim.at(float64(last)).get(last-1, "GET", fmt.Sprintf("/%d", last-1))
			sim.answer(last-1, "204", "")
			sim.done(last - 1)
		}
	}
	inSight := func(stream uint32) {
		t.Helper()
		do(t, ctx, chromedp.Poll[chromedp.Void](
			fmt.Sprintf(`document.getElementById("fr-space").textContent.includes("GET /%d")`, stream)))
	}
	counted := func() {
		t.Helper()
		do(t, ctx, chromedp.Poll[chromedp.Void](
			fmt.Sprintf(`document.getElementById("n-frames").textContent === "%d"`, last)))
	}
	for range 5 {
		more()
		counted()
		inSight(last - 1)
	}
	scroll := func(to string) {
		t.Helper()
		do(t, ctx, chromedp.Evaluate[chromedp.Void](`document.getElementById("fr").scrollTop = `+to), settled())
	}
	scroll("0")
	more()
	counted()
	inSight(1)
	scroll("1e6")
	inSight(last - 1)
	more()
	counted()
	inSight(last - 1)
	c.check(t)
}
