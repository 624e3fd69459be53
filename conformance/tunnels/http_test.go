package tunnels

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
)

// patience bounds each wait for something that takes a moment, or some seconds on a busy machine.
const patience = time.Minute

// A service is what is asked over the tunnels.
type service struct {
	waiting, ended chan struct{} // get a value when /wait has begun and when its request's context has ended
	firstHalf      chan struct{} // gets a value when /slow has sent its first half; then it waits for release
	release        chan struct{}
}

func newService() *service {
	return &service{make(chan struct{}, 100), make(chan struct{}, 100), make(chan struct{}, 1), make(chan struct{})}
}

// body has octets that say where they belong.
func body(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
	return b
}

const slowSize = 512 << 10

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/wait":
		s.waiting <- struct{}{}
		<-r.Context().Done()
		s.ended <- struct{}{}
	case "/endless":
		for b := body(32 << 10); ; {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	case "/slow":
		b := body(slowSize)
		_, _ = w.Write(b[:slowSize/2])
		_ = http.NewResponseController(w).Flush()
		s.firstHalf <- struct{}{}
		<-s.release
		_, _ = w.Write(b[slowSize/2:])
	default:
		_, _ = io.Copy(w, r.Body)
	}
}

// A stoppable is our server or net/http's.
type stoppable interface {
	Serve(net.Listener) error
	ServeTLS(l net.Listener, cert, key string) error
	Shutdown(context.Context) error
	Close() error
}

// A pair is a client and a server, and the tunnels between them.
type pair struct {
	*service
	hc     *http.Client
	url    string
	srv    stoppable
	served chan error
	dials  atomic.Int64
	first  int64 // dials for the first request: more than 1 where one has taken long
}

// newPair starts a server of ours or of net/http's on what d makes.
func newPair(t *testing.T, d dialer, secure, ourClient, ourServer bool) *pair {
	t.Helper()
	w := &pair{service: newService(), url: "http://tunnel.test", served: make(chan error, 1)}
	p := new(http.Protocols)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	var cfg *tls.Config
	if secure {
		cert, err := selfsigned.Certificate()
		if err != nil {
			t.Fatal(err)
		}
		cfg = &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	silent := log.New(io.Discard, "", 0)
	w.srv = &http.Server{Handler: w, Protocols: p, TLSConfig: cfg, ErrorLog: silent, ReadHeaderTimeout: time.Minute}
	if ourServer {
		w.srv = &server.Server{Handler: w, TLSConfig: cfg, ErrorLog: silent}
	}
	go func() {
		if secure {
			w.served <- w.srv.ServeTLS(d, "", "")
		} else {
			w.served <- w.srv.Serve(d)
		}
	}()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		w.dials.Add(1)
		return d.dial(ctx)
	}
	insecure := &tls.Config{InsecureSkipVerify: true}
	if secure {
		w.url = "https://tunnel.test"
	}
	var idle interface{ CloseIdleConnections() }
	if ourClient {
		tr := &client.Transport{Protocols: p, DialContext: dial, TLSClientConfig: insecure}
		w.hc, idle = &http.Client{Transport: tr}, tr
	} else {
		tr := &http.Transport{Protocols: p, DialContext: dial, TLSClientConfig: insecure}
		w.hc, idle = &http.Client{Transport: tr}, tr
	}
	t.Cleanup(func() {
		idle.CloseIdleConnections()
		w.srv.Close()
		d.Close()
	})
	return w
}

// echo posts a body and compares what comes back.
func (w *pair) echo(ctx context.Context, size int) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+"/echo", bytes.NewReader(body(size)))
	if err != nil {
		return err
	}
	resp, err := w.hc.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err == nil && !bytes.Equal(got, body(size)) {
		err = fmt.Errorf("%d octets came back as %d, or as others", size, len(got))
	}
	return err
}

// get begins a request.
func (w *pair) get(ctx context.Context, path string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	return w.hc.Do(r)
}

// await waits for what should happen soon.
func await[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("%s has not happened within %v", what, patience)
	}
	return v
}

// TestTunnels has every kind of tunnel between clients and servers.
func TestTunnels(t *testing.T) {
	for _, k := range []struct {
		name   string
		make   func(*testing.T) dialer
		secure bool
	}{
		{"ssh", sshChannels, false},
		{"TLS above ssh", sshChannels, true},
		{"yamux", yamuxStreams, false},
		{"websocket", webSockets, false},
		{"pipes", pipes, false},
		{"net.Pipe", netPipes, false},
	} {
		t.Run(k.name, func(t *testing.T) {
			for _, peers := range []struct {
				name                 string
				ourClient, ourServer bool
			}{{"both ours", true, true}, {"client", true, false}, {"server", false, true}} {
				t.Run(peers.name, func(t *testing.T) {
					w := newPair(t, k.make(t), k.secure, peers.ourClient, peers.ourServer)
					ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
					defer cancel()
					testRequests(ctx, t, w)
					testCancelled(ctx, t, w)
					testIdle(ctx, t, w)
					testShutdown(ctx, t, w)
				})
			}
		})
	}
}

func testRequests(ctx context.Context, t *testing.T, w *pair) {
	if err := w.echo(ctx, 1); err != nil { // the others share its connection
		t.Fatal(err)
	}
	w.first = w.dials.Load()
	var callers sync.WaitGroup
	for i := range 10 {
		callers.Go(func() {
			for n := range 20 {
				if err := w.echo(ctx, (n*7919+i*104729)%100_000); err != nil {
					t.Errorf("request %d of caller %d: %v", n, i, err)
				}
			}
		})
	}
	callers.Wait()
	if n := w.dials.Load() - w.first; n != 0 {
		t.Errorf("%d connections more than the first", n)
	}
}

// Requests that are cancelled end at once, on both sides, while others go on, and the connection
// survives.
func testCancelled(ctx context.Context, t *testing.T, w *pair) {
	for i := range 30 {
		one, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		if i%2 == 0 {
			go func() {
				resp, err := w.get(one, "/wait")
				if err == nil {
					resp.Body.Close()
				}
				ended <- err
			}()
			await(t, w.waiting, "the request's arrival")
		} else {
			resp, err := w.get(one, "/endless")
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				_, err := io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				ended <- err
			}()
		}
		cancel()
		if err := await(t, ended, "the end of a cancelled request"); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled request %d ended with %v, want context.Canceled", i, err)
		}
		if i%2 == 0 {
			await(t, w.ended, "the end of its context at the server")
		}
		if err := w.echo(ctx, 1000); err != nil {
			t.Errorf("the request after cancelled request %d: %v", i, err)
		}
	}
	if n := w.dials.Load() - w.first; n != 0 {
		t.Errorf("%d connections more than the first after the cancelled requests", n)
	}
}

// A connection without requests stays.
func testIdle(ctx context.Context, t *testing.T, w *pair) {
	for range 3 {
		<-time.After(100 * time.Millisecond)
		if err := w.echo(ctx, 100); err != nil {
			t.Errorf("a request after a pause: %v", err)
		}
	}
	if n := w.dials.Load() - w.first; n != 0 {
		t.Errorf("%d connections more than the first after pauses", n)
	}
}

// Shutdown lets the response that runs end whole, and comes to an end itself.
func testShutdown(ctx context.Context, t *testing.T, w *pair) {
	resp, err := w.get(ctx, "/slow")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	await(t, w.firstHalf, "the first half of a response")
	down := make(chan error, 1)
	go func() { down <- w.srv.Shutdown(ctx) }()
	if err := await(t, w.served, "the end of Serve"); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve ended with %v, want http.ErrServerClosed", err)
	}
	close(w.release)
	got, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(got, body(slowSize)) {
		t.Errorf("%d octets of the response that ran, %v; want %d", len(got), err, slowSize)
	}
	w.hc.CloseIdleConnections()
	if err := await(t, down, "the end of Shutdown"); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
