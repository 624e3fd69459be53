package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/memconn"
)

// states records what ConnState is told, by connection in order of appearance.
type states struct {
	mu    sync.Mutex
	conns []net.Conn
	list  []string
}

func (s *states) note(nc net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.conns, nc)
	if i < 0 {
		i = len(s.conns)
		s.conns = append(s.conns, nc)
	}
	s.list = append(s.list, fmt.Sprintf("%d %v", i, state))
}

func (s *states) want(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.list, want) {
		t.Errorf("states %q, want %q", s.list, want)
	}
}

func okHandler(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, "ok")
	if r.ProtoMajor == 1 {
		_, _ = io.WriteString(w, " "+r.Proto)
	}
}

// http1 sends one request of HTTP/1.1 on nc and returns the body of the response.
func http1(t *testing.T, nc net.Conn, request string) string {
	t.Helper()
	if _, err := io.WriteString(nc, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Status + " " + string(body)
}

func TestSniff(t *testing.T) {
	needsClear(t)
	for _, c := range []struct {
		name, send, want string
	}{
		{"HTTP/1.1", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "200 OK ok HTTP/1.1"},
		{"begins like the preface", "PRIVATE / HTTP/1.1\r\nHost: a\r\n\r\n", "200 OK ok HTTP/1.1"},
		{"a bad field", "GET / HTTP/1.1\r\nHost a\r\n\r\n", "400 Bad Request 400 Bad Request"},
		{"a bad method", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", "400 Bad Request 400 Bad Request"},
		{"a long line", "GET /" + strings.Repeat("x", 8000) + " HTTP/1.1\r\nHost: a\r\n\r\n", "200 OK ok HTTP/1.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := dialPeer(t, serving(okHandler))
				nc := p.nc
				for _, b := range []byte(c.send) { // in pieces
					_, _ = nc.Write([]byte{b}) // the garbage is refused early
					synctest.Wait()
				}
				synctest.Wait()
				if got := strings.Join(p.take(), ""); got != "" && got != "closed" {
					t.Errorf("frames: %s", got)
				}
				p.close()
			})
			synctest.Test(t, func(t *testing.T) {
				client, server := memconn.Connect(clearLink(t))
				go serving(okHandler).ServeConn(server)
				if got := http1(t, client, c.send); got != c.want {
					t.Errorf("%s, want %s", got, c.want)
				}
				_ = client.Close()
			})
		})
	}
}

func TestBadPreface(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := dialPeer(t, serving(okHandler))
		p.write([]byte("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"))
		synctest.Wait()
		got := p.take()
		if len(got) == 0 || !strings.HasPrefix(got[0], "GOAWAY 0 PROTOCOL_ERROR") {
			t.Errorf("%q", got)
		}
		p.close()
	})
}

func TestPrefaceInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := dialPeer(t, serving(okHandler))
		for _, b := range frame.AppendSettings([]byte(frame.Preface)) {
			p.write([]byte{b})
			synctest.Wait()
		}
		p.get(1)
		p.want("an answer", ok(1)...)
		p.close()
	})
}

func TestSilentClient(t *testing.T) {
	needsClear(t)
	for name, c := range map[string]struct {
		adjust func(*Server)
		want   time.Duration
	}{
		"default":           {func(*Server) {}, time.Hour},
		"ReadHeaderTimeout": {func(s *Server) { s.ReadHeaderTimeout = 3 * time.Second }, 3 * time.Second},
		"ReadTimeout":       {func(s *Server) { s.ReadTimeout = 4 * time.Second }, 4 * time.Second},
		"PrefaceTimeout":    {func(s *Server) { s.PrefaceTimeout = 5 * time.Second }, 5 * time.Second},
		"FirstByteTimeout":  {func(s *Server) { s.FirstByteTimeout = 7 * time.Second }, 7 * time.Second},
		"IdleTimeout":       {func(s *Server) { s.IdleTimeout = 2 * time.Minute }, 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := serving(okHandler)
				c.adjust(srv)
				start := time.Now()
				p := dialPeer(t, srv)
				<-p.served
				if d := time.Since(start); d != closesAfter(c.want) {
					t.Errorf("closed after %v, want %v", d, closesAfter(c.want))
				}
				p.want("the end", "closed")
				_ = p.nc.Close()
			})
		})
	}
}

func TestProtocols(t *testing.T) {
	needsClear(t)
	set := func(h1, h2, clear bool) *http.Protocols {
		p := &http.Protocols{}
		p.SetHTTP1(h1)
		p.SetHTTP2(h2)
		p.SetUnencryptedHTTP2(clear)
		return p
	}
	for _, c := range []struct {
		name      string
		protocols *http.Protocols
		h1, h2    bool
	}{
		{"nil", nil, true, true},
		{"HTTP/1.1", set(true, false, false), true, false},
		{"both", set(true, true, true), true, true},
		{"no HTTP/1.1", set(false, false, true), false, true},
		{"TLS only", set(true, true, false), true, false},
		{"empty", &http.Protocols{}, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := serving(okHandler)
				srv.Protocols = c.protocols
				p := newPeer(t, srv)
				p.get(1)
				synctest.Wait()
				if got := slices.Contains(p.take(), okHead(1)); got != c.h2 {
					t.Errorf("HTTP/2: %t", got)
				}
				p.close()
				client, server := memconn.Connect(clearLink(t))
				go srv.ServeConn(server)
				_, _ = io.WriteString(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				resp, err := http.ReadResponse(bufio.NewReader(client), nil)
				if ok := err == nil && resp.StatusCode == 200; ok != c.h1 {
					t.Errorf("HTTP/1.1: %v, %v", resp, err)
				}
				_ = client.Close()
			})
		})
	}
}

func TestConnState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var st states
		srv := serving(okHandler)
		srv.ConnState = st.note
		p := newPeer(t, srv)
		synctest.Wait()
		st.want(t, "0 new", "0 active", "0 idle")
		p.get(1)
		synctest.Wait()
		st.want(t, "0 new", "0 active", "0 idle", "0 active", "0 idle")
		p.close()
		st.want(t, "0 new", "0 active", "0 idle", "0 active", "0 idle", "0 closed")

		if !pauseEnds() {
			return // net/http waits until the client closes before it says that a connection of HTTP/1.1 is idle
		}
		st = states{}
		client, server := memconn.Connect(clearLink(t))
		go srv.ServeConn(server)
		http1(t, client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		synctest.Wait()
		st.want(t, "0 new", "0 active", "0 idle")
		_ = client.Close()
		synctest.Wait()
		st.want(t, "0 new", "0 active", "0 idle", "0 closed")
		if st.conns[0] != net.Conn(server) {
			t.Errorf("ConnState got a %T", st.conns[0])
		}
	})
}

// TestContexts: the context of a connection is made once, and handlers of both protocols find it.
func TestContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type baseKey struct{}
		type connKey struct{}
		var mu sync.Mutex
		made := 0
		l := memconn.Listen(clearLink(t))
		srv := serving(func(w http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			_, isServer := ctx.Value(http.ServerContextKey).(*http.Server)
			fmt.Fprintf(
				w,
				"%v %v %t %v",
				ctx.Value(baseKey{}),
				ctx.Value(connKey{}),
				isServer,
				ctx.Value(http.LocalAddrContextKey),
			)
		})
		srv.BaseContext = func(got net.Listener) context.Context {
			if got != net.Listener(l) {
				t.Errorf("BaseContext got a %T", got)
			}
			return context.WithValue(context.Background(), baseKey{}, "base")
		}
		srv.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
			mu.Lock()
			defer mu.Unlock()
			made++
			return context.WithValue(ctx, connKey{}, made)
		}
		served := make(chan error)
		go func() { served <- srv.Serve(l) }()
		client, _ := l.Dial(t.Context(), "", "")
		if got := http1(t, client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); got != "200 OK base 1 true server:1" {
			t.Errorf("HTTP/1.1: %s", got)
		}
		nc, _ := l.Dial(t.Context(), "", "")
		p := peerOn(t, nc.(memconn.End))
		p.write(frame.AppendSettings([]byte(frame.Preface)))
		p.get(1)
		synctest.Wait()
		if got := p.take(); !slices.Contains(got, `DATA 1 "base 2 true server:1" END_STREAM`) {
			t.Errorf("HTTP/2: %q", got)
		}
		_ = client.Close()
		_ = nc.Close()
		_ = srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
}

func TestAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs := &syncBuffer{}
		srv := serving(okHandler)
		srv.ErrorLog = log.New(logs, "", 0)
		l := &flakyListener{Listener: memconn.Listen(clearLink(t)), left: 3}
		start := time.Now()
		served := make(chan error)
		go func() { served <- srv.Serve(l) }()
		time.Sleep(time.Minute)
		l.mu.Lock()
		if got, want := l.last.Sub(start), (5+10+20)*time.Millisecond; got != want {
			t.Errorf("tried again for %v, want %v", got, want)
		}
		l.mu.Unlock()
		if got := strings.Count(logs.String(), "http: Accept error: flaky; retrying in "); got != 3 {
			t.Errorf("logged:\n%s", logs)
		}
		l.mu.Lock()
		l.fatal = errors.New("broken")
		l.mu.Unlock()
		_ = l.Listener.Close()
		if err := <-served; err == nil || err.Error() != "broken" {
			t.Errorf("Serve: %v", err)
		}
	})
}

// flakyListener has temporary errors at first.
type flakyListener struct {
	net.Listener
	mu    sync.Mutex
	left  int
	last  time.Time
	fatal error
}

type temporaryError struct{ error }

func (temporaryError) Temporary() bool { return true }

func (l *flakyListener) Accept() (net.Conn, error) {
	l.mu.Lock()
	l.left--
	l.last = time.Now()
	left := l.left
	l.mu.Unlock()
	if left >= 0 {
		return nil, temporaryError{errors.New("flaky")}
	}
	nc, err := l.Listener.Accept()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fatal != nil {
		err = l.fatal
	}
	return nc, err
}

// TestHijack: a handler of HTTP/1.1 takes the connection, and ServeConn returns.
func TestHijack(t *testing.T) {
	needsHTTP1(t)
	synctest.Test(t, func(t *testing.T) {
		var st states
		srv := serving(func(w http.ResponseWriter, _ *http.Request) {
			nc, buf, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			go func() {
				time.Sleep(time.Second)
				line, _ := buf.ReadString('\n')
				_, _ = io.WriteString(nc, "mine: "+line)
				_ = nc.Close()
			}()
		})
		srv.ConnState = st.note
		client, server := memconn.Connect(clearLink(t))
		_, _ = io.WriteString(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\nhello\n")
		srv.ServeConn(server)
		st.want(t, "0 new", "0 active", "0 hijacked")
		if got, err := io.ReadAll(client); string(got) != "mine: hello\n" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		_ = client.Close()
	})
}

// Connections that a load balancer opens ahead are served when it uses them.
func TestConnectionsOpenedAhead(t *testing.T) {
	needsClear(t)
	synctest.Test(t, func(t *testing.T) {
		p := dialPeer(t, serving(okHandler))
		time.Sleep(50 * time.Minute)
		p.write(frame.AppendSettings([]byte(frame.Preface)))
		p.get(1)
		p.want("an answer", ok(1)...)
		p.close()
	})
}

// ReadHeaderTimeout is for headers: an upload may pause within a frame for longer.
func TestUploadPausesWithinAFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serving(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			if err != nil || len(b) != 9000 {
				t.Errorf("%d octets, %v", len(b), err)
			}
			w.WriteHeader(204)
		})
		srv.ReadHeaderTimeout = 5 * time.Second
		p := dialPeer(t, srv)
		p.write(frame.AppendSettingsAck(frame.AppendSettings([]byte(frame.Preface))))
		b := p.codec.Append(nil, p.request(1, "POST", "/", false))
		b = frame.Data{StreamID: 1, EndStream: true, Data: make([]byte, 9000)}.Append(b)
		p.write(b[:len(b)-100])
		time.Sleep(4 * time.Minute)
		p.write(b[len(b)-100:])
		synctest.Wait()
		if got := strings.Join(p.take(), " "); !strings.Contains(got, "204") {
			t.Errorf("the answer is %q", got)
		}
		p.close()
	})
}

// closeCounter counts calls of Close.
type closeCounter struct {
	net.Conn
	closes int
}

func (c *closeCounter) Close() error {
	c.closes++
	return c.Conn.Close()
}

// A connection is closed once, whatever it was to speak: a listener that bounds its connections
// counts that.
func TestPendingConnIsClosedOnce(t *testing.T) {
	client, nc := net.Pipe()
	_ = client.Close()
	c := &closeCounter{Conn: nc}
	var states []http.ConnState
	s := &Server{ConnState: func(_ net.Conn, state http.ConnState) { states = append(states, state) }}
	if err := s.ServeConnWith(c, ConnOptions{}); err != nil || c.closes != 1 {
		t.Errorf("closed %d times, error %v", c.closes, err)
	}
	if want := []http.ConnState{http.StateNew, http.StateClosed}; !slices.Equal(states, want) {
		t.Errorf("states %v, want %v", states, want)
	}
}
