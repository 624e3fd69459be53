package tunnel

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestForwardClientStalls has clients take nothing of a response, or send nothing of their content:
// the limits hold for them, and so does Close.
func TestForwardClientStalls(t *testing.T) {
	t.Parallel()
	endless := tcpOrigin(t, func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
			return
		}
		_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		for b := make([]byte, 1<<20); err == nil; {
			_, err = c.Write(b)
		}
	})
	for _, way := range forwardWays {
		for _, end := range []string{EndIdle, EndShutdown} {
			t.Run(way+" "+end, func(t *testing.T) {
				t.Parallel() // crypto/tls may take 5 s to give up its close_notify
				sent := make(chan struct{}, 100)
				silent := tcpOrigin(t, func(c net.Conn) {
					if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
						_, _ = io.ReadFull(r.Body, make([]byte, 3))
						sent <- struct{}{}
					}
					_, _ = io.Copy(io.Discard, c)
				})
				p := &Proxy{IdleTimeout: time.Hour}
				if end == EndIdle {
					p.IdleTimeout = 500 * time.Millisecond
				}
				limits := holdLimits(p)
				e := newProxy(t, p)
				_ = e.stalledRequest(way, "GET", endless)
				upload := e.stalledRequest(way, "POST", silent)
				<-sent
				if end == EndIdle {
					limits.release()
				} else {
					_ = p.Close()
				}
				status := map[string]int{EndIdle: http.StatusGatewayTimeout, EndShutdown: http.StatusServiceUnavailable}[end]
				for range 2 {
					switch r := e.record(); {
					case r.Status == http.StatusOK && r.End == end:
					case r.Status == status && r.End == EndRefused && r.Sent == 3:
					default:
						t.Errorf("record: %+v", r)
					}
				}
				got, err := io.ReadAll(upload)
				if err != nil || way != overH2C && !strings.HasPrefix(string(got), fmt.Sprintf("HTTP/1.1 %d ", status)) {
					t.Errorf("%q, %v", got, err)
				}
			})
		}
	}
}

// stalledRequest sends a request to an origin, of which the client reads nothing and sends three
// octets of the content of a POST. The client's reader gives the response, over HTTP/1.1 with its
// head, to the end of the connection.
func (e *proxyEnv) stalledRequest(way, method, origin string) io.Reader {
	e.t.Helper()
	if way != overH2C {
		c := e.dialRaw(way)
		length := map[string]string{"POST": "Content-Length: 100\r\n\r\nabc"}[method]
		if length == "" {
			length = "\r\n"
		}
		write(e.t, c, method+" http://"+origin+"/ HTTP/1.1\r\nHost: x\r\n"+length)
		if method == http.MethodGet {
			if _, err := c.Read(make([]byte, 1)); err != nil {
				e.t.Fatal(err)
			}
		}
		return c
	}
	ctx, cancel := context.WithCancel(context.Background())
	e.t.Cleanup(cancel)
	content, w := io.Pipe()
	e.t.Cleanup(func() { _ = w.Close() })
	req, err := http.NewRequestWithContext(ctx, method, "http://"+origin+"/", content)
	if err != nil {
		e.t.Fatal(err)
	}
	if method == http.MethodGet {
		req.Body = nil
	} else {
		go func() { _, _ = w.Write([]byte("abc")) }() // ends with the pipe
	}
	tr := e.forwardClient(way)
	if method == http.MethodGet {
		resp, err := tr.Do(req)
		if err != nil {
			e.t.Fatal(err)
		}
		e.t.Cleanup(func() { _ = resp.Body.Close() })
		return resp.Body
	}
	out, in := io.Pipe()
	go func() { // ends with the response
		resp, err := tr.Do(req)
		if err == nil {
			_, err = io.Copy(in, resp.Body)
		}
		_ = in.CloseWithError(err)
	}()
	return out
}

// TestForwardEarlyResponse has the origin answer before the content of the request has come. The
// next request on the connection is one that the client has sent as such.
func TestForwardEarlyResponse(t *testing.T) {
	t.Parallel()
	origin := tcpOrigin(t, func(c net.Conn) {
		for r := bufio.NewReader(c); ; {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			_, _ = fmt.Fprintf(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: %d\r\n\r\n%[2]s",
				len(req.URL.Path), req.URL.Path)
			_, _ = io.Copy(io.Discard, req.Body)
		}
	})
	for _, test := range []struct{ name, rest string }{
		{"the content comes", "GET http://evil.test/ HTTP/1.1\r\n\r\n"},
		{"the content does not come", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := newProxy(t, &Proxy{})
			c := e.dialRaw(overHTTP1)
			r := bufio.NewReader(c)
			content := "GET http://evil.test/ HTTP/1.1\r\n\r\n"
			write(t, c, fmt.Sprintf("POST http://%s/a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", origin, len(content)))
			expect(t, r, 413, "/a")
			write(t, c, test.rest)
			if test.rest == "" {
				if n, err := r.Read(make([]byte, 1)); err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
					t.Fatalf("%d, %v: the connection is not closed", n, err)
				}
				return
			}
			write(t, c, "GET http://"+origin+"/b HTTP/1.1\r\nHost: x\r\n\r\n")
			expect(t, r, 413, "/b")
		})
	}
}

// TestRefuseContent refuses requests whose content does not come: the answer does.
func TestRefuseContent(t *testing.T) {
	t.Parallel()
	for _, head := range []string{
		"POST http://origin.test/ HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
		"POST http://origin.test/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
		"CONNECT origin.test:443 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		t.Run(head[:7], func(t *testing.T) {
			t.Parallel()
			e := newProxy(t, &Proxy{Policy: new(Rules), Resolver: localResolver{}})
			c := e.dialRaw(overHTTP1)
			write(t, c, head)
			got, err := io.ReadAll(c)
			if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 40") {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// TestForwardMalformed has origins answer with what is no response, or end without one.
func TestForwardMalformed(t *testing.T) {
	for _, test := range []struct{ response, want string }{
		{"", typeTerminated},
		{"HTTP/1.1 200 OK\r\n", typeTerminated},
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", typeProtocol},
		{"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n", typeProtocol},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", typeProtocol},
		{"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n", typeProtocol},
		{"SSH-2.0-x\r\n", typeProtocol},
	} {
		origin := tcpOrigin(t, func(c net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				_, _ = io.WriteString(c, test.response)
			}
		})
		e := newProxy(t, new(Proxy))
		resp, err := e.forwardClient(overHTTP1).Get("http://" + origin + "/")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		status := resp.Header.Get("Proxy-Status")
		if resp.StatusCode != http.StatusBadGateway || !strings.HasPrefix(status, "sluice;error="+test.want) {
			t.Errorf("%q: %s, %s; record: %s", test.response, resp.Status, status, e.record().Error)
		}
	}
}

// expect reads a response.
func expect(t *testing.T, r *bufio.Reader, status int, content string) {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status || string(body) != content {
		t.Fatalf("%s: %q, %v", resp.Status, body, err)
	}
}
