//go:build !nethttpomithttp2

package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/internal/selfsigned"
)

// alpnServer is a server on TLS that ignores ALPN.
type alpnServer struct {
	t        *testing.T
	l        *memconn.Listener
	st       states
	logs     syncBuffer
	shutdown func(context.Context) error
	close    func() error
	served   chan error
}

// alpnKinds are the ways to serve that a client cannot tell apart.
var alpnKinds = []string{kindServer, "own listener", kindConfigure}

func newALPNServer(t *testing.T, kind string, h http.HandlerFunc, adjust ...func(*http.Server)) *alpnServer {
	t.Helper()
	needsHTTP1(t)
	cert, err := selfsigned.Certificate("example.test")
	if err != nil {
		t.Fatal(err)
	}
	s := &alpnServer{t: t, l: memconn.Listen(clearLink(t)), served: make(chan error, 1)}
	config := &tls.Config{Certificates: []tls.Certificate{cert}} //nolint:gosec // of a test
	cfg := Config{IgnoreALPN: true}
	hs := &http.Server{Handler: h, TLSConfig: config, ConnState: s.st.note, ErrorLog: log.New(&s.logs, "", 0)}
	for _, f := range adjust {
		f(hs)
	}
	if kind == kindConfigure {
		if err := Configure(hs, &cfg); err != nil {
			t.Fatal(err)
		}
		s.shutdown, s.close = hs.Shutdown, hs.Close
		go func() { s.served <- hs.ServeTLS(s.l, "", "") }()
		return s
	}
	srv := &Server{
		Handler: h, TLSConfig: config, Config: cfg, ConnState: hs.ConnState, ErrorLog: hs.ErrorLog,
		ReadHeaderTimeout: hs.ReadHeaderTimeout, IdleTimeout: hs.IdleTimeout,
	}
	s.shutdown, s.close = srv.Shutdown, srv.Close
	if kind == kindServer {
		go func() { s.served <- srv.ServeTLS(s.l, "", "") }()
		return s
	}
	config.NextProtos = []string{"h2", "http/1.1"}
	go func() { s.served <- srv.Serve(tls.NewListener(s.l, config)) }()
	return s
}

func (s *alpnServer) dial(protos ...string) *tls.Conn {
	s.t.Helper()
	nc, err := s.l.Dial(s.t.Context(), "", "")
	if err != nil {
		s.t.Fatal(err)
	}
	//nolint:gosec // the certificate is of this test
	c := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, ServerName: "example.test", NextProtos: protos})
	if err := c.Handshake(); err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *alpnServer) stop() {
	s.t.Helper()
	_ = s.close()
	if err := <-s.served; !errors.Is(err, http.ErrServerClosed) {
		s.t.Errorf("it served until: %v", err)
	}
}

// What a client says first decides, and not what ALPN has chosen; handlers find what that was.
func TestIgnoreALPN(t *testing.T) {
	for _, kind := range alpnKinds {
		for _, chosen := range []string{"h2", "http/1.1", ""} {
			for _, speaks := range []string{"HTTP/2.0", "HTTP/1.1"} {
				if kind == kindConfigure && chosen != "h2" && speaks == "HTTP/2.0" {
					continue // net/http itself serves these
				}
				t.Run(fmt.Sprint(kind, " ", chosen, " ", speaks), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { testIgnoreALPN(t, kind, chosen, speaks) })
				})
			}
		}
	}
}

func testIgnoreALPN(t *testing.T, kind, chosen, speaks string) {
	s := newALPNServer(t, kind, tlsHandler)
	defer s.stop()
	offers := []string{chosen}
	if chosen == "" {
		offers = nil
	}
	c := s.dial(offers...)
	defer c.Close()
	want := speaks + " example.test " + chosen
	if speaks == "HTTP/2.0" {
		p := peerOn(t, c)
		p.write(frame.AppendSettings([]byte(frame.Preface)))
		p.get(1)
		synctest.Wait()
		if got := p.take(); !slices.Contains(got, fmt.Sprintf("DATA 1 %q END_STREAM", want)) {
			t.Errorf("%q, want %q", got, want)
		}
	} else {
		for range 2 { // the connection is kept
			if got := http1(t, c, "GET / HTTP/1.1\r\nHost: example.test\r\n\r\n"); got != "200 OK "+want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	}
	_ = c.Close()
	synctest.Wait()
	states := []string{"0 new", "0 active", "0 idle", "0 active", "0 idle", "0 closed"}
	s.st.want(t, states...)
	if _, ok := s.st.conns[0].(*tls.Conn); !ok {
		t.Errorf("ConnState was called with a %T", s.st.conns[0])
	}
}

// A handler of CONNECT in HTTP/1.1 hijacks the connection for which ALPN has chosen HTTP/2. What
// came with the request is there, and half of the connection can be closed.
func TestIgnoreALPNHijack(t *testing.T) {
	for _, kind := range alpnKinds {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newALPNServer(t, kind, func(w http.ResponseWriter, _ *http.Request) {
					nc, rw, err := w.(http.Hijacker).Hijack()
					if err != nil {
						t.Error(err)
						return
					}
					go func() {
						defer nc.Close()
						if _, ok := nc.(interface{ ConnectionState() tls.ConnectionState }); !ok {
							t.Errorf("a %T has no TLS", nc)
						}
						_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\n\r\n")
						if _, err := io.Copy(nc, rw); err != nil {
							t.Error(err)
						}
						if err := nc.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
							t.Error(err)
						}
					}()
				})
				defer s.stop()
				c := s.dial("h2", "http/1.1")
				defer c.Close()
				_, _ = io.WriteString(c, "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\nat once, ")
				r := bufio.NewReader(c)
				resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
				if err != nil || resp.StatusCode != http.StatusOK {
					t.Fatal(resp, err)
				}
				_, _ = io.WriteString(c, "and later")
				_ = c.CloseWrite()
				if got, err := io.ReadAll(r); string(got) != "at once, and later" || err != nil {
					t.Errorf("%q, %v", got, err)
				}
			})
		})
	}
}

// Shutdown lets a request of HTTP/1.1 finish, and closes a connection that is idle.
func TestIgnoreALPNShutdown(t *testing.T) {
	for _, kind := range alpnKinds {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				s := newALPNServer(t, kind, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/slow" {
						<-release
					}
					tlsHandler(w, r)
				})
				idle, busy := s.dial("h2"), s.dial("h2")
				defer idle.Close()
				defer busy.Close()
				http1(t, idle, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				_, _ = io.WriteString(busy, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
				synctest.Wait()
				done := make(chan error, 1)
				go func() { done <- s.shutdown(t.Context()) }()
				if _, err := io.ReadAll(idle); err != nil {
					t.Errorf("idle: %v", err)
				}
				time.Sleep(time.Minute)
				select {
				case err := <-done:
					t.Errorf("Shutdown did not wait: %v", err)
				default:
				}
				close(release)
				if got := http1(t, busy, ""); got != "200 OK HTTP/1.1  h2" && got != "200 OK HTTP/1.1 example.test h2" {
					t.Errorf("busy: %q", got)
				}
				if err := <-done; err != nil {
					t.Error(err)
				}
				s.stop()
			})
		})
	}
}

// A client that says neither, or nothing, or takes its time, is let go.
func TestIgnoreALPNHostile(t *testing.T) {
	for _, kind := range alpnKinds {
		for _, c := range []struct {
			name, send, want string
			within           time.Duration
		}{
			{"other protocol", "SSH-2.0-x\r\n", "", 0},
			{"wrong preface", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "\x00\x00", time.Second},
			{"silent", "", "", 3 * time.Second},
			{"part of the preface", "PRI * H", "HTTP/1.1 400 ", 3 * time.Second},
			{"part of a line", "GET / HT", "HTTP/1.1 400 ", 3 * time.Second},
			{"part of a head", "GET / HTTP/1.1\r\nHost", "HTTP/1.1 400 ", 3 * time.Second},
		} {
			t.Run(kind+" "+c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newALPNServer(t, kind, tlsHandler, func(hs *http.Server) { hs.ReadHeaderTimeout = 3 * time.Second })
					defer s.stop()
					nc := s.dial("h2")
					defer nc.Close()
					start := time.Now()
					_, _ = io.WriteString(nc, c.send)
					got, err := io.ReadAll(nc)
					if c.want == "" && len(got) > 0 || !strings.HasPrefix(string(got), c.want) {
						t.Errorf("%q, %v", got, err)
					}
					if d := time.Since(start); d > closesAfter(c.within) {
						t.Errorf("it took %v", d)
					}
				})
			})
		}
	}
}

// Connections of which net/http serves HTTP/1.1 alone are served where a TLS configuration of their
// own has offered HTTP/2.
func TestIgnoreALPNWithoutHTTP2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cert, err := selfsigned.Certificate("example.test")
		if err != nil {
			t.Fatal(err)
		}
		srv := serving(tlsHandler)
		srv.IgnoreALPN, srv.Protocols = true, new(http.Protocols)
		srv.Protocols.SetHTTP1(true)
		srv.TLSConfig = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}}, nil
		}}
		l := memconn.Listen(clearLink(t))
		served := make(chan error, 1)
		go func() { served <- srv.ServeTLS(l, "", "") }()
		s := &alpnServer{t: t, l: l, close: srv.Close, served: served}
		defer s.stop()
		c := s.dial("h2")
		defer c.Close()
		if got := http1(t, c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); got != "200 OK HTTP/1.1 example.test h2" {
			t.Error(got)
		}
	})
}
