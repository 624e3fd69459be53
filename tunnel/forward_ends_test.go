package tunnel

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// rawOrigin answers each connection with f, after the head of a request, and returns its address.
func rawOrigin(t *testing.T, f func(c net.Conn, head string)) string {
	t.Helper()
	l := listen(t)
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with f
				defer c.Close()
				var head strings.Builder
				for r := bufio.NewReader(c); ; {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					if head.WriteString(line); line == "\r\n" {
						break
					}
				}
				f(c, head.String())
			}()
		}
	}()
	return l.Addr().String()
}

// A client that takes nothing of a response holds nothing longer than the idle limit, and not
// against Close.
func TestForwardClientTakesNothing(t *testing.T) {
	t.Parallel()
	const get, ask = "Host: x\r\n\r\n", "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	for _, test := range []struct{ name, way, head string }{
		{"http1", overHTTP1, get},
		{"http1-tls", overHTTPS1, get},
		{"h2c", overH2C, ""},
		{"refused WebSocket", overHTTP1, ask},
	} {
		for _, end := range []string{EndIdle, EndShutdown} {
			t.Run(test.name+" "+end, func(t *testing.T) {
				t.Parallel() // crypto/tls may take 5 s to give up its close_notify
				began := make(chan struct{}, 1)
				addr := rawOrigin(t, func(c net.Conn, _ string) {
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
					b := make([]byte, 1<<16)
					for n := 0; ; n++ {
						if _, err := c.Write(b); err != nil {
							return
						}
						if n == 64 {
							began <- struct{}{}
						}
					}
				})
				p := &Proxy{IdleTimeout: 300 * time.Millisecond}
				if end == EndShutdown {
					p.IdleTimeout = -1
				}
				limits := holdLimits(p)
				e := newProxy(t, p)
				if test.way == overH2C {
					resp, err := e.forwardClient(test.way).Get("http://" + addr)
					if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
				} else {
					_, _ = fmt.Fprintf(e.dialRaw(test.way), "GET http://%s/ HTTP/1.1\r\n%s", addr, test.head)
					<-began // the buffers of both sockets may not be full, but will be
				}
				if end == EndIdle {
					limits.release()
				} else {
					_ = p.Close()
				}
				if r := e.record(); r.End != end || r.Status != http.StatusOK {
					t.Errorf("record: %+v", r)
				}
			})
		}
	}
}

// The response of an origin that refuses a WebSocket arrives whole, however long it is.
func TestWebSocketRefusedAtLength(t *testing.T) {
	const size = 1 << 20
	addr := rawOrigin(t, func(c net.Conn, _ string) {
		_, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden\r\n\r\n"+strings.Repeat("x", size))
	})
	e := newProxy(t, &Proxy{})
	c := e.dialRaw(overHTTP1)
	_, _ = fmt.Fprintf(c, "GET http://%s/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", addr)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	if n != size || err != nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("%s with %d octets, %v", resp.Status, n, err)
	}
	if r := e.record(); r.End != EndClosed || r.Received != size {
		t.Errorf("record: %+v", r)
	}
}

// exchange sends octets to the proxy over HTTP/1.1, ends the direction and returns what comes back.
func (e *proxyEnv) exchange(octets string) string {
	e.t.Helper()
	c := e.dialRaw(overHTTP1)
	write(e.t, c, octets)
	if err := c.CloseWrite(); err != nil {
		e.t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		e.t.Fatal(err)
	}
	return string(b)
}

// A status that is none of a final response is the origin's fault.
func TestForwardBadStatus(t *testing.T) {
	for _, status := range []string{"000", "099"} {
		for _, way := range forwardWays {
			addr := rawOrigin(t, func(c net.Conn, _ string) {
				_, _ = io.WriteString(c, "HTTP/1.1 "+status+" Odd\r\nContent-Length: 0\r\n\r\n")
			})
			e := newProxy(t, &Proxy{})
			resp, err := e.forwardClient(way).Get("http://" + addr)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if r := e.record(); resp.StatusCode != http.StatusBadGateway || r.End != EndRefused {
				t.Errorf("%s by %s: %s, %+v", status, way, resp.Status, r)
			}
		}
	}
}

// A client of HTTP/1.0 gets no interim response.
func TestForwardInterimHTTP10(t *testing.T) {
	addr := rawOrigin(t, func(c net.Conn, _ string) {
		_, _ = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
	})
	c := newProxy(t, &Proxy{}).dialRaw(overHTTP1)
	write(t, c, "GET http://"+addr+"/ HTTP/1.0\r\n\r\n")
	b, err := io.ReadAll(c)
	got := string(b)
	if err != nil || !strings.HasPrefix(got, "HTTP/1.0 204 ") || strings.Contains(got, "103") {
		t.Errorf("%q, %v", got, err)
	}
}

// Trailers that are for one connection, or say how a message is framed, are not sent on, and a
// field of the header does not become a trailer.
func TestForwardTrailersFiltered(t *testing.T) {
	for _, announced := range []string{"", "Trailer: Connection, Set-Cookie, Proxy-Authenticate, Via\r\n"} {
		for _, way := range forwardWays {
			addr := rawOrigin(t, func(c net.Conn, _ string) {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"+announced+
					"\r\n5\r\nhello\r\n0\r\nConnection: close\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n"+
					"Proxy-Authenticate: Basic\r\nSet-Cookie: a=b\r\nVia: 1.1 origin\r\n\r\n")
			})
			e := newProxy(t, &Proxy{})
			resp, err := e.forwardClient(way).Get("http://" + addr)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			want := http.Header{"Set-Cookie": {"a=b"}, "Via": {"1.1 origin"}}
			if string(body) != "hello" || err != nil || !reflect.DeepEqual(resp.Trailer, want) {
				t.Errorf("%s by %s: %q, %v, %v", announced, way, body, err, resp.Trailer)
			}
		}
	}
}

// Content that does not come whole is not the origin's fault.
func TestForwardContentNotWhole(t *testing.T) {
	addr := rawOrigin(t, func(c net.Conn, _ string) { _, _ = io.Copy(io.Discard, c) })
	for _, content := range []string{
		"Content-Length: 100\r\n\r\nabc",
		"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzzz\r\n",
	} {
		e := newProxy(t, &Proxy{})
		got := e.exchange("POST http://" + addr + "/ HTTP/1.1\r\nHost: x\r\n" + content)
		if !strings.HasPrefix(got, "HTTP/1.1 400 ") || strings.Contains(got, "origin") {
			t.Errorf("%q: %q", content, got)
		}
		if r := e.record(); r.Status != http.StatusBadRequest || strings.Contains(r.Error, "origin") {
			t.Errorf("%q: %+v", content, r)
		}
	}
}

// What a client writes before @ in a target is in no record and no answer.
func TestConnectUserinfoHidden(t *testing.T) {
	e := newProxy(t, &Proxy{})
	got := e.exchange("CONNECT bob:secret@example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 400 ") || strings.Contains(got, "secret") {
		t.Errorf("%q", got)
	}
	if r := e.record(); strings.Contains(r.Target+r.Error, "secret") || !strings.HasSuffix(r.Target, "@example.com:443") {
		t.Errorf("record: %+v", r)
	}
}

// An extended CONNECT for a protocol that the proxy does not know goes to no origin.
func TestConnectUnknownProtocol(t *testing.T) {
	e := newProxy(t, &Proxy{})
	req, _ := http.NewRequest(http.MethodConnect, "http://"+e.plain+"/x", nil)
	req.Host, req.Header[":protocol"] = "127.0.0.1:1", []string{"other"}
	tunnel, resp, err := e.transport(overH2C).Connect(req)
	if err != nil || tunnel != nil || resp.StatusCode != http.StatusNotImplemented {
		t.Errorf("%v, %v, %v", tunnel, resp, err)
	}
}
