//go:build !nethttpomithttp2

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// traceScript is one request and what its server does.
type traceScript struct {
	name string
	req  func(t *testing.T) *http.Request
	do   func(p *peer, first h2test.Block, f *testDialer)
}

func traceGet(t *testing.T) *http.Request { return newRequest(t, "GET", testURL, nil) }

func tracePost(t *testing.T) *http.Request {
	return newRequest(t, "POST", testURL, strings.NewReader("body"))
}

func traceUpload(t *testing.T) *http.Request { return newRequest(t, "POST", testURL, endless{}) }

func traceExpect(t *testing.T) *http.Request {
	req := newRequest(t, "POST", testURL, streamOnly{strings.NewReader("body")})
	req.Header.Set("Expect", "100-continue")
	return req
}

// answer waits for the end of a request and answers it.
func (p *peer) answer(h h2test.Block, status int) {
	for end := h.EndStream; !end; {
		switch f := p.next().(type) {
		case frame.Data:
			end = f.EndStream
		case nil:
			return
		}
	}
	synctest.Wait()
	p.send(h2test.Response(h.StreamID, status).End())
}

var traceScripts = []traceScript{
	{"GET", traceGet, func(p *peer, h h2test.Block, _ *testDialer) { p.answer(h, 200) }},
	{"GET with a body", traceGet, func(p *peer, h h2test.Block, _ *testDialer) {
		p.send(h2test.Response(h.StreamID, 200), h2test.Data(h.StreamID, "x"))
		synctest.Wait()
		p.send(h2test.DataEnd(h.StreamID, "y"))
	}},
	{"early hints", traceGet, func(p *peer, h h2test.Block, _ *testDialer) {
		p.send(h2test.Response(h.StreamID, 103))
		synctest.Wait()
		p.send(h2test.Response(h.StreamID, 103), h2test.Response(h.StreamID, 200).End())
	}},
	{"100 unasked", traceGet, func(p *peer, h h2test.Block, _ *testDialer) {
		p.send(h2test.Response(h.StreamID, 100), h2test.Response(h.StreamID, 200).End())
	}},
	{"hook says no", func(t *testing.T) *http.Request {
		req := traceGet(t)
		req.Header.Set("X-Refuse", "1xx")
		return req
	}, func(p *peer, h h2test.Block, _ *testDialer) { p.send(h2test.Response(h.StreamID, 103)) }},
	{"POST in memory", tracePost, func(p *peer, h h2test.Block, _ *testDialer) { p.answer(h, 200) }},
	{"POST of a stream", func(t *testing.T) *http.Request {
		return newRequest(t, "POST", testURL, streamOnly{strings.NewReader("body")})
	}, func(p *peer, h h2test.Block, _ *testDialer) { p.answer(h, 200) }},
	{"100-continue", traceExpect, func(p *peer, h h2test.Block, _ *testDialer) {
		synctest.Wait()
		p.send(h2test.Response(h.StreamID, 100))
		p.answer(h, 200)
	}},
	{"100-continue refused", traceExpect, func(p *peer, h h2test.Block, _ *testDialer) {
		synctest.Wait()
		p.send(h2test.Response(h.StreamID, 417).End())
	}},
	{"100-continue not answered", traceExpect, func(p *peer, h h2test.Block, _ *testDialer) {
		time.Sleep(2 * time.Second)
		p.answer(h, 200)
	}},
	{"refused", traceGet, func(p *peer, h h2test.Block, _ *testDialer) {
		p.send(h2test.RST(h.StreamID, frame.RefusedStream))
		p.answer(p.nextRequest(), 200)
	}},
	{"refused, POST", tracePost, func(p *peer, h h2test.Block, _ *testDialer) {
		p.skipToEnd()
		p.send(h2test.RST(h.StreamID, frame.RefusedStream))
		p.answer(p.nextRequest(), 200)
	}},
	{
		"reset",
		traceGet,
		func(p *peer, h h2test.Block, _ *testDialer) { p.send(h2test.RST(h.StreamID, frame.InternalError)) },
	},
	{"reset of an upload", traceUpload, func(p *peer, h h2test.Block, _ *testDialer) {
		synctest.Wait()
		p.send(h2test.RST(h.StreamID, frame.InternalError))
	}},
	{"end of an upload", traceUpload, func(p *peer, h h2test.Block, _ *testDialer) {
		synctest.Wait()
		p.send(h2test.Response(h.StreamID, 413).End())
	}},
	{"body fails", func(t *testing.T) *http.Request {
		return newRequest(t, "POST", testURL, &failingReader{errors.New("mine")})
	}, func(*peer, h2test.Block, *testDialer) {}},
	{"cancelled", func(t *testing.T) *http.Request {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		t.Cleanup(cancel)
		return traceGet(t).WithContext(ctx)
	}, func(*peer, h2test.Block, *testDialer) { time.Sleep(2 * time.Second) }},
	{"upload cancelled", func(t *testing.T) *http.Request {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		t.Cleanup(cancel)
		return traceUpload(t).WithContext(ctx)
	}, func(*peer, h2test.Block, *testDialer) { time.Sleep(2 * time.Second) }},
}

// skipToEnd passes over the body of a request.
func (p *peer) skipToEnd() {
	for {
		if d, ok := p.next().(frame.Data); !ok || d.EndStream {
			return
		}
	}
}

// transcriptOf runs a script and returns the calls of the hooks.
func (s traceScript) transcriptOf(t *testing.T, f *testDialer, rt http.RoundTripper) []string {
	n := &traceNotes{}
	req := s.req(t)
	trace := tracer(n)
	trace.Got1xxResponse = func(code int, _ textproto.MIMEHeader) error {
		n.add(fmt.Sprint("Got1xx ", code))
		if req.Header.Get("X-Refuse") != "" {
			return errors.New("refused")
		}
		return nil
	}
	trace.PutIdleConn = func(error) { n.add("PutIdleConn") }
	trace.WroteRequest = func(i httptrace.WroteRequestInfo) { n.add(fmt.Sprint("WroteRequest, failed: ", i.Err != nil)) }
	done := make(chan struct{})
	go func() {
		defer close(done)
		resp, err := rt.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}()
	p := f.accept()
	h := p.request()
	synctest.Wait() // until the client has said that it was written
	s.do(p, h, f)
	<-done
	time.Sleep(3 * time.Second) // for which net/http waits for 100 (Continue) in vain
	rt.(interface{ CloseIdleConnections() }).CloseIdleConnections()
	f.close()
	_ = p.nc.Close()
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.list
}

// Hooks are called as net/http calls them: as often, and in the same order.
func TestTraceAsNetHTTP(t *testing.T) {
	for _, s := range traceScripts {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newTestDialer(t, retrying, func(t *Transport) { t.ExpectContinueTimeout = time.Second })
				ours := s.transcriptOf(t, f, f.tr)
				f = newTestDialer(t)
				theirs := s.transcriptOf(t, f, &http.Transport{
					DialContext: f.l.Dial, Protocols: h2cOnly(), ExpectContinueTimeout: time.Second,
				})
				if d := cmp.Diff(theirs, ours); d != "" {
					t.Errorf("(-net/http +ours):\n%s", d)
				}
			})
		})
	}
}
