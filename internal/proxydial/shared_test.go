package proxydial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/server"
)

// h2Proxy is a proxy of package server that speaks HTTP/2 in memory. Its tunnels echo.
type h2Proxy struct {
	t    *testing.T
	srv  *server.Server
	l    *memconn.Listener
	done chan struct{}

	mu    sync.Mutex
	conns []net.Conn // the client's ends
	seen  []string   // Proxy-Authorization of the requests
}

func startH2Proxy(t *testing.T, adjust ...func(*server.Server)) *h2Proxy {
	p := &h2Proxy{t: t, l: memconn.Listen(memconn.Options{}), done: make(chan struct{})}
	p.srv = &server.Server{Handler: p}
	for _, f := range adjust {
		f(p.srv)
	}
	go func() {
		_ = p.srv.Serve(p.l)
		close(p.done)
	}()
	return p
}

// stop ends the proxy. The bubble's end shows what it leaves.
func (p *h2Proxy) stop() {
	_ = p.srv.Close()
	<-p.done
}

func (p *h2Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.seen = append(p.seen, r.Header.Get("Proxy-Authorization"))
	p.mu.Unlock()
	switch r.Host {
	case "refused.test:443":
		w.Header().Set("Proxy-Status", "p; error=http_request_denied")
		http.Error(w, strings.Repeat("no", 1000), http.StatusForbidden)
		return
	case "silent.test:443":
		<-r.Context().Done()
		return
	case "interim.test:443":
		w.WriteHeader(http.StatusEarlyHints)
	case "auth.test:443":
		if r.Header.Get("Proxy-Authorization") != userBasic {
			w.Header().Set("Proxy-Authenticate", "Basic realm=x")
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
	case "created.test:443":
		w.Header().Set("Content-Length", "3")
		w.WriteHeader(http.StatusCreated)
	}
	tunnel, err := server.AcceptConnect(w)
	if err != nil {
		p.t.Error(err)
		return
	}
	_, _ = io.Copy(tunnel, tunnel)
}

// dial is Dialer.Dial. It counts.
func (p *h2Proxy) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	nc, err := p.l.Dial(ctx, network, addr)
	if err == nil {
		p.mu.Lock()
		p.conns = append(p.conns, nc)
		p.mu.Unlock()
	}
	return nc, err
}

func (p *h2Proxy) dialer() *Dialer {
	return &Dialer{
		Proxy: &url.URL{Scheme: "h2c", Host: "proxy.test"}, Dial: p.dial,
		Config: conn.Config{TunnelCloseTimeout: time.Second},
	}
}

func (p *h2Proxy) wantConns(n int) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.conns) != n {
		p.t.Errorf("%d connections were made, want %d", len(p.conns), n)
	}
}

func wantEcho(t *testing.T, nc net.Conn) {
	t.Helper()
	b := make([]byte, 4)
	if _, err := io.WriteString(nc, "ping"); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(nc, b); err != nil || string(b) != "ping" {
		t.Errorf("echo %q, %v", b, err)
	}
}

// Tunnels that are opened at once share as few connections as the limits allow, ours and the
// proxy's, and use those that are there again.
func TestTunnelsPerConn(t *testing.T) {
	for _, tt := range []struct{ ours, theirs, tunnels, conns int }{
		{0, 250, 50, 1}, {3, 250, 10, 4}, {-1, 7, 20, 3}, {5, 1, 10, 10}, {-1, 250, 240, 1}, {0, 250, 150, 2}, {1, 1, 1, 1},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := startH2Proxy(t, func(s *server.Server) { s.MaxConcurrentStreams = tt.theirs })
				d := p.dialer()
				d.MaxTunnelsPerConn = tt.ours
				for range 3 {
					var wg sync.WaitGroup
					tunnels := make([]net.Conn, tt.tunnels)
					for i := range tunnels {
						wg.Go(func() {
							var err error
							if tunnels[i], err = d.DialContext(t.Context(), "tcp", "target.test:443"); err != nil {
								t.Error(err)
								return
							}
							wantEcho(t, tunnels[i])
						})
					}
					wg.Wait()
					p.wantConns(tt.conns)
					for _, nc := range tunnels {
						_ = nc.Close()
					}
					synctest.Wait()
				}
				d.CloseIdleConnections()
				p.stop()
			})
		})
	}
}

// The answers over HTTP/2: interim ones are skipped, a 2xx opens whatever it says, and others are
// errors with what the proxy said. All go over one connection.
func TestAnswersHTTP2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startH2Proxy(t)
		d := p.dialer()
		d.Credentials = func(context.Context, *Challenge) (*url.Userinfo, error) { return url.UserPassword("us", "er"), nil }
		for _, host := range []string{"target.test", "interim.test", "created.test", "auth.test", "auth.test"} {
			nc, err := d.DialContext(t.Context(), "tcp", host+":443")
			if err != nil {
				t.Fatalf("%s: %v", host, err)
			}
			wantEcho(t, nc)
			_ = nc.Close()
		}
		_, err := d.DialContext(t.Context(), "tcp", "refused.test:443")
		var e *Error
		if !errors.As(err, &e) || e.StatusCode != 403 || len(e.Body) != 1024 ||
			e.ProxyStatus != "p; error=http_request_denied" {
			t.Errorf("%v", err)
		}
		p.wantConns(1)
		if got := strings.Join(p.seen, ","); got != ",,,,"+userBasic+","+userBasic+","+userBasic {
			t.Errorf("credentials %s", got)
		}
		d.CloseIdleConnections()
		synctest.Wait()
		p.stop()
	})
}

// A connection whose proxy has sent GOAWAY takes no new tunnel, and those that it has go on.
func TestGoAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, q := startH2Proxy(t), startH2Proxy(t)
		d := p.dialer()
		old, err := d.DialContext(t.Context(), "tcp", "target.test:443")
		if err != nil {
			t.Fatal(err)
		}
		d.Dial = q.dial
		down := make(chan error, 1)
		go func() { down <- p.srv.Shutdown(context.Background()) }()
		synctest.Wait()
		for range 2 {
			nc, err := d.DialContext(t.Context(), "tcp", "target.test:443")
			if err != nil {
				t.Fatal(err)
			}
			wantEcho(t, nc)
			_ = nc.Close()
		}
		p.wantConns(1)
		q.wantConns(1)
		wantEcho(t, old)
		_ = old.Close()
		if err := <-down; err != nil {
			t.Error(err)
		}
		<-p.done
		_ = d.Close()
		if _, err := d.DialContext(t.Context(), "tcp", "target.test:443"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		synctest.Wait()
		q.stop()
	})
}

// A proxy that dies under a tunnel is an error of its Read, and not the end of what the target
// sends. The next tunnel has another connection.
func TestProxyDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startH2Proxy(t)
		d := p.dialer()
		nc, err := d.DialContext(t.Context(), "tcp", "target.test:443")
		if err != nil {
			t.Fatal(err)
		}
		wantEcho(t, nc)
		_ = p.srv.Close()
		<-p.done
		var ce *frame.ConnError
		if _, err := nc.Read(make([]byte, 1)); !errors.As(err, &ce) || errors.Is(err, io.EOF) {
			t.Errorf("Read: %v", err)
		}
		if _, err := nc.Write([]byte("x")); err == nil {
			t.Error("Write has no error")
		}
		_ = nc.Close()
		q := startH2Proxy(t)
		d.Dial = q.dial
		if nc, err = d.DialContext(t.Context(), "tcp", "target.test:443"); err != nil {
			t.Fatal(err)
		}
		wantEcho(t, nc)
		_ = nc.Close()
		d.CloseIdleConnections()
		q.stop()
	})
}

// A connection without a tunnel is closed after a time, and at once where that is asked for, also
// when its last tunnel ends later.
func TestIdleConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startH2Proxy(t)
		d := p.dialer()
		d.Config.IdleTimeout = time.Minute
		open := func() net.Conn {
			nc, err := d.DialContext(t.Context(), "tcp", "target.test:443")
			if err != nil {
				t.Fatal(err)
			}
			return nc
		}
		wantOpen := func(n int) {
			t.Helper()
			synctest.Wait()
			if got := len(d.connections()); got != n {
				t.Errorf("%d connections are open, want %d", got, n)
			}
		}
		nc := open()
		time.Sleep(time.Hour)
		wantOpen(1)
		_ = nc.Close()
		time.Sleep(59 * time.Second)
		wantOpen(1)
		time.Sleep(2 * time.Second)
		wantOpen(0)
		_ = open().Close()
		synctest.Wait()
		d.CloseIdleConnections()
		wantOpen(0)
		nc = open()
		d.CloseIdleConnections()
		wantOpen(1)
		_ = nc.Close()
		wantOpen(0)
		nc = open()
		d.CloseIdleConnections()
		other := open() // the connection is wanted after all
		_, _ = nc.Close(), other.Close()
		wantOpen(1)
		p.wantConns(4)
		d.CloseIdleConnections()
		p.stop()
	})
}

// What is no proxy of HTTP/2 is named as such, and its error is no io.EOF.
func TestNotHTTP2(t *testing.T) {
	for _, answer := range []string{"", "HTTP/1.1 400 Bad Request\r\n\r\n", "220 smtp.test ESMTP\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			l := memconn.Listen(memconn.Options{})
			d := &Dialer{Proxy: &url.URL{Scheme: "h2c", Host: "proxy.test"}, Dial: l.Dial}
			go func() {
				nc, err := l.Accept()
				if err == nil {
					_, _ = io.WriteString(nc, answer)
					_ = nc.(memconn.End).CloseWrite()
					_, _ = io.Copy(io.Discard, nc)
					_ = nc.Close()
				}
			}()
			_, err := d.DialContext(t.Context(), "tcp", "target.test:443")
			var op *net.OpError
			if !errors.As(err, &op) || op.Op != "proxyconnect" || errors.Is(err, io.EOF) {
				t.Errorf("%q: %v", answer, err)
			}
			t.Log(err)
			_ = l.Close()
		})
	}
}

// A dial function that ends its goroutine is an error for all that wait.
func TestDialExits(t *testing.T) {
	d := &Dialer{
		Proxy: &url.URL{Scheme: "h2c", Host: "proxy.test"},
		Dial: func(context.Context, string, string) (net.Conn, error) {
			runtime.Goexit()
			return nil, nil
		},
	}
	if _, err := d.DialContext(t.Context(), "tcp", "target.test:443"); !errors.Is(err, errDialExited) {
		t.Errorf("%v", err)
	}
}
