package model

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/sluice-go/sluice/client"
)

// exchange is a request, and what was seen of it on both sides. World.mu guards its fields.
type exchange struct {
	w   *testbed
	op  op
	id  int
	ctx context.Context
	end context.CancelFunc

	// The caller's side.
	ended   int // how often it has ended
	err     error
	body    io.ReadCloser
	got     int64
	eof     bool
	bodyErr error
	sources []*source

	// The handler's side.
	runs     int
	read     int64
	readEOF  bool
	asked    int64 // octets that were given to Write
	failed   error // of the first call for the response that failed
	declared int64 // Content-Length, -1 for none
	bare     bool  // the response has no body by its method or status
	returned bool
}

func (w *testbed) start(o op) {
	x := &exchange{w: w, op: o, id: o.num("id", 0), declared: -1}
	x.ctx, x.end = context.WithCancel(context.Background())
	if d := o.ms("timeout"); d > 0 {
		x.ctx, x.end = context.WithTimeout(context.Background(), d)
	}
	w.mu.Lock()
	w.exchanges = append(w.exchanges, x)
	w.byID[x.id] = x
	w.mu.Unlock()
	w.callers.Go(x.run)
}

func (x *exchange) source() *source {
	s := &source{
		w: x.w, id: x.id, size: int64(x.op.num("up", 0)), fail: int64(x.op.num("fail", -1)),
		step: x.op.num("chunk", 0), gap: x.op.ms("gap"),
	}
	if s.gap > 0 { // a body of 250,000 octets takes 10 s at most
		s.step = max(s.step, int(s.size/100))
	}
	x.w.mu.Lock()
	defer x.w.mu.Unlock()
	x.sources = append(x.sources, s)
	return s
}

func (x *exchange) request() *http.Request {
	method := x.op.str("m")
	r, err := http.NewRequestWithContext(x.ctx, method, fmt.Sprintf("http://model.test/%d", x.id), nil)
	if err != nil {
		x.w.failf("NewRequest: %v", err)
		return nil
	}
	r.Header.Set("X-Id", fmt.Sprint(x.id))
	if x.op.str("up") == "" {
		return r
	}
	r.Body, r.ContentLength = x.source(), -1
	if x.op.num("len", 0) != 0 {
		// A body that ends before the length that was stated for it must not arrive as a whole one.
		r.ContentLength = int64(x.op.num("up", 0) + x.op.num("short", 0))
	}
	if x.op.num("getbody", 0) != 0 {
		r.GetBody = func() (io.ReadCloser, error) { return x.source(), nil }
	}
	if x.op.num("trailer", 0) != 0 {
		r.Trailer = http.Header{"X-Sum": {fmt.Sprint(x.id)}}
	}
	if x.op.num("expect", 0) != 0 {
		r.Header.Set("Expect", "100-continue")
	}
	return r
}

func (x *exchange) run() {
	defer x.end()
	resp, err := x.w.rt.RoundTrip(x.request())
	x.w.steps.Add(1)
	if (resp == nil) == (err == nil) {
		x.w.failf("request %d: RoundTrip returned %v and the error %v", x.id, resp, err)
		return
	}
	x.w.mu.Lock()
	x.ended++
	x.err = err
	if resp != nil {
		x.body = resp.Body
	}
	x.w.mu.Unlock()
	if err != nil {
		x.checkError(err)
		return
	}
	x.checkHead(resp)
	x.consume(resp)
}

func (x *exchange) checkError(err error) {
	var ce *client.Error
	x.w.mu.Lock()
	runs := x.runs
	x.w.mu.Unlock()
	if errors.As(err, &ce) && ce.Unprocessed && runs > 0 {
		x.w.failf("request %d: a handler ran, and the error says that nothing was processed: %v", x.id, err)
	}
}

func (x *exchange) checkHead(resp *http.Response) {
	if got := resp.Header.Get("X-Id"); got != fmt.Sprint(x.id) {
		x.w.failf("request %d: got the response %d to request %q, %v", x.id, resp.StatusCode, got, resp.Header)
	}
	if want := x.status(); resp.StatusCode != want {
		x.w.failf("request %d: status %d, want %d", x.id, resp.StatusCode, want)
	}
}

// status returns the status that the handler's calls lead to.
func (x *exchange) status() int {
	for _, t := range x.op.calls("srv") {
		switch t.call {
		case 'h':
			return t.n
		case 'w', 'c', 'f':
			return http.StatusOK
		}
	}
	return http.StatusOK
}

// consume does the caller's calls: r reads octets, s sleeps for milliseconds, c closes the
// body, x ends the context, j closes the body from another goroutine. In the end the rest is read
// and the body closed.
func (x *exchange) consume(resp *http.Response) {
	body := resp.Body
	if x.w.mutate == "unread" {
		return
	}
	for _, t := range x.op.calls("cli") {
		x.w.steps.Add(1)
		switch t.call {
		case 'r':
			x.take(resp, int64(t.n))
		case 's':
			time.Sleep(time.Duration(t.n) * time.Millisecond)
		case 'x':
			x.end()
		case 'j':
			x.w.callers.Go(func() { _ = body.Close() })
		case 'c':
			_ = body.Close()
			if n, err := body.Read(make([]byte, 1)); err == nil && n > 0 {
				x.w.failf("request %d: a body that is closed can be read", x.id)
			}
			return
		}
	}
	x.take(resp, 1<<40)
	if err := body.Close(); err != nil && x.clean() {
		x.w.failf("request %d: Close of its body: %v", x.id, err)
	}
}

// take reads up to n octets, and checks each.
func (x *exchange) take(resp *http.Response, n int64) {
	buf := make([]byte, 7000)
	for n > 0 && x.bodyErr == nil {
		k, err := resp.Body.Read(buf[:min(n, int64(len(buf)))])
		x.w.steps.Add(1)
		if diff := compare(buf[:k], downBody(x.id), x.got); diff != nil {
			x.w.failf("request %d: of the response, %v", x.id, diff)
		}
		x.w.mu.Lock()
		x.got += int64(k)
		x.bodyErr = err
		x.eof = err == io.EOF // the bare error only is an end
		x.w.mu.Unlock()
		n -= int64(k)
	}
	if x.eof && has(x.op.calls("srv"), "t") && !x.bare && resp.Trailer.Get("X-Sum") != fmt.Sprint(x.id) {
		x.w.failf("request %d: the trailers of the whole response are %v", x.id, resp.Trailer)
	}
}
