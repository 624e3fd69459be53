package capture

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
)

// recorded are the events of a Live, copied as far as the tests look at them. It counts calls of
// the handler that come two at a time.
type recorded struct {
	busy   atomic.Bool // within a call
	twice  atomic.Bool
	mu     sync.Mutex // guards the fields below, also from the test
	calls  int
	conns  []Connection
	frames map[uint64][]Frame // by connection
	ends   map[uint64]End

	messages []string // first lines of HTTP/1.1
	requests []Request
	findings []Finding

	ended chan struct{} // has a value for each End
}

func record() *recorded {
	return &recorded{frames: map[uint64][]Frame{}, ends: map[uint64]End{}, ended: make(chan struct{}, 1<<12)}
}

func (r *recorded) handle(e Event) {
	if r.busy.Swap(true) {
		r.twice.Store(true)
	}
	defer r.busy.Store(false)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	switch e := e.(type) {
	case *Connection:
		r.conns = append(r.conns, *e)
	case *Frame:
		f := *e
		f.Fields = slices.Clone(f.Fields)
		r.frames[e.Conn] = append(r.frames[e.Conn], f)
	case *Request:
		q := *e
		for d := range q.Fields {
			q.Fields[d] = slices.Clone(q.Fields[d])
		}
		r.requests = append(r.requests, q)
	case *Finding:
		r.findings = append(r.findings, *e)
	case *Message:
		r.messages = append(r.messages, e.Line)
	case *End:
		r.ends[e.Conn] = *e
		r.ended <- struct{}{}
	}
}

// wait returns when n connections have ended.
func (r *recorded) wait(t *testing.T, n int) {
	t.Helper()
	for range n {
		select {
		case <-r.ended:
		case <-time.After(time.Minute):
			t.Fatal("the end of a connection was not told")
		}
	}
}

// lines are the frames of a direction, in a short form.
func (r *recorded) lines(id uint64, d Dir) []string {
	var lines []string
	for _, f := range r.frames[id] {
		if f.Dir == d {
			h := f.Header
			lines = append(lines, fmt.Sprintf("%v stream %d flags %x length %d", h.Type, h.StreamID, h.Flags, h.Length))
		}
	}
	return lines
}

// testServer is a server on loopback, with TLS unless its TLSConfig is taken away; its client
// trusts it.
type testServer struct {
	url  string
	tr   *client.Transport
	cert *x509.Certificate
	srv  *server.Server
}

// newTestServer starts one; set changes the server before.
func newTestServer(t *testing.T, set func(s *server.Server), listen func(net.Listener) net.Listener) *testServer {
	t.Helper()
	cert, err := selfsigned.Certificate("localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if listen != nil {
		l = listen(l)
	}
	srv := &server.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, r.Body)
			fmt.Fprintf(w, "hello %s", r.URL.Path)
		}),
	}
	set(srv)
	scheme, served := "https", make(chan error, 1)
	if srv.TLSConfig == nil {
		scheme = "http"
		go func() { served <- srv.Serve(l) }()
	} else {
		go func() { served <- srv.ServeTLS(l, "", "") }()
	}
	var p http.Protocols
	p.SetHTTP2(true)
	s := &testServer{
		url:  scheme + "://" + l.Addr().String(),
		cert: cert.Leaf,
		srv:  srv,
		tr:   &client.Transport{Protocols: &p, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	}
	t.Cleanup(func() {
		s.tr.CloseIdleConnections()
		_ = srv.Close()
		<-served
	})
	return s
}

// end returns when no connection to the server is left that r shows: requests that come at the same
// time may have dialled more than one, of which some were used by none.
func (s *testServer) end(t *testing.T, r *recorded) {
	t.Helper()
	if err := s.srv.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for len(r.ended) > 0 || r.open() > 0 {
		r.wait(t, 1)
	}
}

// get asks for a path and returns the body.
func (s *testServer) get(t *testing.T, path string) string {
	t.Helper()
	res, err := (&http.Client{Transport: s.tr}).Post(s.url+path, "text/plain", strings.NewReader("body "))
	if err != nil {
		t.Error(err)
		return ""
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// Both ends of a connection show the same frames, and what the connection is.
func TestLiveBothEnds(t *testing.T) {
	up, down := record(), record()
	cl, sl := &Live{Handler: up.handle}, &Live{Handler: down.handle}
	s := newTestServer(t, func(srv *server.Server) { srv.Tracer = sl }, nil)
	s.tr.Tracer = cl
	if got := s.get(t, "/one"); got != "body hello /one" {
		t.Errorf("the answer is %q", got)
	}
	s.get(t, "/two")
	s.tr.CloseIdleConnections()
	up.wait(t, 1)
	down.wait(t, 1)
	for _, r := range []*recorded{up, down} {
		if len(r.conns) != 1 {
			t.Fatalf("%d connections", len(r.conns))
		}
		c := r.conns[0]
		if c.ID != 1 || c.Protocol != HTTP2 || c.Found != "alpn" || c.StartMissing || c.Problem != "" ||
			"https://"+c.Server.String() != s.url || !c.Client.Addr().IsLoopback() || c.Client == c.Server {
			t.Errorf("the connection is %+v", c)
		}
		if h := c.TLS; h == nil || h.Version != tls.VersionTLS13 || h.ALPN != "h2" || h.CipherSuite == 0 || h.Resumed {
			t.Errorf("its TLS is %+v", h)
		}
		if e := r.ends[1]; e.How != "closed" || e.Frames != uint64(len(r.frames[1])) {
			t.Errorf("the end is %+v", e)
		}
		if r.twice.Load() {
			t.Error("the Handler was called by two goroutines at once")
		}
	}
	for _, d := range []Dir{Client, Server} {
		a, b := up.lines(1, d), down.lines(1, d)
		// What comes last may not have been read before the connection was closed.
		n := min(len(a), len(b))
		if n < 4 || !slices.Equal(a[:n], b[:n]) {
			t.Errorf("of the %v:\nat the client %q\nat the server %q", d, a, b)
		}
	}
	if got, want := up.conns[0].Client, down.conns[0].Client; got != want {
		t.Errorf("the client is %v and %v", got, want)
	}
}

// Many connections at once, on one Live for clients and server.
func TestLiveConcurrent(t *testing.T) {
	const conns, requests = 20, 10
	r := record()
	l := &Live{Handler: r.handle}
	s := newTestServer(t, func(srv *server.Server) { srv.Tracer = l }, nil)
	var wg sync.WaitGroup
	for range conns {
		tr := s.tr.Clone()
		tr.Tracer, tr.MaxConnsPerHost = l, 1 // else a dial may begin beside one that takes long, and end behind all
		c := &testServer{url: s.url, tr: tr}
		wg.Go(func() {
			var requestsDone sync.WaitGroup
			for i := range requests {
				requestsDone.Go(func() {
					if path := fmt.Sprintf("/%d", i); c.get(t, path) != "body hello "+path {
						t.Error("wrong answer")
					}
				})
			}
			requestsDone.Wait()
			tr.CloseIdleConnections()
		})
	}
	wg.Wait()
	s.end(t, r)
	r.mu.Lock()
	defer r.mu.Unlock()
	headers := 0
	for _, frames := range r.frames {
		for i, f := range frames {
			if f.Number != uint64(i+1) {
				t.Fatalf("frame %d has number %d", i+1, f.Number)
			}
			if f.Header.Type == frame.TypeHeaders && f.Dir == Client {
				headers++
			}
		}
	}
	if headers != 2*conns*requests || r.twice.Load() {
		t.Errorf("%d requests were seen, and calls at once: %v", headers, r.twice.Load())
	}
	n := 0
	l.conns.Range(func(any, any) bool { n++; return true })
	if n != 0 || l.mu.shown != 0 {
		t.Errorf("%d connections are kept, %d counted", n, l.mu.shown)
	}
}

// open is the number of connections that have not ended.
func (r *recorded) open() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns) - len(r.ends)
}

// newTraced returns a connection that nothing runs, for calls of a Tracer.
func newTraced(t *testing.T) *conn.Conn {
	t.Helper()
	a, b := net.Pipe()
	t.Cleanup(func() {
		a.Close()
		b.Close()
	})
	return &conn.NewServer(a, conn.Config{}, nil).Conn
}

var settings = conn.FrameTrace{Direction: conn.Out, Header: frame.Header{Type: frame.TypeSettings}}

func TestLiveLimits(t *testing.T) {
	r := record()
	l := &Live{Handler: r.handle, MaxConnections: 2}
	var cs []*conn.Conn
	for range 4 {
		c := newTraced(t)
		l.TraceFrame(c, settings)
		cs = append(cs, c)
	}
	if len(r.conns) != 2 || l.Skipped() != 2 {
		t.Errorf("%d are shown, %d skipped", len(r.conns), l.Skipped())
	}
	l.TraceEnd(cs[0], &frame.ConnError{Cause: syscall.ECONNRESET})
	l.TraceEnd(cs[0], nil)
	l.TraceFrame(cs[3], settings) // not shown, though there is room now
	l.TraceFrame(newTraced(t), settings)
	if len(r.conns) != 3 || r.conns[2].ID != 3 || r.ends[1].How != "reset" {
		t.Errorf("%d are shown; the end is %+v", len(r.conns), r.ends[1])
	}
	if c := r.conns[0]; c.Client != (netip.AddrPort{}) || c.Found != "preface" || c.TLS != nil || c.StartMissing {
		t.Errorf("a connection without TLS and addresses is %+v", c)
	}
	l.Close()
	calls := r.calls
	l.TraceFrame(cs[1], settings)
	l.TraceFrame(newTraced(t), settings)
	l.TraceEnd(cs[1], errors.New("late"))
	if r.ends[2].How != "open" || r.ends[3].How != "open" || r.calls != calls || l.Skipped() != 2 {
		t.Errorf("after Close: %+v, %d calls", r.ends, r.calls-calls)
	}
}

// A Tracer that gets frames from the midst of a connection on says so.
func TestLiveStartMissing(t *testing.T) {
	r := record()
	l := &Live{Handler: r.handle}
	l.TraceFrame(newTraced(t), conn.FrameTrace{Direction: conn.Out, Header: frame.Header{Type: frame.TypePing}})
	if !r.conns[0].StartMissing {
		t.Error("the start is missing, and that is not said")
	}
	// What the peer begins with is for the rules to say.
	l.TraceFrame(newTraced(t), conn.FrameTrace{Direction: conn.In, Header: frame.Header{Type: frame.TypePing}})
	if r.conns[1].StartMissing {
		t.Error("the start is said to be missing")
	}
}

// A Handler that panics ends the connection that has called it, and no lock stays held.
func TestLiveHandlerPanics(t *testing.T) {
	l := &Live{Handler: func(e Event) { panic(e.Kind()) }}
	c := newTraced(t)
	for _, want := range []string{"connection", "frame", "end"} {
		func() {
			defer func() {
				if v := recover(); v != want {
					t.Errorf("recovered %v, want %v", v, want)
				}
			}()
			if want == "end" {
				l.TraceEnd(c, nil)
				return
			}
			l.TraceFrame(c, settings)
		}()
	}
}
