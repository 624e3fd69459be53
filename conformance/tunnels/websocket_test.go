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
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
)

// librarySite serves the libraries' handlers over TLS and on cleartext, over HTTP/1.1 and HTTP/2 on
// the same URLs.
type librarySite struct {
	*libraries
	srv        *server.Server
	plain, tls string // addresses
}

func newLibrarySite(t *testing.T) *librarySite {
	t.Helper()
	cert, err := selfsigned.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	s := &librarySite{libraries: newLibraries()}
	s.srv = &server.Server{
		Handler: server.WebSocket(s.libraries), ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
	}
	s.srv.MaxConcurrentStreams = 1000
	for _, secure := range []bool{false, true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if secure {
			s.tls = l.Addr().String()
			go s.srv.ServeTLS(l, "", "") // ends with the test
		} else {
			s.plain = l.Addr().String()
			go s.srv.Serve(l)
		}
	}
	t.Cleanup(func() { s.srv.Close() })
	return s
}

// url is that of a WebSocket.
func (s *librarySite) url(secure bool, library string) string {
	if secure {
		return "wss://" + s.tls + "/" + library
	}
	return "ws://" + s.plain + "/" + library
}

// webSocketTransport is a Transport that opens WebSockets over HTTP/2.
func webSocketTransport(t *testing.T, secure bool) *client.Transport {
	tr := &client.Transport{TLSClientConfig: insecure.Clone(), WebSocketHTTP2: true, StrictMaxConcurrentStreams: true}
	if !secure {
		tr.Protocols = new(http.Protocols)
		tr.Protocols.SetUnencryptedHTTP2(true)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// Each library as client talks to each as server, over HTTP/1.1 and HTTP/2, with TLS and without.
func TestWebSocketLibraries(t *testing.T) {
	s := newLibrarySite(t)
	for serving := range dialers {
		for dialling, dial := range dialers {
			for _, http2 := range []bool{false, true} {
				for _, secure := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s to %s/HTTP2 %t/TLS %t", dialling, serving, http2, secure), func(t *testing.T) {
						ctx, cancel := context.WithTimeout(t.Context(), patience)
						defer cancel()
						var tr *client.Transport
						dials := uint64(0)
						if http2 {
							tr = webSocketTransport(t, secure)
						}
						url := s.url(secure, serving)
						before := s.overHTTP2("/" + serving)
						own := "http" + strings.TrimSuffix(url[len("ws"):], "/"+serving)
						testWebSocket(t, func(origin string) (webSocket, error) {
							if origin == "" {
								origin = own
							}
							w, err := dial(ctx, tr, url, origin)
							if tr != nil && dials == 0 {
								dials = tr.Stats().Dials // more than 1 where the first has taken long
							}
							return w, err
						})
						if n := s.overHTTP2("/"+serving) - before; secure && (n > 0) != http2 {
							t.Errorf("%d WebSockets over HTTP/2", n)
						}
						if tr != nil {
							if n := tr.Stats().Dials - dials; n != 0 {
								t.Errorf("%d connections more than the first", n)
							}
						}
					})
				}
			}
		}
	}
	s.running.Wait()
}

func (s *librarySite) overHTTP2(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.http2[path]
}

// testWebSocket tries what RFC 6455 has.
func testWebSocket(t *testing.T, dial func(origin string) (webSocket, error)) {
	t.Helper()
	if _, err := dial("https://evil.test"); err != statusError(http.StatusForbidden) {
		t.Errorf("from another origin: %v", err)
	}
	w, err := dial("")
	if err != nil {
		t.Fatal(err)
	}
	if p := w.subprotocol(); p != "echo" {
		t.Errorf("the subprotocol is %q", p)
	}
	for _, size := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20, 10 << 20} {
		msg := body(size)
		sent := make(chan error, 1)
		go func() { sent <- w.send(msg) }()
		if got, err := w.receive(); err != nil || !bytes.Equal(got, msg) {
			t.Fatalf("%d octets: %d came back, %v", size, len(got), err)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	text := strings.Repeat("fragmented, ", 20000)
	sent := make(chan error, 1)
	go func() { sent <- w.sendFragmented([]byte(text)) }()
	if got, err := w.receive(); err != nil || string(got) != text {
		t.Fatalf("in fragments: %d octets came back, %v", len(got), err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if err := w.ping(); err != nil {
		t.Errorf("ping: %v", err)
	}
	if err := w.end(); err != nil {
		t.Errorf("the closing handshake: %v", err)
	}
	if w, err = dial(""); err != nil {
		t.Fatal(err)
	}
	if err := w.send([]byte("bye")); err != nil {
		t.Error(err)
	}
	if _, err := w.receive(); err != closeCode(byeCode) {
		t.Errorf("the server closes: %v", err)
	}
	w.drop()
}

// A thousand WebSockets share one connection, and leave nothing behind.
func TestWebSocketThousand(t *testing.T) {
	const sockets = 1000
	for serving := range dialers {
		t.Run(serving, func(t *testing.T) {
			before := runtime.NumGoroutine()
			s := newLibrarySite(t)
			tr := webSocketTransport(t, true)
			ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
			defer cancel()
			// A Transport dials again beside a dial that takes long, as on a busy machine.
			first, err := dialers[serving](ctx, tr, s.url(true, serving), "https://"+s.tls)
			if err != nil {
				t.Fatal(err)
			}
			first.drop()
			dials := tr.Stats().Dials
			names := []string{"coder", "gorilla", "gobwas"}
			errs := make(chan error, sockets)
			var open, all sync.WaitGroup
			open.Add(sockets)
			for i := range sockets {
				all.Go(func() {
					w, err := dialers[names[i%3]](ctx, tr, s.url(true, serving), "https://"+s.tls)
					open.Done()
					if err != nil {
						errs <- err
						return
					}
					defer w.drop()
					open.Wait() // all are open at the same time
					for n := range 3 {
						msg := body(1 << (8 + n))
						if err := w.send(msg); err != nil {
							errs <- err
							return
						}
						if got, err := w.receive(); err != nil || !bytes.Equal(got, msg) {
							errs <- fmt.Errorf("%d octets came back, %w", len(got), err)
							return
						}
					}
					if err := w.end(); err != nil {
						errs <- err
					}
				})
			}
			all.Wait()
			close(errs)
			for err := range errs {
				t.Error(err)
			}
			if st := tr.Stats(); st.Dials != dials {
				t.Errorf("%d connections more than the one that was there", st.Dials-dials)
			}
			s.running.Wait()
			tr.CloseIdleConnections()
			if err := s.srv.Close(); err != nil {
				t.Error(err)
			}
			wantGoroutines(t, before)
		})
	}
}

// wantGoroutines waits until no more goroutines are left than there were.
func wantGoroutines(t *testing.T, before int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for runtime.NumGoroutine() > before+5 { // what the test framework and net/http's idle connections have
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
		runtime.Gosched()
	}
}

// A WebSocket that ends in a bad way ends its handler, and leaves nothing behind.
func TestWebSocketBadEndings(t *testing.T) {
	endings := map[string]func(*client.Transport, []webSocket, *librarySite){
		"the client leaves without a close frame": func(_ *client.Transport, list []webSocket, _ *librarySite) {
			for _, w := range list {
				w.drop()
			}
		},
		"the client sends half a message": func(_ *client.Transport, list []webSocket, _ *librarySite) {
			for _, w := range list {
				go w.send(body(2 << 20)) // fails when the WebSocket is dropped, if not before
				w.drop()
			}
		},
		"the server closes": func(_ *client.Transport, list []webSocket, s *librarySite) {
			s.srv.Close()
			for _, w := range list {
				if _, err := w.receive(); err == nil || errors.Is(err, context.DeadlineExceeded) {
					panic(fmt.Sprint("the WebSocket goes on: ", err))
				}
				w.drop()
			}
		},
		"the client never reads": func(_ *client.Transport, list []webSocket, _ *librarySite) {
			for _, w := range list {
				if err := w.send(body(100 << 10)); err != nil {
					panic(err)
				}
				go func() { // ends when the WebSocket is dropped, if not before
					for range 20 {
						if w.send(body(100<<10)) != nil {
							return
						}
					}
				}()
			}
			for _, w := range list {
				w.drop()
			}
		},
	}
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			s := newLibrarySite(t)
			tr := webSocketTransport(t, true)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			var list []webSocket
			for serving := range dialers {
				for dialling, dial := range dialers {
					for range 3 {
						w, err := dial(ctx, tr, s.url(true, serving), "https://"+s.tls)
						if err != nil {
							t.Fatalf("%s to %s: %v", dialling, serving, err)
						}
						list = append(list, w)
					}
				}
			}
			end(tr, list, s)
			done := make(chan struct{})
			go func() {
				s.running.Wait()
				close(done)
			}()
			await(t, done, "the end of all handlers")
			cancel()
			tr.CloseIdleConnections()
			s.srv.Close()
			wantGoroutines(t, before)
		})
	}
}

// Shutdown waits for WebSockets that the application closes, as RegisterOnShutdown has it.
func TestWebSocketShutdown(t *testing.T) {
	s := newLibrarySite(t)
	s.srv.RegisterOnShutdown(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.gorilla {
			c.WriteControl(8, []byte{0x03, 0xe9}, time.Now().Add(patience)) // 1001, going away
		}
	})
	tr := webSocketTransport(t, true)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	w, err := dialGorilla(ctx, tr, s.url(true, "gorilla"), "https://"+s.tls)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.ping(); err != nil {
		t.Fatal(err)
	}
	down := make(chan error, 1)
	go func() { down <- s.srv.Shutdown(ctx) }()
	if _, err := w.receive(); err != closeCode(1001) {
		t.Errorf("the server goes away: %v", err)
	}
	w.drop()
	if err := await(t, down, "the end of Shutdown"); err != nil {
		t.Error(err)
	}
}
