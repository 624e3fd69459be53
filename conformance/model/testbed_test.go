package model

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/server"
	"github.com/sluice-go/sluice/stream/priority"
)

// testbed is a client and a server, with connections between them, for one script.
type testbed struct {
	t      *testing.T
	script script
	cfg    op
	mutate string // a fault that the oracle must find
	failf  func(format string, args ...any)
	steps  atomic.Int64 // calls of the API

	transport *client.Transport
	closeIdle func()
	single    *client.ClientConn // in place of the transport's pool
	rt        http.RoundTripper
	callers   sync.WaitGroup
	ending    sync.WaitGroup // servers that are shut down

	mu        sync.Mutex
	listener  *listener
	server    *server.Server
	servers   []*server.Server
	links     []*link
	cconns    []*conn.Conn
	sconns    []*conn.Conn
	last      map[*conn.Conn]uint32 // last stream that the server has seen
	refuse    int                   // requests to be refused
	doomed    *conn.Conn            // is ended by the frame policy
	exchanges []*exchange
	byID      map[int]*exchange
}

// play runs a script in the bubble that it is called in, and returns how many calls were made.
func play(t *testing.T, s script, failf func(string, ...any)) int64 {
	w := &testbed{
		t: t, script: s, cfg: s[0], mutate: s[0].str("mutate"), failf: failf,
		last: make(map[*conn.Conn]uint32), byID: make(map[int]*exchange),
	}
	if n := w.cfg.num("procs", 0); n > 0 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
	}
	w.serve()
	w.connect()
	for _, o := range s[1:] {
		w.steps.Add(1)
		w.do(o)
	}
	w.settle()
	return w.steps.Load()
}

// serve starts a server.
func (w *testbed) serve() {
	srv := &server.Server{Handler: http.HandlerFunc(w.handle), ErrorLog: log.New(io.Discard, "", 0)}
	c := &srv.Config
	c.MaxConcurrentStreams = w.cfg.num("streams", 0)
	c.MaxReceiveBufferPerStream = w.cfg.num("swindow", 0)
	c.MaxReceiveBufferPerConnection = w.cfg.num("sconn", 0)
	c.MaxUnreadPerConnection = w.cfg.num("sunread", 0)
	c.Dispatch = server.Dispatch(w.cfg.num("dispatch", 0))
	c.MaxConnectionAge = w.cfg.ms("age")
	c.SendPingTimeout = 15 * time.Second
	c.FramePolicy = w.serverPolicy
	c.Tracer = w.tracer()
	switch w.cfg.str("sched") {
	case "tree":
		c.Scheduler = func() priority.Scheduler { return priority.NewTree() }
	case "extensible":
		c.Scheduler = func() priority.Scheduler { return priority.NewExtensible() }
	case "roundrobin":
		c.Scheduler = func() priority.Scheduler { return priority.NewRoundRobin() }
	}
	if w.cfg.num("pad", 0) != 0 {
		c.Padding = conn.PadTo(64)
	}
	l := newListener()
	w.mu.Lock()
	w.server, w.listener = srv, l
	w.servers = append(w.servers, srv)
	w.mu.Unlock()
	w.ending.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			w.failf("Serve: %v", err)
		}
	})
}

// connect makes the client.
func (w *testbed) connect() {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	tr := &client.Transport{
		DialContext: w.dial, Protocols: &p, Proxy: func(*http.Request) (*url.URL, error) { return nil, nil },
		DisableCompression: true, ExpectContinueTimeout: time.Second,
	}
	w.transport, w.rt, w.closeIdle = tr, tr, tr.CloseIdleConnections
	if w.cfg.str("client") == "configured" {
		t1 := &http.Transport{
			DialContext: w.dial, Protocols: &p, DisableCompression: true, ExpectContinueTimeout: time.Second,
		}
		var err error
		if tr, err = client.Configure(t1); err != nil {
			w.failf("Configure: %v", err)
			return
		}
		w.transport, w.rt, w.closeIdle = tr, t1, t1.CloseIdleConnections
	}
	tr.MaxReceiveBufferPerStream = w.cfg.num("cwindow", 0)
	tr.MaxReceiveBufferPerConnection = w.cfg.num("cconn", 0)
	tr.MaxUnreadPerConnection = w.cfg.num("cunread", 0)
	tr.ReplayBuffer = w.cfg.num("replay", 0)
	tr.SendPingTimeout = 15 * time.Second
	tr.FramePolicy = w.clientPolicy
	tr.Tracer = w.tracer()
	switch w.cfg.str("push") {
	case "handler":
		tr.PushHandler = client.PushHandlerFunc(w.takePush)
	case "cache":
		tr.PushCache = &client.PushCache{MaxAge: time.Minute}
	}
	if w.cfg.num("pad", 0) != 0 {
		tr.Padding = conn.PadTo(64)
	}
	switch w.cfg.str("client") {
	case "conn":
		nc, err := w.dial(context.Background(), "", "")
		if err == nil {
			w.single, err = tr.NewClientConn(nc)
		}
		if err == nil {
			// Before it has seen the server's limit it may send more requests than that, and sends
			// none twice.
			_, err = w.single.Conn().AwaitSettings(context.Background())
		}
		if err != nil {
			w.failf("NewClientConn: %v", err)
			return
		}
		w.rt = w.single
	case "one":
		tr.MaxConnsPerHost = 1
	case "two":
		tr.MaxConnsPerHost = 2
	case "strict":
		tr.StrictMaxConcurrentStreams = true
	case "once":
		tr.DisableKeepAlives = true
	case "three":
		tr.MaxRequestsPerConn = 3
	}
}

// takePush reads what is pushed to its end.
func (w *testbed) takePush(p *client.Push) {
	resp, err := p.Response(context.Background())
	if err != nil {
		return // its connection or its parent may have failed
	}
	defer func() { _ = resp.Body.Close() }()
	var id, n int
	_, _ = fmt.Sscanf(p.Request.URL.RawQuery, "pushed=%d&id=%d", &n, &id)
	body, err := io.ReadAll(resp.Body)
	if diff := compare(body, pushBody(id), 0); diff != nil {
		w.failf("pushed with request %d: %v", id, diff)
	}
	if err == nil && len(body) != n {
		w.failf("pushed with request %d: %d of %d octets, and no error", id, len(body), n)
	}
}

// serverPolicy sees each frame that a client sends.
func (w *testbed) serverPolicy(c *conn.Conn, h frame.Header, payload []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.last[c]; !known {
		w.last[c] = 0
		w.sconns = append(w.sconns, c)
	}
	if w.doomed == c {
		return errors.New("as planned")
	}
	if w.mutate == "upflip" && h.Type == frame.TypeData && len(payload) > 0 {
		payload[len(payload)/2] ^= 1
	}
	if h.Type == frame.TypeHeaders && h.StreamID > w.last[c] {
		w.last[c] = h.StreamID
		if w.refuse > 0 {
			w.refuse--
			return conn.ErrDropFrame
		}
	}
	return nil
}

// clientPolicy sees each frame that a server sends.
func (w *testbed) clientPolicy(c *conn.Conn, h frame.Header, payload []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.last[c]; !known {
		w.last[c] = 0
		w.cconns = append(w.cconns, c)
	}
	if w.mutate == "flip" && h.Type == frame.TypeData && len(payload) > 0 {
		payload[len(payload)/2] ^= 1
	}
	if w.mutate == "refusal" && h.Type == frame.TypeHeaders {
		return conn.ErrDropFrame
	}
	return nil
}

// do does one operation of the script.
func (w *testbed) do(o op) {
	switch o.name {
	case "do":
		w.start(o)
	case "sleep":
		time.Sleep(o.ms("ms"))
	case "cancel", "close":
		w.mu.Lock()
		x := w.byID[o.num("id", 0)]
		var body io.Closer
		if x != nil && x.body != nil {
			body = x.body
		}
		w.mu.Unlock()
		switch {
		case x != nil && o.name == "cancel":
			x.end()
		case body != nil:
			_ = body.Close()
		}
	case "idle":
		w.closeIdle()
	case "refuse":
		w.mu.Lock()
		w.refuse += o.num("n", 1)
		w.mu.Unlock()
	case "restart":
		w.restart(o.ms("ms"))
	default:
		w.disturb(o)
	}
}

// disturb does something to one of the youngest connections.
func (w *testbed) disturb(o op) {
	nth := func(n int) int { return n - 1 - o.num("conn", 0)%max(n, 1) }
	w.mu.Lock()
	var l *link
	var c, s *conn.Conn
	if n := len(w.links); n > 0 {
		l = w.links[nth(n)]
	}
	if n := len(w.cconns); n > 0 {
		c = w.cconns[nth(n)]
	}
	if n := len(w.sconns); n > 0 {
		s = w.sconns[nth(n)]
	}
	if s != nil && o.str("how") == "policy" {
		w.doomed = s
	}
	w.mu.Unlock()
	switch what := o.name + o.str("how"); {
	case what == "goaway" && s != nil:
		s.Shutdown()
	case what == "ping" && c != nil:
		w.callers.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			_, _ = c.Ping(ctx) // the connection may have ended
		})
	case what == "stall" && l != nil:
		l.stall(o.ms("ms"))
	case what == "cutreset" && l != nil:
		l.reset()
	case what == "cuteof" && l != nil:
		l.eof()
	case what == "cutclient" && c != nil:
		_ = c.Close()
	case what == "cutserver" && s != nil:
		_ = s.Close()
	}
}

// restart shuts the server down, and has another one take its place.
func (w *testbed) restart(patience time.Duration) {
	w.mu.Lock()
	old := w.server
	w.mu.Unlock()
	w.serve()
	w.ending.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if old.Shutdown(ctx) != nil {
			_ = old.Close()
		}
	})
}
