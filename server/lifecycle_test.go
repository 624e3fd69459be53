//go:build !nethttpomithttp2

package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-go/sluice/internal/selfsigned"
)

// lifecycle is a server on a TCP socket, and connections in every state that its end may find them
// in.
type lifecycle struct {
	t         *testing.T
	addr      string
	secure    bool
	release   chan struct{}  // closed when the handlers shall return
	begun     chan string    // a handler has begun
	streaming chan struct{}  // closed when the client of "/stream" has the first octets
	ended     sync.WaitGroup // handlers
	hooks     atomic.Int32   // calls of RegisterOnShutdown's function

	mu     sync.Mutex
	labels map[string]string // of clients, by their address
	states map[string][]string
}

func newLifecycle(t *testing.T, secure bool) *lifecycle {
	return &lifecycle{
		t: t, secure: secure, release: make(chan struct{}), begun: make(chan string, 8), streaming: make(chan struct{}),
		labels: map[string]string{}, states: map[string][]string{},
	}
}

// ServeHTTP is the handler.
func (l *lifecycle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.ended.Add(1)
	defer l.ended.Done()
	switch r.URL.Path {
	case "/stream":
		_, _ = io.WriteString(w, "first ")
		_ = http.NewResponseController(w).Flush()
	case "/wait":
	case "/hijack":
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			l.t.Error(err)
			return
		}
		go func() { // ends with the client
			defer nc.Close()
			_, _ = io.Copy(nc, rw)
		}()
		return
	default:
		return
	}
	l.begun <- r.URL.Path
	select {
	case <-l.release:
		_, _ = io.WriteString(w, "last")
	case <-r.Context().Done():
	}
}

func (l *lifecycle) noteState(c net.Conn, s http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := c.RemoteAddr().String()
	l.states[a] = append(l.states[a], s.String())
}

// client returns one with a connection of its own, which is known by label.
func (l *lifecycle) client(label string) *http.Client {
	var p http.Protocols
	p.SetHTTP2(l.secure)
	p.SetUnencryptedHTTP2(!l.secure)
	tr := &http.Transport{
		Protocols:       &p,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the certificate was made just now
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			if err == nil {
				l.name(nc, label)
			}
			return nc, err
		},
	}
	l.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func (l *lifecycle) name(nc net.Conn, label string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.labels[nc.LocalAddr().String()] = label
}

func (l *lifecycle) url() string {
	if l.secure {
		return "https://" + l.addr
	}
	return "http://" + l.addr
}

// get returns what a client sees of a request: the body, and whether there was an error.
func (l *lifecycle) get(label, path string, seen chan<- string) {
	resp, err := l.client(label).Get(l.url() + path)
	if err != nil {
		seen <- fmt.Sprintf("%s: no response", label)
		return
	}
	var first []byte
	if path == "/stream" {
		first = make([]byte, len("first "))
		if _, err := io.ReadFull(resp.Body, first); err != nil {
			l.t.Error(err)
		}
		close(l.streaming)
	}
	b, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	seen <- fmt.Sprintf("%s: %q, whole %t", label, append(first, b...), err == nil)
}

// hijacked opens a connection that a handler of HTTP/1.1 takes over, and returns a function that
// reports whether it lives.
func (l *lifecycle) hijacked() (lives func() bool) {
	nc, err := net.Dial("tcp", l.addr)
	if err != nil {
		l.t.Fatal(err)
	}
	l.name(nc, "hijacked")
	if l.secure {
		//nolint:gosec // the certificate was made just now
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	}
	l.t.Cleanup(func() { _ = nc.Close() })
	r := bufio.NewReader(nc)
	echoes := func(send, want string) bool {
		_, _ = io.WriteString(nc, send)
		got, err := r.ReadString('\n')
		return got == want && err == nil
	}
	if !echoes("GET /hijack HTTP/1.1\r\nHost: example.test\r\n\r\nping\n", "ping\n") {
		l.t.Error("a hijacked connection does not live")
	}
	return func() bool { return echoes("pong\n", "pong\n") }
}

// refused waits until the server does not accept any more.
func (l *lifecycle) refused() {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); waitABit() {
		nc, err := net.Dial("tcp", l.addr)
		if err != nil {
			return
		}
		_ = nc.Close()
	}
	l.t.Error("the server accepts after its end")
}

// run opens the connections, has end end the server, which returns what is to be noted, and returns
// what was seen. gentle: handlers may return by themselves when the end has begun.
func (l *lifecycle) run(gentle bool, end func() string) string {
	seen, rested := make(chan string, 2), make(chan string, 1)
	l.get("rest", "/", rested)
	go l.get("stream", "/stream", seen)
	go l.get("wait", "/wait", seen)
	lives := l.hijacked()
	<-l.begun
	<-l.begun
	<-l.streaming // what has not arrived when a connection is closed may be lost
	// All kinds wait: those that park connections have parked them, and in each of them the state of
	// the connection at rest is known.
	<-time.After(2100 * time.Millisecond)
	over := make(chan string)
	go func() { over <- end() }()
	if gentle {
		l.refused()
		close(l.release)
	}
	a, b := <-seen, <-seen
	list := []string{<-rested, min(a, b), max(a, b), <-over, fmt.Sprintf("hijacked lives: %t", lives())}
	if list[3] == httptestClosed { // which cuts a connection when its last handler returns
		list[1], list[2] = "", ""
	}
	l.ended.Wait()
	for _, label := range []string{"rest", "stream", "wait", "hijacked"} {
		list = append(list, fmt.Sprintf("%s: %s", label, l.lastStates(label)))
	}
	return strings.Join(list, "\n")
}

// lastStates returns the states of a connection when the last has come.
func (l *lifecycle) lastStates(label string) (states string) {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); waitABit() {
		l.mu.Lock()
		for a, have := range l.labels {
			if have == label {
				states = strings.Join(l.states[a], " ")
			}
		}
		l.mu.Unlock()
		if strings.HasSuffix(states, "closed") || strings.HasSuffix(states, "hijacked") {
			break
		}
	}
	return states
}

// protocols are those of all servers.
func (l *lifecycle) protocols() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	return &p
}

// aServer is what an http.Server and a Server have in common.
type aServer interface {
	Close() error
	Shutdown(ctx context.Context) error
	RegisterOnShutdown(f func())
	Serve(l net.Listener) error
	ServeTLS(l net.Listener, certFile, keyFile string) error
}

// serve starts a server of a kind.
func (l *lifecycle) serve(kind string) aServer {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		l.t.Fatal(err)
	}
	cert, err := selfsigned.Certificate("example.test")
	if err != nil {
		l.t.Fatal(err)
	}
	l.addr = tcp.Addr().String()
	config, logger := &tls.Config{Certificates: []tls.Certificate{cert}}, log.New(io.Discard, "", 0)
	var s aServer
	if kind == kindServer {
		s = &Server{Handler: l, ConnState: l.noteState, Protocols: l.protocols(), TLSConfig: config, ErrorLog: logger}
	} else {
		//nolint:gosec // peers are of this test
		hs := &http.Server{Handler: l, ConnState: l.noteState, Protocols: l.protocols(), TLSConfig: config, ErrorLog: logger}
		if s = hs; kind == kindConfigure {
			if err := Configure(hs, nil); err != nil {
				l.t.Fatal(err)
			}
		}
	}
	s.RegisterOnShutdown(func() { l.hooks.Add(1) })
	served := make(chan error, 1)
	go func() {
		if l.secure {
			served <- s.ServeTLS(tcp, "", "")
			return
		}
		served <- s.Serve(tcp)
	}()
	l.t.Cleanup(func() {
		_ = s.Close()
		if err := <-served; err != http.ErrServerClosed { // documented as this very value
			l.t.Errorf("Serve: %v", err)
		}
	})
	return s
}

// httptest starts an httptest.Server, which tracks the states itself, too.
func (l *lifecycle) httptest(kind string) *httptest.Server {
	ts := httptest.NewUnstartedServer(l)
	ts.Config.ConnState, ts.Config.Protocols, ts.EnableHTTP2 = l.noteState, l.protocols(), true
	ts.Config.ErrorLog = log.New(io.Discard, "", 0)
	if kind == kindConfigure {
		if err := Configure(ts.Config, nil); err != nil {
			l.t.Fatal(err)
		}
		ts.TLS = ts.Config.TLSConfig
	}
	if l.addr = ts.Listener.Addr().String(); l.secure {
		ts.StartTLS()
	} else {
		ts.Start()
	}
	return ts
}

const httptestClosed = "httptest.Server.Close"

// lifecycleEnds are the ways in which a server may end. Each returns what was seen.
var lifecycleEnds = map[string]func(l *lifecycle, kind string) string{
	"Close": func(l *lifecycle, kind string) string {
		s := l.serve(kind)
		return l.run(false, func() string { return fmt.Sprint("Close: ", s.Close()) })
	},
	"Shutdown": func(l *lifecycle, kind string) string {
		s := l.serve(kind)
		return l.run(true, func() string {
			err := s.Shutdown(context.Background())
			for deadline := time.Now().Add(time.Minute); l.hooks.Load() == 0 && time.Now().Before(deadline); {
				waitABit()
			}
			return fmt.Sprintf("Shutdown: %v, hooks: %d", err, l.hooks.Load())
		})
	},
	"httptest Close": func(l *lifecycle, kind string) string {
		ts := l.httptest(kind)
		return l.run(true, func() string { ts.Close(); return httptestClosed })
	},
	"httptest CloseClientConnections": func(l *lifecycle, kind string) string {
		ts := l.httptest(kind)
		defer ts.Close()
		return l.run(false, func() string {
			ts.CloseClientConnections()
			again := make(chan string, 1)
			l.get("again", "/", again)
			return <-again
		})
	},
}

// TestLifecycle: Close, Shutdown and what httptest.Server has of the kind find connections at rest,
// with a streaming response, with a handler that waits, and hijacked, and end them as net/http
// does. No goroutine is left. All cases run beside each other, as most of their time is the time
// that a connection needs to come to rest; t.Parallel would run no more of them than there are
// processors.
func TestLifecycle(t *testing.T) {
	before := ourGoroutines()
	var all sync.WaitGroup
	for name, end := range lifecycleEnds {
		for _, secure := range []bool{false, true} {
			all.Go(func() {
				t.Run(fmt.Sprintf("%s TLS %t", name, secure), func(t *testing.T) {
					testLifecycleEnd(t, secure, strings.HasPrefix(name, "httptest"), end)
				})
			})
		}
	}
	all.Wait()
	for deadline := time.Now().Add(time.Minute); ; waitABit() {
		left := ourGoroutines()
		if len(left) <= len(before) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left:\n%s", len(left), strings.Join(left, "\n\n"))
		}
	}
}

// testLifecycleEnd runs one end of all kinds of servers beside each other. ofHTTPTest: it is one
// that a Server does not have.
func testLifecycleEnd(t *testing.T, secure, ofHTTPTest bool, end func(l *lifecycle, kind string) string) {
	kinds := []string{kindNetHTTP, kindConfigure, kindServer}
	if ofHTTPTest {
		kinds = kinds[:2]
	}
	seen := make([]string, len(kinds))
	var all sync.WaitGroup
	for i, kind := range kinds {
		all.Go(func() {
			t.Run(kind, func(t *testing.T) {
				l := newLifecycle(t, secure)
				seen[i] = end(l, kind)
			})
		})
	}
	all.Wait()
	for i, kind := range kinds {
		if seen[i] != seen[0] {
			t.Errorf("%s:\n%s\n\nnet/http:\n%s", kind, seen[i], seen[0])
		}
	}
	t.Logf("net/http:\n%s", seen[0])
}

// ourGoroutines returns the stacks of those that run this module's code, tests apart.
func ourGoroutines() (stacks []string) {
	buf := make([]byte, 4<<20)
	for _, stack := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		for _, line := range strings.Split(stack, "\n") {
			if strings.HasPrefix(line, "github.com/sluice-go/sluice/") && !strings.Contains(line, ".Test") {
				stacks = append(stacks, stack)
				break
			}
		}
	}
	return stacks
}
