package tunnel

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
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
				if end == EndShutdown {
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
