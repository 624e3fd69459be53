package client

import (
	"bufio"
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

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/server"
)

// rawUpgrade is the request of RFC 6455 §1.3, as a library writes it.
func rawUpgrade(host, path string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
}

// readerConn reads what a reader has read ahead.
type readerConn struct {
	net.Conn
	r *bufio.Reader
}

func (c readerConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// A library that dials by itself gets the WebSocket over HTTP/2 where the server has it.
func TestDialWebSocket(t *testing.T) {
	urls, base := origins(t)
	for origin, url := range urls {
		t.Run(origin, func(t *testing.T) {
			tr := base.Clone()
			defer tr.CloseIdleConnections()
			addr := strings.TrimPrefix(url, "https://")
			dials := uint64(0)
			for range 3 {
				nc, err := tr.DialWebSocket(t.Context(), "tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				if dials == 0 {
					dials = tr.Stats().Dials // more than 1 where the first has taken long
				}
				_ = nc.SetDeadline(time.Now().Add(time.Minute))
				raw := rawUpgrade("example.test", "/chat?a=b")
				for _, part := range []string{raw[:20], raw[20:]} { // what Write has completed is sent
					if n, err := io.WriteString(nc, part); err != nil || n != len(part) {
						t.Fatal(n, err)
					}
				}
				r := bufio.NewReader(nc)
				resp, err := http.ReadResponse(r, upgradeRequest(t, url))
				if err != nil {
					t.Fatal(err)
				}
				resp.Body = struct {
					io.Writer
					io.ReadCloser
				}{nc, readerConn{nc, r}}
				c := nc.(*webSocketConn)
				if _, http2 := c.nc.(*conn.Tunnel); http2 != (origin == "RFC 8441") {
					t.Errorf("the connection is a %T", c.nc)
				}
				if nc.LocalAddr().String() == "" || nc.RemoteAddr().String() != addr {
					t.Errorf("the addresses are %v and %v", nc.LocalAddr(), nc.RemoteAddr())
				}
				wantSwitch(t, resp, nil, "example.test /chat")
				if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
					t.Errorf("Read after Close: %v", err)
				}
			}
			if n := tr.Stats().Dials - dials; origin == "RFC 8441" && n != 0 {
				t.Errorf("%d connections more than the first", n)
			}
			nc, err := tr.DialWebSocket(t.Context(), "tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			_, _ = io.WriteString(nc, rawUpgrade("example.test", "/refused"))
			resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(resp.Body); resp.StatusCode != 403 || string(body) != "not you\n" || err != nil {
				t.Errorf("a refusal is %d %q, %v", resp.StatusCode, body, err)
			}
		})
	}
}

// What is no request for a WebSocket is refused, and nothing is dialled for it.
func TestDialWebSocketMisused(t *testing.T) {
	tr := &Transport{Proxy: noProxy, Dial: func(string, string) (net.Conn, error) {
		t.Error("dialled")
		return nil, io.EOF
	}}
	for _, what := range []string{
		"\x81\x05hello\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", strings.Repeat("x", maxWebSocketRequest+1),
		strings.Replace(rawUpgrade("x", "/"), "GET", "POST", 1),
	} {
		nc, err := tr.DialWebSocket(t.Context(), "tcp", "example.test:443")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, errNoWebSocketRequest) {
			t.Errorf("Read before a request: %v", err)
		}
		if _, err := io.WriteString(nc, what); !errors.Is(err, errNoWebSocketRequest) {
			t.Errorf("%.20q: %v", what, err)
		}
		nc.Close()
	}
}

// Deadlines and Close end a handshake, and deadlines hold for what follows.
func TestDialWebSocketDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, server.WebSocket(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/silent" {
				<-r.Context().Done()
				return
			}
			upgrades(w, r)
		})))
		tr := s.transport()
		dial := func(path string) net.Conn {
			nc, err := tr.DialWebSocket(t.Context(), "tcp", "example.test:80")
			if err != nil {
				t.Fatal(err)
			}
			return nc
		}
		for name, set := range map[string]func(net.Conn){
			"deadline": func(nc net.Conn) { _ = nc.SetDeadline(time.Now().Add(time.Second)) },
			"read":     func(nc net.Conn) { _ = nc.SetReadDeadline(time.Now().Add(time.Second)) },
			"meanwhile": func(nc net.Conn) {
				time.AfterFunc(time.Second, func() { _ = nc.SetDeadline(time.Unix(42, 0)) })
			},
			"close": func(nc net.Conn) { time.AfterFunc(time.Second, func() { nc.Close() }) },
		} {
			nc, start := dial("/silent"), time.Now()
			set(nc)
			want := os.ErrDeadlineExceeded
			if name == "close" {
				want = net.ErrClosed
			}
			_, err := io.WriteString(nc, rawUpgrade("example.test", "/silent"))
			if !errors.Is(err, want) || time.Since(start) != time.Second {
				t.Errorf("%s: %v after %v", name, err, time.Since(start))
			}
			nc.Close()
		}
		nc := dial("/chat")
		_ = nc.SetDeadline(time.Now().Add(time.Minute))
		if _, err := io.WriteString(nc, rawUpgrade("example.test", "/chat")); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(nc)
		if _, err := http.ReadResponse(r, nil); err != nil {
			t.Fatal(err)
		}
		wantLine(t, r, "example.test /chat")
		start := time.Now()
		if _, err := r.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("the read ended with %v after %v", err, time.Since(start))
		}
		_ = nc.SetDeadline(time.Time{})
		fmt.Fprint(nc, "x")
		if b, err := r.ReadByte(); b != 'x' || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		if err := nc.(*webSocketConn).CloseWrite(); err != nil {
			t.Error(err)
		}
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("the end is %v", err)
		}
		nc.Close()
		s.stop(tr)
	})
}
