package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// accepting is a Server whose handler accepts CONNECT and calls f with the tunnel.
func accepting(t *testing.T, f func(*conn.Tunnel, *http.Request)) *Server {
	srv := serving(func(w http.ResponseWriter, r *http.Request) {
		tunnel, err := AcceptConnect(w)
		if err != nil {
			t.Errorf("AcceptConnect: %v", err)
			return
		}
		f(tunnel, r)
	})
	srv.EnableConnectProtocol = true
	return srv
}

// relayBack sends back what comes, until its end.
func relayBack(tunnel *conn.Tunnel, _ *http.Request) { _, _ = io.Copy(tunnel, tunnel) }

func TestAcceptConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, accepting(t, relayBack))
		p.send(p.request(1, "CONNECT", "db.test:5432", false))
		p.want("a tunnel, at once", "HEADERS 1 :status=200")
		p.send(data(1, "ping", false))
		p.want("both ways", `DATA 1 "ping"`)
		p.send(data(1, "pong", false), data(1, "", true))
		p.want("the handler returns", `DATA 1 "pong"`, `DATA 1 "" END_STREAM`)

		p.send(p.request(3, "CONNECT", "/chat", true, ":protocol", "websocket"))
		p.want("the client's direction is closed from the start", "HEADERS 3 :status=200", `DATA 3 "" END_STREAM`)
		p.close()
	})
}

// unwrapper is a ResponseWriter around another.
type unwrapper struct{ http.ResponseWriter }

func (u unwrapper) Unwrap() http.ResponseWriter { return u.ResponseWriter }

func TestAcceptConnectAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serving(func(w http.ResponseWriter, r *http.Request) {
			var notes []string
			accept := func(w http.ResponseWriter) *conn.Tunnel {
				tunnel, err := AcceptConnect(w)
				for _, known := range []error{ErrNotConnect, ErrAnswered} {
					if errors.Is(err, known) {
						notes = append(notes, fmt.Sprint(err))
						return nil
					}
				}
				if err != nil {
					t.Errorf("AcceptConnect: %v", err)
				}
				return tunnel
			}
			switch r.URL.Path {
			case "/wrapped":
				w.Header().Set("Sec-WebSocket-Protocol", "chat")
				tunnel := accept(unwrapper{unwrapper{w}})
				if again := accept(w); again != tunnel {
					t.Error("a second call returns another tunnel")
				}
				_, err := io.WriteString(w, "x")
				fmt.Fprint(tunnel, errors.Is(err, http.ErrHijacked), http.NewResponseController(w).Flush(), r.Context().Err())
				w.Header().Set(http.TrailerPrefix+"Late", "a tunnel has no trailers")
			case "/status":
				w.WriteHeader(http.StatusNoContent)
				fmt.Fprint(accept(w), "204")
			case "/refused":
				w.WriteHeader(http.StatusForbidden)
				accept(w)
				fmt.Fprint(w, notes)
			case "/content":
				fmt.Fprint(w, "content.")
				accept(w)
				fmt.Fprint(w, notes)
			}
		})
		srv.EnableConnectProtocol = true
		p := newPeer(t, srv)
		connect := func(id uint32, path string) { p.send(p.request(id, "CONNECT", path, true, ":protocol", "x")) }
		connect(1, "/wrapped")
		p.want("fields, and no trailers", "HEADERS 1 :status=200 sec-websocket-protocol=chat",
			`DATA 1 "true <nil> <nil>"`, `DATA 1 "" END_STREAM`)
		connect(3, "/refused")
		p.want("an answer is an answer", "HEADERS 3 :status=403 content-type=text/plain; charset=utf-8 content-length=49",
			`DATA 3 "[server: the CONNECT request is answered already]" END_STREAM`)
		connect(5, "/content")
		p.want(
			"so is content",
			"HEADERS 5 :status=200",
			`DATA 5 "content.[server: the CONNECT request is answered already]" END_STREAM`,
		)
		connect(7, "/status")
		p.want("any 2xx will do", "HEADERS 7 :status=204", `DATA 7 "204"`, `DATA 7 "" END_STREAM`)
		p.close()
	})
}

// What is not CONNECT over HTTP/2 cannot be accepted.
func TestAcceptConnectRefuses(t *testing.T) {
	if _, err := AcceptConnect(httptest.NewRecorder()); !errors.Is(err, ErrNotConnect) {
		t.Errorf("another's ResponseWriter: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		var late http.ResponseWriter
		p := newPeer(t, serving(func(w http.ResponseWriter, _ *http.Request) {
			late = w
			if _, err := AcceptConnect(w); !errors.Is(err, ErrNotConnect) {
				t.Errorf("GET: %v", err)
			}
		}))
		p.get(1)
		p.want("answered", "HEADERS 1 :status=200 content-length=0 END_STREAM")
		if _, err := AcceptConnect(late); err == nil {
			t.Error("accepted after the handler has returned")
		}
		p.close()
	})
}

// A client that has got the head may go before AcceptConnect returns: what it has sent is there.
func TestAcceptConnectClientGone(t *testing.T) {
	for name, leave := range map[string]func(*peer){
		"reset": func(p *peer) { p.send(h2test.RST(1, frame.Cancel)) },
		"lost":  func(p *peer) { _ = p.nc.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gone, got := make(chan struct{}), make(chan string, 1)
				p := newPeer(t, serving(func(w http.ResponseWriter, _ *http.Request) {
					if err := http.NewResponseController(w).Flush(); err != nil {
						t.Errorf("Flush: %v", err)
					}
					<-gone
					tunnel, err := AcceptConnect(w)
					if err != nil {
						t.Errorf("AcceptConnect: %v", err)
						got <- ""
						return
					}
					b, err := io.ReadAll(tunnel)
					if err == nil {
						t.Error("the tunnel looks whole")
					}
					got <- string(b)
				}))
				p.send(p.request(1, "CONNECT", "db.test:5432", false))
				p.want("the head", "HEADERS 1 :status=200")
				p.send(data(1, "last words", false))
				synctest.Wait()
				leave(p)
				synctest.Wait()
				close(gone)
				if b := <-got; b != "last words" {
					t.Errorf("the tunnel has %q", b)
				}
				p.close()
			})
		})
	}
}

// Without the setting, :protocol is malformed (RFC 8441 §3); so it is with another method.
func TestConnectProtocolDisabled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, serving(func(http.ResponseWriter, *http.Request) { t.Error("the handler is called") }))
		p.send(p.request(1, "CONNECT", "/chat", false, ":protocol", "websocket"))
		p.want("not offered", "RST_STREAM 1 PROTOCOL_ERROR")
		p.close()

		srv := serving(func(http.ResponseWriter, *http.Request) { t.Error("the handler is called") })
		srv.EnableConnectProtocol = true
		p = newPeer(t, srv)
		p.send(p.request(1, "GET", "/chat", false, ":protocol", "websocket"))
		p.want("GET", "RST_STREAM 1 PROTOCOL_ERROR")
		p.close()
	})
}

// The end of the handler is the end of the tunnel, also for goroutines that it has left behind.
func TestTunnelEndsWithHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := make(chan error, 2)
		p := newPeer(t, accepting(t, func(tunnel *conn.Tunnel, r *http.Request) {
			go func() {
				_, err := tunnel.Read(make([]byte, 1))
				left <- err
				_, err = tunnel.Write([]byte("late"))
				left <- err
			}()
			_, _ = tunnel.Write([]byte(r.Host))
			if r.Host == "panic.test:1" {
				time.Sleep(time.Second)
				panic(http.ErrAbortHandler)
			}
		}))
		p.send(p.request(1, "CONNECT", "db.test:5432", false))
		p.want(
			"END_STREAM, and the client is to stop",
			"HEADERS 1 :status=200",
			`DATA 1 "db.test:5432"`,
			`DATA 1 "" END_STREAM`,
			"RST_STREAM 1 NO_ERROR",
		)
		p.send(p.request(3, "CONNECT", "panic.test:1", false))
		p.want("it waits", "HEADERS 3 :status=200", `DATA 3 "panic.test:1"`)
		time.Sleep(time.Second)
		p.want("a panic", "RST_STREAM 3 INTERNAL_ERROR")
		for range 4 {
			if err := <-left; !errors.Is(err, net.ErrClosed) && !errors.Is(err, frame.InternalError) {
				t.Errorf("a goroutine that was left behind got %v", err)
			}
		}
		p.close()
	})
}

// Timeouts of the server are for requests, not for tunnels; a reset ends the request's context.
func TestTunnelOutlivesTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := make(chan error, 1)
		srv := accepting(t, func(tunnel *conn.Tunnel, r *http.Request) {
			relayBack(tunnel, r)
			<-r.Context().Done()
			cause <- r.Context().Err()
		})
		srv.ReadTimeout, srv.WriteTimeout, srv.IdleTimeout = time.Second, time.Second, time.Second
		p := newPeer(t, srv)
		p.send(p.request(1, "CONNECT", "db.test:5432", false))
		p.want("a tunnel", "HEADERS 1 :status=200")
		time.Sleep(time.Hour)
		p.send(data(1, "ping", false))
		p.want("an hour later", `DATA 1 "ping"`)
		p.send(frame.RSTStream{StreamID: 1, Code: frame.ConnectError})
		p.want("reset")
		select {
		case <-cause:
		default:
			t.Error("the context has not ended")
		}
		p.close()
	})
}

// A drain lets tunnels go on; its grace, or Close, ends them.
func TestShutdownWithTunnels(t *testing.T) {
	for _, grace := range []time.Duration{0, time.Minute} {
		t.Run(grace.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ends := make(chan error, 1)
				srv := accepting(t, func(tunnel *conn.Tunnel, _ *http.Request) {
					_, err := io.Copy(tunnel, tunnel)
					ends <- err
				})
				srv.MaxConnectionAgeGrace = grace
				dial, served := listening(t, srv)
				p := dial()
				p.send(p.request(1, "CONNECT", "db.test:5432", false))
				p.want("a tunnel", "HEADERS 1 :status=200")
				shut := make(chan error, 1)
				go func() { shut <- srv.Shutdown(t.Context()) }()
				synctest.Wait()
				p.send(data(1, "ping", false))
				synctest.Wait()
				seen := strings.Join(p.take(), "; ")
				if !strings.Contains(seen, "GOAWAY") || !strings.Contains(seen, `DATA 1 "ping"`) {
					t.Errorf("while it drains: %s", seen)
				}
				time.Sleep(time.Hour)
				if grace == 0 {
					if len(shut) > 0 {
						t.Fatal("Shutdown did not wait for the tunnel")
					}
					p.send(data(1, "", true))
				}
				if err := <-shut; err != nil {
					t.Errorf("Shutdown: %v", err)
				}
				var ce *frame.ConnError
				if err := <-ends; grace == 0 && err != nil || grace > 0 && !errors.As(err, &ce) {
					t.Errorf("the tunnel ended with %v", err)
				}
				_ = p.nc.Close()
				if err := <-served; !errors.Is(err, http.ErrServerClosed) {
					t.Errorf("Serve: %v", err)
				}
			})
		})
	}
}
