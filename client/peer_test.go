package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// A peer is one connection of a server that the test plays, frame by frame, in a bubble of
// synctest.
type peer struct {
	t     *testing.T
	nc    memconn.End
	r     *bufio.Reader
	codec *h2test.Codec

	silent bool // it answers no PING
}

// testDialer is where the Transport under test dials.
type testDialer struct {
	t  *testing.T
	l  *memconn.Listener
	tr *Transport
}

func newTestDialer(t *testing.T, adjust ...func(*Transport)) *testDialer {
	return newTestDialerOn(t, testLink, adjust...)
}

func newTestDialerOn(t *testing.T, o memconn.Options, adjust ...func(*Transport)) *testDialer {
	needsNoSockets(t)
	o.Server = memconn.Socket // that end is the test's
	f := &testDialer{t: t, l: memconn.Listen(o)}
	f.tr = &Transport{DialContext: f.l.Dial, Protocols: h2cOnly(), Proxy: noProxy, MaxAttempts: 1}
	for _, a := range adjust {
		a(f.tr)
	}
	return f
}

// accept waits for a connection and exchanges prefaces.
func (f *testDialer) accept(s ...frame.Setting) *peer {
	f.t.Helper()
	p := f.acceptSilent()
	p.send(frame.NewSettings(s...), frame.Settings{Ack: true})
	return p
}

// acceptSilent says nothing.
func (f *testDialer) acceptSilent() *peer {
	f.t.Helper()
	nc, err := f.l.Accept()
	if err != nil {
		f.t.Fatal(err)
	}
	p := newPeer(f.t, nc)
	f.t.Cleanup(func() { _ = nc.Close() })
	return p
}

// newPeer reads the client's preface from nc.
func newPeer(t *testing.T, nc net.Conn) *peer {
	p := &peer{t: t, nc: nc.(memconn.End), r: bufio.NewReader(nc), codec: h2test.NewCodec()}
	preface := make([]byte, len(frame.Preface))
	if _, err := io.ReadFull(p.r, preface); err == nil && string(preface) != frame.Preface {
		t.Errorf("preface %q", preface)
	}
	return p
}

// send sends items of package h2test in one write. A connection that the client has closed is no
// error.
func (p *peer) send(items ...any) { _, _ = p.nc.Write(p.codec.Append(nil, items...)) }

// next waits for a frame; it passes over SETTINGS and WINDOW_UPDATE. It is nil at the end of the
// connection.
func (p *peer) next() any {
	p.t.Helper()
	for {
		var hb [frame.HeaderLen]byte
		if _, err := io.ReadFull(p.r, hb[:]); err != nil {
			return nil
		}
		h := frame.ParseHeader(hb[:])
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(p.r, payload); err != nil {
			return nil
		}
		f, err := frame.Parse(h, payload)
		if err != nil {
			p.t.Fatal(err)
		}
		switch f := f.(type) {
		case frame.Settings, frame.WindowUpdate:
		case frame.Headers:
			fields, err := p.codec.Fields(f.Fragment)
			if err != nil {
				p.t.Fatal(err)
			}
			return h2test.Block{StreamID: f.StreamID, EndStream: f.EndStream, Fields: fields}
		default:
			return f
		}
	}
}

// request waits for the head of a request.
func (p *peer) request() h2test.Block {
	p.t.Helper()
	f := p.next()
	h, ok := f.(h2test.Block)
	if !ok {
		p.t.Fatalf("want a request, got %v", f)
	}
	return h
}

// wantReset waits for RST_STREAM, past DATA and PING.
func (p *peer) wantReset(id uint32, c frame.Code) {
	p.t.Helper()
	for {
		switch f := p.next().(type) {
		case frame.Data, frame.Ping:
		case frame.RSTStream:
			if f.StreamID != id || f.Code != c {
				p.t.Fatalf("want RST_STREAM %d %v, got %v", id, c, f)
			}
			return
		default:
			p.t.Fatalf("want RST_STREAM %d %v, got %v", id, c, f)
		}
	}
}

// wantGoAway waits for GOAWAY, past everything else.
func (p *peer) wantGoAway(c frame.Code) {
	p.t.Helper()
	for {
		switch f := p.next().(type) {
		case frame.GoAway:
			if f.Code != c {
				p.t.Fatalf("want GOAWAY %v, got %v", c, f)
			}
			return
		case nil:
			p.t.Fatal("the connection has ended without GOAWAY")
		}
	}
}

// result is a call of RoundTrip that runs.
type result struct {
	t    *testing.T
	done chan struct{}
	resp *http.Response
	err  error
	stop context.CancelFunc
}

// start begins a request.
func (f *testDialer) start(req *http.Request) *result { return startOn(f.t, f.tr, req) }

func startOn(t *testing.T, rt http.RoundTripper, req *http.Request) *result {
	ctx, cancel := context.WithCancel(req.Context())
	r := &result{t: t, done: make(chan struct{}), stop: cancel}
	req = req.WithContext(ctx)
	t.Cleanup(cancel)
	go func() {
		r.resp, r.err = rt.RoundTrip(req)
		close(r.done)
	}()
	return r
}

func (f *testDialer) get() *result { return f.start(newRequest(f.t, "GET", testURL+"/", nil)) }

// response waits for a response.
func (r *result) response() *http.Response {
	r.t.Helper()
	<-r.done
	if r.err != nil {
		r.t.Fatalf("RoundTrip: %v", r.err)
	}
	return r.resp
}

// wantErr waits for an error that is want.
func (r *result) wantErr(want error) error {
	r.t.Helper()
	<-r.done
	if r.err == nil || !errors.Is(r.err, want) {
		r.t.Fatalf("RoundTrip: error %v, want %v", r.err, want)
	}
	return r.err
}

func (r *result) wantWaiting(why string) {
	r.t.Helper()
	synctest.Wait()
	select {
	case <-r.done:
		r.t.Fatalf("%s: RoundTrip has returned %v, %v", why, r.resp, r.err)
	default:
	}
}

// close ends everything, so that a goroutine that is left fails the test.
func (f *testDialer) close() {
	f.tr.CloseIdleConnections()
	_ = f.l.Close()
}
