package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// fullLink makes the connections of one kind, whose buffers are small.
type fullLink struct {
	name string
	url  string
	dial func(t *testing.T) (client, server net.Conn)
	// plainTLS has a GotConn hook see each connection, so that crypto/tls writes to the socket by
	// itself.
	plainTLS bool
}

// fullLinks are connections of all kinds.
func fullLinks() []fullLink {
	links := []fullLink{
		{name: "tcp", url: "http://127.0.0.1", dial: smallSockets},
		{name: "tls", url: "https://127.0.0.1", dial: smallSockets},
		{name: "plain tls", url: "https://127.0.0.1", dial: smallSockets, plainTLS: true},
	}
	for _, k := range memconn.Kinds() {
		dial := func(*testing.T) (client, server net.Conn) {
			return memconn.Pipe(memconn.Options{Buffer: 4096, Client: k})
		}
		links = append(links, fullLink{name: k.String(), url: "http://127.0.0.1", dial: dial})
		if k == memconn.Wrapped || k == memconn.IdleDeadlines {
			links = append(links, fullLink{name: k.String() + " below tls", url: "https://127.0.0.1", dial: dial})
		}
	}
	return links
}

// smallSockets returns both ends of a TCP connection whose buffers hold little.
func smallSockets(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l := listenTCP(t)
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = client.(*net.TCPConn).SetWriteBuffer(4096)
	_ = server.(*net.TCPConn).SetReadBuffer(4096)
	return client, server
}

// fullSocket is a Transport with one connection, whose server answers requests at once. It reads
// nothing more after one for /last, nor after one for /head, of whose response it sends the head
// only.
type fullSocket struct {
	t    *testing.T
	link fullLink
	tr   *Transport
	deaf chan struct{} // closed when the server reads nothing more
	nc   chan net.Conn // the server's end
}

func newFullSocket(t *testing.T, link fullLink) *fullSocket {
	srv, cli := testTLS(t)
	srv.NextProtos = []string{"h2"}
	f := &fullSocket{t: t, link: link, deaf: make(chan struct{}), nc: make(chan net.Conn, 1)}
	f.tr = &Transport{
		Protocols: h2cOnly(), Proxy: noProxy, TLSClientConfig: cli, WriteByteTimeout: -1, MaxAttempts: 1,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			c, s := link.dial(t)
			f.nc <- s
			if strings.HasPrefix(link.url, "https") {
				s = tls.Server(s, srv)
			}
			go f.serve(s) // ends with the connection, or when it is deaf
			return c, nil
		},
	}
	f.tr.Protocols.SetHTTP2(true)
	return f
}

// serve is the server.
func (f *fullSocket) serve(nc net.Conn) {
	const window = 1 << 30
	r := frame.NewReader(nc)
	r.MaxBlock = 1 << 20
	if err := r.ReadPreface(); err != nil {
		f.t.Errorf("preface: %v", err)
		return
	}
	b := frame.NewSettings(
		frame.Setting{ID: frame.SettingInitialWindowSize, Value: window},
		frame.Setting{ID: frame.SettingMaxConcurrentStreams, Value: 1000},
	).Append(nil)
	b = frame.WindowUpdate{Increment: window}.Append(b)
	var text bytes.Buffer
	enc, dec := hpack.NewEncoder(&text), hpack.NewDecoder(4096, nil)
	for {
		if _, err := nc.Write(b); err != nil {
			return
		}
		h, payload, err := r.Next()
		if err != nil {
			return
		}
		b = b[:0]
		got, err := frame.Parse(h, payload)
		if err != nil {
			f.t.Error(err)
			return
		}
		req, ok := got.(frame.Headers)
		if !ok {
			continue
		}
		fields, err := dec.DecodeFull(req.Fragment)
		if err != nil {
			f.t.Error(err)
			return
		}
		path := h2test.Block{Fields: fields}.Get(":path")
		text.Reset()
		_ = enc.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
		_, _ = nc.Write(frame.Headers{
			StreamID: h.StreamID, EndStream: path != "/head", EndHeaders: true, Fragment: text.Bytes(),
		}.Append(nil))
		if path != "/" {
			close(f.deaf)
			return
		}
	}
}

// request returns a request, with a hook where the link needs that.
func (f *fullSocket) request(method, path string, body io.Reader) *http.Request {
	f.t.Helper()
	req := newRequest(f.t, method, f.link.url+path, body)
	if f.link.plainTLS {
		trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {}}
		req = req.WithContext(httptrace.WithClientTrace(req.Context(), trace))
	}
	return req
}

// quick has the server answer some requests, so close to one another that they read for themselves
// where they can, and the last one. It returns the connection.
func (f *fullSocket) quick() *ClientConn {
	f.t.Helper()
	for _, path := range []string{"/", "/", "/", "/last"} {
		resp, err := f.tr.RoundTrip(f.request("GET", path, nil))
		if err != nil {
			f.t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	f.wait(f.deaf, "the last request")
	return f.connection()
}

// connection returns the one connection.
func (f *fullSocket) connection() *ClientConn {
	f.t.Helper()
	p := f.tr.once.ownPool
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, g := range p.groups {
		if len(g.conns) == 1 {
			return g.conns[0]
		}
	}
	f.t.Fatal("there is not one connection")
	return nil
}

// stop closes the connection, and waits until nothing of it runs.
func (f *fullSocket) stop() {
	f.t.Helper()
	cc := f.connection()
	_ = cc.Close()
	f.wait(cc.Done(), "the end of the connection")
	_ = (<-f.nc).Close()
}

// notAtOnce is longer than a busy machine takes for what happens at once. The socket stays full for
// ever.
const notAtOnce = 30 * time.Second

// wait waits for something that happens at once.
func (f *fullSocket) wait(c <-chan struct{}, what string) {
	f.t.Helper()
	select {
	case <-c:
	case <-time.After(notAtOnce):
		f.t.Fatalf("%s does not come", what)
	}
}

// send sends a request with RoundTrip.
func (f *fullSocket) send(req *http.Request) <-chan error {
	return begin(func() error {
		resp, err := f.tr.RoundTrip(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	})
}

// begin calls f in a goroutine of its own.
func begin(f func() error) <-chan error {
	got := make(chan error, 1)
	go func() { got <- f() }()
	return got
}

// want waits for an error that is want.
func (f *fullSocket) want(what string, got <-chan error, want error) {
	f.t.Helper()
	select {
	case err := <-got:
		if !errors.Is(err, want) {
			f.t.Errorf("%s: %v, want %v", what, err, want)
		}
	case <-time.After(notAtOnce):
		f.t.Fatalf("%s: it does not return", what)
	}
}

// heavyBody is a body without end that records how it is used.
type heavyBody struct {
	reads  atomic.Int64
	once   sync.Once
	closed chan struct{}
}

func newHeavyBody() *heavyBody { return &heavyBody{closed: make(chan struct{})} }

func (b *heavyBody) Read(p []byte) (int, error) {
	b.reads.Add(1)
	return len(p), nil
}

func (b *heavyBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

// stuck waits until the body has been read, and is not read any more.
func (b *heavyBody) stuck() {
	for last := int64(0); ; {
		<-time.After(10 * time.Millisecond)
		now := b.reads.Load()
		if now > 0 && now == last {
			return
		}
		last = now
	}
}

// waysToGiveUp give a request up. Each returns the request to send, the function that gives it up,
// and the error that comes of it.
var waysToGiveUp = map[string]func(*http.Request) (*http.Request, func(), error){
	"context": func(r *http.Request) (*http.Request, func(), error) {
		ctx, cancel := context.WithCancel(r.Context())
		return r.WithContext(ctx), cancel, context.Canceled
	},
	"deadline": func(r *http.Request) (*http.Request, func(), error) {
		ctx, cancel := context.WithTimeout(r.Context(), 20*time.Millisecond)
		return r.WithContext(ctx), func() { <-ctx.Done(); cancel() }, context.DeadlineExceeded
	},
	"Request.Cancel": func(r *http.Request) (*http.Request, func(), error) {
		c := make(chan struct{})
		r.Cancel = c //nolint:staticcheck // part of the contract
		return r, func() { close(c) }, errRequestCanceled
	},
}

// waysToBeStuck are requests of which the socket does not take the head, the body that is sent with
// it, or a body that has a goroutine.
var waysToBeStuck = map[string]func(*http.Request){
	"head": func(r *http.Request) { r.Header.Set("Long", strings.Repeat("x", 256<<10)) },
	"small body": func(r *http.Request) {
		r.Header.Set("Long", strings.Repeat("x", 256<<10))
		text := strings.NewReader(strings.Repeat("x", smallBody))
		r.Body, r.ContentLength = io.NopCloser(text), smallBody
		r.GetBody = func() (io.ReadCloser, error) { return nil, errors.ErrUnsupported }
	},
	"large body": func(r *http.Request) { r.Body, r.ContentLength = newHeavyBody(), -1 },
}

// giveUp sends a request that gets stuck and gives it up.
func (f *fullSocket) giveUp(where, what, way string) {
	f.t.Helper()
	where = fmt.Sprint(where, ", ", what, ", ", way)
	req, stop, want := waysToGiveUp[way](f.request("POST", "/", nil))
	waysToBeStuck[what](req)
	got := f.send(req)
	body, heavy := req.Body.(*heavyBody)
	if heavy && strings.HasPrefix(where, "alone") && way != "deadline" {
		body.stuck()
	}
	stop()
	f.want(where, got, want)
	if heavy {
		f.wait(body.closed, where+": Close of the body")
	}
}

// A request that is given up while the server reads nothing ends at once with the error of that,
// whatever of it the socket has not taken.
func TestGiveUpOnFullSocket(t *testing.T) {
	for _, link := range fullLinks() {
		for what := range waysToBeStuck {
			t.Run(link.name+"/"+what, func(t *testing.T) {
				t.Parallel()
				for way := range waysToGiveUp {
					f := newFullSocket(t, link)
					f.quick()
					f.giveUp("alone", what, way)
					f.stop()
				}
			})
		}
	}
}

// The same holds for those behind an upload that is stuck, and for everything else with a context.
func TestGiveUpBehindFullSocket(t *testing.T) {
	for _, link := range fullLinks() {
		t.Run(link.name, func(t *testing.T) {
			t.Parallel()
			f := newFullSocket(t, link)
			cc := f.quick()
			first, stop, want := waysToGiveUp["context"](f.request("POST", "/", nil))
			body := newHeavyBody()
			first.Body, first.ContentLength = body, -1
			got := f.send(first)
			body.stuck()
			for what := range waysToBeStuck {
				for way := range waysToGiveUp {
					f.giveUp("behind", what, way)
				}
			}
			f.want("Ping", begin(func() error { return cc.Ping(soon(t)) }), context.DeadlineExceeded)
			late := f.request("GET", "/", nil)
			hc := &http.Client{Transport: f.tr, Timeout: 20 * time.Millisecond}
			f.want("Client.Timeout", begin(func() error {
				resp, err := hc.Do(late)
				if err == nil {
					_ = resp.Body.Close()
				}
				return err
			}), context.DeadlineExceeded)
			connect := f.request("CONNECT", "", nil).WithContext(soon(t))
			connect.Host = "example.test:1"
			f.want("Connect", begin(func() error {
				_, _, err := f.tr.Connect(connect) //nolint:bodyclose // there is no response
				return err
			}), context.DeadlineExceeded)
			f.want("CloseIdleConnections", begin(func() error { f.tr.CloseIdleConnections(); return nil }), nil)
			stop()
			f.want("the first", got, want)
			f.want("Shutdown", begin(func() error { return cc.Shutdown(soon(t)) }), context.DeadlineExceeded)
			_ = cc.Close()
			f.wait(cc.Done(), "the end of the connection")
			_ = (<-f.nc).Close()
		})
	}
}

// soon returns a context that is done soon.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// So does a response whose request is stuck: by Close of its body, which ends the request's, and by
// all that gives up the request.
func TestEndResponseOnFullSocket(t *testing.T) {
	for _, link := range fullLinks() {
		t.Run(link.name, func(t *testing.T) {
			t.Parallel()
			for _, way := range []string{"Close", "Timeout", "context", "Request.Cancel"} {
				f := newFullSocket(t, link)
				f.endResponse(way)
				f.stop()
			}
		})
	}
}

func (f *fullSocket) endResponse(way string) {
	f.t.Helper()
	if err := <-f.send(f.request("GET", "/", nil)); err != nil {
		f.t.Fatal(err)
	}
	req, body := f.request("POST", "/head", nil), newHeavyBody()
	req.Body, req.ContentLength = body, -1
	rt, stop, want := http.RoundTripper(f.tr), func() {}, error(nil)
	client := &http.Client{Transport: rt}
	switch way {
	case "Close":
		want = http.ErrBodyReadAfterClose
	case "Timeout":
		client.Timeout, want = 100*time.Millisecond, context.DeadlineExceeded
	default:
		req, stop, want = waysToGiveUp[way](req)
	}
	resp, err := client.Do(req)
	if err != nil {
		if way != "Timeout" { // which a slow machine meets before
			f.t.Fatal(err)
		}
		return
	}
	body.stuck()
	got := begin(func() error {
		_, err := resp.Body.Read(make([]byte, 1))
		return err
	})
	if way == "Close" {
		f.want("Close", begin(resp.Body.Close), nil)
	}
	stop()
	f.want("Read, "+way, got, want)
	f.wait(body.closed, "Close of the request's body")
	_ = resp.Body.Close()
}
