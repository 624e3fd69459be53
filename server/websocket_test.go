package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/frame"
)

// webSocketServer is a Server whose handler, of HTTP/1.1, is f.
func webSocketServer(f func(http.ResponseWriter, *http.Request)) *Server {
	return &Server{Handler: WebSocket(http.HandlerFunc(f))}
}

// openWebSocket sends the request of RFC 8441 §5.1.
func (p *peer) openWebSocket(id uint32, path string, fields ...string) {
	p.t.Helper()
	fields = append([]string{":protocol", "websocket", "sec-websocket-version", "13"}, fields...)
	p.send(p.request(id, "CONNECT", path, false, fields...))
}

// hijack takes the connection over.
func hijack(t *testing.T, w http.ResponseWriter) net.Conn {
	t.Helper()
	nc, brw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return nil
	}
	if n := brw.Reader.Buffered(); n != 0 {
		t.Errorf("%d octets are buffered", n)
	}
	return nc
}

const rawSwitch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: chat\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n"

// A handler sees a request of HTTP/1.1.
func TestWebSocketRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, webSocketServer(func(w http.ResponseWriter, r *http.Request) {
			key := r.Header.Get("Sec-WebSocket-Key")
			r.Header.Del("Sec-WebSocket-Key")
			body, err := io.ReadAll(r.Body)
			got := fmt.Sprintln(r.Method, r.Proto, r.ProtoAtLeast(2, 0), r.Host, r.RequestURI, r.URL, len(key),
				r.ContentLength, body, err, r.Header)
			want := "GET HTTP/1.1 false example.test /chat?a=b /chat?a=b 24 0 [] <nil> map[Connection:[Upgrade] " +
				"Origin:[http://example.test] Sec-Websocket-Version:[13] Upgrade:[websocket]]\n"
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("the request (-want +got):\n%s", d)
			}
			http.Error(w, "not today", http.StatusForbidden)
		}))
		p.openWebSocket(1, "/chat?a=b", "origin", "http://example.test")
		p.wantFirst(":status=403")
		p.close()
	})
}

// The three ways in which libraries accept give one answer, and the stream lives on when the
// handler has returned.
func TestWebSocketAccept(t *testing.T) {
	ways := map[string]func(http.ResponseWriter) (net.Conn, error){
		"written": func(w http.ResponseWriter) (net.Conn, error) {
			w.Header().Set("X-Lost", "as with HTTP/1.1")
			nc := hijack(t, w)
			_, err := io.WriteString(nc, rawSwitch)
			return nc, err
		},
		"in pieces": func(w http.ResponseWriter) (net.Conn, error) {
			nc := hijack(t, w)
			for i := range rawSwitch {
				if _, err := io.WriteString(nc, rawSwitch[i:i+1]); err != nil {
					return nil, err
				}
			}
			return nc, nil
		},
		"WriteHeader": func(w http.ResponseWriter) (net.Conn, error) {
			w.Header()["Sec-Websocket-Protocol"] = []string{"chat"}
			w.Header()["Set-Cookie"] = []string{"a", "b"}
			w.Header().Set("Sec-WebSocket-Accept", "x")
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "websocket")
			w.WriteHeader(http.StatusSwitchingProtocols)
			nc := hijack(t, w)
			if w.Header().Get("Sec-WebSocket-Accept") != "x" {
				return nil, errors.New("the header map has changed")
			}
			return nc, nil
		},
	}
	for name, accept := range ways {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan error, 1)
				p := newPeer(t, webSocketServer(func(w http.ResponseWriter, r *http.Request) {
					nc, err := accept(w)
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := w.Write(nil); !errors.Is(err, http.ErrHijacked) {
						t.Errorf("Write after Hijack: %v", err)
					}
					w.WriteHeader(http.StatusTeapot) // has no effect
					go func() {
						<-r.Context().Done() // the handler has returned
						_, err := io.Copy(nc, nc)
						ended <- err
						nc.Close()
					}()
				}))
				p.openWebSocket(1, "/chat")
				synctest.Wait()
				got := strings.Join(p.take(), "\n")
				for _, want := range []string{"HEADERS 1 :status=200", "sec-websocket-protocol=chat", "set-cookie=a set-cookie=b"} {
					if !strings.Contains(got, want) {
						t.Errorf("%q lacks %q", got, want)
					}
				}
				for _, bad := range []string{"accept", "upgrade", "connection", "lost", "END_STREAM", "DATA"} {
					if strings.Contains(got, bad) {
						t.Errorf("%q has %q", got, bad)
					}
				}
				p.send(data(1, "ping", false))
				p.want("an echo", `DATA 1 "ping"`)
				p.send(data(1, "pong", true))
				p.want("the end", `DATA 1 "pong"`, `DATA 1 "" END_STREAM`)
				if err := <-ended; err != nil {
					t.Error(err)
				}
				p.close()
			})
		})
	}
}

// What is no answer of 101 is a refusal.
func TestWebSocketRefused(t *testing.T) {
	notSwitched := func(text string) []string {
		text = "This URL is no WebSocket: the request to switch protocols was answered with " + text + ".\n"
		return []string{"HEADERS 1 :status=501", fmt.Sprintf("DATA 1 %q", text), "END_STREAM RST_STREAM 1 NO_ERROR"}
	}
	cases := map[string]struct {
		handler func(http.ResponseWriter)
		want    []string
	}{
		"page": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "4")
			if _, err := io.WriteString(w, "page"); !errors.Is(err, http.ErrBodyNotAllowed) {
				t.Errorf("Write: %v", err)
			}
			if _, _, err := w.(http.Hijacker).Hijack(); !errors.Is(err, ErrAnswered) {
				t.Errorf("Hijack after a page: %v", err)
			}
		}, notSwitched("OK")},
		"nothing": {func(http.ResponseWriter) {}, notSwitched("OK")},
		"204":     {func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }, notSwitched("No Content")},
		"flush":   {func(w http.ResponseWriter) { w.(http.Flusher).Flush() }, notSwitched("OK")},
		"redirect": {func(w http.ResponseWriter) { w.Header().Set("Location", "/"); w.WriteHeader(302) }, []string{
			"HEADERS 1 :status=302", "location=/", "END_STREAM RST_STREAM 1 NO_ERROR",
		}},
		"written": {func(w http.ResponseWriter) {
			nc := hijack(t, w)
			fmt.Fprintf(nc, "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nno")
			fmt.Fprintf(nc, "\n")
			if n, err := nc.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("Read after a refusal: %d, %v", n, err)
			}
			nc.Close()
		}, []string{
			"HEADERS 1 :status=426", "content-length=3", `DATA 1 "no\n" END_STREAM RST_STREAM 1 NO_ERROR`,
		}},
		"200 written": {func(w http.ResponseWriter) {
			fmt.Fprintf(hijack(t, w), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
		}, notSwitched("OK")},
		"interim": {func(w http.ResponseWriter) {
			fmt.Fprintf(hijack(t, w), "HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\nHTTP/1.1 400 Bad Request\r\n\r\n")
		}, []string{
			"HEADERS 1 :status=103 link=</> HEADERS 1 :status=400 ", "END_STREAM RST_STREAM 1 NO_ERROR",
		}},
		"closed": {func(w http.ResponseWriter) { hijack(t, w).Close() }, []string{"RST_STREAM 1 INTERNAL_ERROR"}},
		"no head": {func(w http.ResponseWriter) {
			nc := hijack(t, w)
			if _, err := io.WriteString(nc, "\x81\x05hello\r\n\r\n"); err == nil {
				t.Error("a frame was taken for a head")
			}
			nc.Close()
		}, []string{"RST_STREAM 1 INTERNAL_ERROR"}},
		"endless head": {func(w http.ResponseWriter) {
			nc := hijack(t, w)
			if _, err := io.WriteString(nc, strings.Repeat("x", maxWebSocketHead+1)); err == nil {
				t.Error("a head without an end was taken")
			}
			nc.Close()
		}, []string{"RST_STREAM 1 INTERNAL_ERROR"}},
		"panic": {func(w http.ResponseWriter) {
			hijack(t, w)
			panic(http.ErrAbortHandler)
		}, []string{"RST_STREAM 1 INTERNAL_ERROR"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, webSocketServer(func(w http.ResponseWriter, _ *http.Request) { c.handler(w) }))
				p.openWebSocket(1, "/")
				synctest.Wait()
				got := strings.Join(p.take(), " ")
				for _, want := range c.want {
					if !strings.Contains(got, want) {
						t.Errorf("%q lacks %q", got, want)
					}
				}
				p.close()
			})
		})
	}
}

// Deadlines hold before the answer and after it.
func TestWebSocketDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, webSocketServer(func(w http.ResponseWriter, _ *http.Request) {
			nc := hijack(t, w)
			wantTimeout := func(why string, read bool) {
				start := time.Now()
				set, call := nc.SetWriteDeadline, nc.Write
				if read {
					set, call = nc.SetReadDeadline, nc.Read
				}
				if err := set(start.Add(time.Second)); err != nil {
					t.Error(err)
				}
				if !read {
					time.Sleep(time.Second + time.Millisecond)
				}
				_, err := call(make([]byte, 10))
				if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start).Truncate(10*time.Millisecond) != time.Second {
					t.Errorf("%s: %v after %v", why, err, time.Since(start))
				}
				_ = nc.SetDeadline(time.Time{})
			}
			wantTimeout("a read before the answer", true)
			wantTimeout("a write before the answer", false)
			_ = nc.SetReadDeadline(time.Now().Add(time.Minute))
			_, _ = io.WriteString(nc, rawSwitch)
			start := time.Now()
			if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
				t.Errorf("the deadline from before the answer: %v after %v", err, time.Since(start))
			}
			wantTimeout("a read", true)
			wantTimeout("a write", false)
			if nc.LocalAddr() == nil || nc.RemoteAddr() == nil {
				t.Error("no addresses")
			}
			nc.Close()
			if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Read after Close: %v", err)
			}
		}))
		p.openWebSocket(1, "/")
		time.Sleep(time.Hour)
		p.wantFirst("HEADERS 1 :status=200")
		p.close()
	})
}

// A handler may leave the answer to another goroutine, which finds out when the client has gone.
func TestWebSocketAnswerLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conns := make(chan net.Conn, 1)
		p := newPeer(t, webSocketServer(func(w http.ResponseWriter, _ *http.Request) { conns <- hijack(t, w) }))
		p.openWebSocket(1, "/")
		nc := <-conns
		time.Sleep(time.Minute)
		p.want("no answer yet")
		_, _ = io.WriteString(nc, rawSwitch)
		_, _ = io.WriteString(nc, "hi")
		p.wantFirst("HEADERS 1 :status=200")
		nc.Close()
		p.want("closed", `DATA 1 "" END_STREAM`, "RST_STREAM 1 NO_ERROR")

		p.openWebSocket(3, "/")
		nc = <-conns
		read := make(chan error, 1)
		go func() {
			_, err := nc.Read(make([]byte, 1))
			read <- err
		}()
		synctest.Wait()
		p.send(frame.RSTStream{StreamID: 3, Code: frame.Cancel})
		if err := <-read; !errors.Is(err, frame.Cancel) {
			t.Errorf("the read of a client that has gone: %v", err)
		}
		synctest.Wait()
		if _, err := io.WriteString(nc, rawSwitch); err == nil {
			t.Error("an answer to a client that has gone succeeds")
		}
		nc.Close()
		p.close()
	})
}

// Extended CONNECT is offered by the wrapper alone, for WebSocket alone; within another handler by
// EnableConnectProtocol, for what handlers take.
func TestWebSocketOffered(t *testing.T) {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			tunnel, err := AcceptConnect(w)
			if err == nil {
				relayBack(tunnel, r)
			}
			return
		}
		http.Error(w, r.Method, http.StatusTeapot)
	})
	mux := http.NewServeMux()
	mux.Handle("/", WebSocket(echo))
	wrapped := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { mux.ServeHTTP(unwrapper{w}, r) })
	opaque := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
	})
	cases := map[string]struct {
		handler          http.Handler
		enable           bool
		webSocket, other string
	}{
		"alone":              {WebSocket(mux), false, ":status=418", ":status=501"},
		"with the field":     {WebSocket(echo), true, ":status=418", ":status=200"},
		"in a mux":           {wrapped, true, ":status=418", ":status=200"},
		"without Unwrap":     {opaque, true, ":status=501", ":status=501"},
		"not offered at all": {wrapped, false, "RST_STREAM 1 PROTOCOL_ERROR", "RST_STREAM 3 PROTOCOL_ERROR"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := &Server{Handler: c.handler}
				srv.EnableConnectProtocol = c.enable
				p := newPeer(t, srv)
				p.openWebSocket(1, "/")
				p.wantFirst(c.webSocket)
				p.send(p.request(3, "CONNECT", "/", true, ":protocol", "other"))
				p.wantFirst(c.other)
				p.close()
			})
		})
	}
}

// wantFirst compares the first of the frames that have come.
func (p *peer) wantFirst(want string) {
	p.t.Helper()
	synctest.Wait()
	if got := p.take(); len(got) == 0 || !strings.Contains(got[0], want) {
		p.t.Errorf("%q does not begin with %q", got, want)
	}
}

// Shutdown waits for a WebSocket to be closed. It ends the context of a handler that has not
// returned.
func TestWebSocketShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conns := make(chan net.Conn, 2)
		srv := webSocketServer(func(w http.ResponseWriter, r *http.Request) {
			nc := hijack(t, w)
			_, _ = io.WriteString(nc, rawSwitch)
			if conns <- nc; r.URL.Path == "/stay" {
				<-r.Context().Done()
				if err := r.Context().Err(); err == nil {
					t.Error("no error")
				}
			}
		})
		p := newPeer(t, srv)
		p.openWebSocket(1, "/stay")
		p.openWebSocket(3, "/leave")
		first, second := <-conns, <-conns
		synctest.Wait()
		p.take()
		down := make(chan error, 1)
		start := time.Now()
		go func() { down <- srv.Shutdown(t.Context()) }()
		time.Sleep(time.Minute)
		first.Close()
		second.Close()
		if err := <-down; err != nil || time.Since(start) < time.Minute {
			t.Errorf("Shutdown: %v after %v", err, time.Since(start))
		}
		p.close()
	})
}
