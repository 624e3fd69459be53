package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/internal/selfsigned"
)

// leavingRequests is a client's whole life: the preface, and requests of all kinds that come whole.
func leavingRequests(p *peer, n int) []byte {
	b := append(frame.AppendSettings([]byte(frame.Preface)), frame.AppendSettingsAck(nil)...)
	for i := range n {
		id := uint32(2*i + 1)
		body := strings.Repeat("x", i*i%700+1)
		path := fmt.Sprintf("/%d", len(body))
		switch i % 4 {
		case 0:
			b = p.codec.Append(b, p.request(id, "GET", "/0", true))
		case 1:
			b = p.codec.Append(b, p.request(id, "POST", path, false))
			b = data(id, body, true).Append(b)
		case 2:
			b = p.codec.Append(b, p.request(id, "POST", path, false, "content-length", path[1:]))
			b = data(id, body[1:], false).Append(b)
			b = data(id, body[:1], false).Append(b)
			b = data(id, "", true).Append(b)
		default:
			b = p.codec.Append(b, p.request(id, "POST", path, false, "trailer", "x-t"))
			b = data(id, body, false).Append(b)
			b = p.codec.Append(b, h2test.Trailers(id, "x-t: v"))
		}
	}
	return b
}

// TestWholeRequestsOfLeavingClient: each request that came whole before the client left is served,
// with its whole body and its trailers, on real sockets and however the client leaves.
func TestWholeRequestsOfLeavingClient(t *testing.T) {
	const rounds, each = 15, 64
	leave := map[string]func(nc net.Conn){
		"FIN":        func(nc net.Conn) { _ = nc.Close() },
		"half close": func(nc net.Conn) { _ = nc.(halfCloser).CloseWrite(); _, _ = io.Copy(io.Discard, nc); _ = nc.Close() },
		"RST":        func(nc net.Conn) { _ = underTLS(nc).(*net.TCPConn).SetLinger(0); _ = underTLS(nc).Close() },
	}
	for name, leave := range leave {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s TLS %t", name, secure), func(t *testing.T) {
				var served, wrong atomic.Int32
				srv := serving(func(w http.ResponseWriter, r *http.Request) {
					b, err := io.ReadAll(r.Body)
					if err != nil || r.URL.Path != fmt.Sprintf("/%d", len(b)) || r.Trailer != nil && r.Trailer.Get("X-T") != "v" {
						wrong.Add(1)
					}
					_, _ = w.Write(b)
					served.Add(1)
				})
				dial := listenLocal(t, srv, secure)
				for range rounds {
					nc := dial()
					p := &peer{t: t, codec: h2test.NewCodec()}
					if _, err := nc.Write(leavingRequests(p, each)); err != nil {
						t.Fatal(err)
					}
					leave(nc)
				}
				for deadline := time.Now().Add(time.Minute); served.Load() < rounds*each && time.Now().Before(deadline); {
					waitABit()
				}
				if n := served.Load(); n != rounds*each || wrong.Load() > 0 {
					t.Errorf("%d of %d requests were served, %d without their body", n, rounds*each, wrong.Load())
				}
			})
		}
	}
}

func underTLS(nc net.Conn) net.Conn {
	if t, ok := nc.(*tls.Conn); ok {
		return t.NetConn()
	}
	return nc
}

// waitABit is for conditions that nothing announces, on real sockets.
func waitABit() { <-time.After(time.Millisecond) }

// listenLocal serves on a TCP socket of this machine and returns a function that connects.
func listenLocal(t *testing.T, srv *Server, secure bool) (dial func() net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	if secure {
		cert, err := selfsigned.Certificate("example.test")
		if err != nil {
			t.Fatal(err)
		}
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
		go func() { served <- srv.ServeTLS(l, "", "") }()
	} else {
		go func() { served <- srv.Serve(l) }()
	}
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return func() net.Conn {
		t.Helper()
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if !secure {
			return nc
		}
		//nolint:gosec // the certificate was made just now
		c := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		return c
	}
}

// TestQueuedRequestsOfLeavingClient: those that wait for a handler when the client leaves are
// served too, but not those that are not whole, or that the client has reset.
func TestQueuedRequestsOfLeavingClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &transcript{}
		srv := serving(func(_ http.ResponseWriter, r *http.Request) {
			if r.Method == "GET" {
				time.Sleep(time.Second) // though it was reset
				return
			}
			b, err := io.ReadAll(r.Body)
			n.add("%s %q %v", r.URL.Path, b, err)
		})
		srv.MaxConcurrentStreams = 3
		p := newPeer(t, srv)
		p.get(1, 3, 5)
		time.Sleep(10 * progressInterval)
		for _, id := range []uint32{1, 3, 5} {
			p.send(frame.RSTStream{StreamID: id, Code: frame.Cancel})
		}
		p.send(p.request(7, "POST", "/7", false), data(7, "whole", true))
		p.send(p.request(9, "POST", "/9", false), data(9, "part", false))
		p.send(p.request(11, "POST", "/11", false), data(11, "reset", true))
		p.send(frame.RSTStream{StreamID: 11, Code: frame.Cancel})
		synctest.Wait()
		p.close()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := fmt.Sprint(n.list); got != `[/7 "whole" <nil>]` {
			t.Errorf("served: %s", got)
		}
	})
}

// TestRequestsBeforeFault: requests that came whole before what breaks the protocol are served, in
// one read as in many.
func TestRequestsBeforeFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &transcript{}
		p := newPeer(t, serving(func(_ http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			n.add("%s %q %v", r.URL.Path, b, err)
		}))
		synctest.Wait()
		p.send(p.request(1, "POST", "/1", false), data(1, "whole", true), frame.Ping{}, data(0, "on stream 0", false))
		p.want("the fault", `GOAWAY 1 PROTOCOL_ERROR "DATA on stream 0 (RFC 9113 §6.1)"`, "closed")
		p.close()
		synctest.Wait()
		if got := fmt.Sprint(n.list); got != `[/1 "whole" <nil>]` {
			t.Errorf("served: %s", got)
		}
	})
}

// TestClientLeavesHandlerOfHTTP1: the context of a handler ends when the client leaves, on each
// kind of connection.
func TestClientLeavesHandlerOfHTTP1(t *testing.T) {
	for _, kind := range memconn.Kinds() {
		t.Run(kind.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told, stop := make(chan error, 1), make(chan struct{})
				srv := serving(func(_ http.ResponseWriter, r *http.Request) {
					select {
					case <-r.Context().Done():
						told <- r.Context().Err()
					case <-stop:
					}
				})
				client, server := memconn.Pipe(memconn.Options{Server: kind})
				served := make(chan struct{})
				go func() { srv.ServeConn(server); close(served) }()
				_, _ = io.WriteString(client, "GET / HTTP/1.1\r\nHost: example.test\r\n\r\n")
				synctest.Wait()
				if len(told) > 0 {
					t.Errorf("the context has ended before the client has left: %v", <-told)
				}
				_ = client.Close()
				synctest.Wait()
				if len(told) == 0 {
					t.Error("the client has left, and the handler was not told")
				}
				close(stop)
				<-served
			})
		})
	}
}
