//go:build unix

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestPeekSmallBuffers: a request line is seen where a socket holds less than the line until it is
// read: with a small receive buffer of TCP, or where a client of a Unix socket has a small send
// buffer and sends octet by octet.
func TestPeekSmallBuffers(t *testing.T) {
	small := net.ListenConfig{Control: func(network, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			if network != "unix" {
				_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1) // the least is more
			}
		})
	}}
	for _, network := range []string{"tcp", "unix"} {
		for _, piece := range []int{1, 100, 5000} {
			t.Run(fmt.Sprintf("%s by %d", network, piece), func(t *testing.T) {
				addr := "127.0.0.1:0"
				if network == "unix" {
					addr = filepath.Join(t.TempDir(), "s")
				}
				l, err := small.Listen(context.Background(), network, addr)
				if err != nil {
					t.Fatal(err)
				}
				srv := serving(func(w http.ResponseWriter, r *http.Request) {
					_, _ = fmt.Fprint(w, len(r.URL.Path))
				})
				srv.PrefaceTimeout = -1 // there is no end but an answer
				serveUntilEnd(t, srv, l)
				nc, err := net.Dial(network, l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer nc.Close()
				_ = nc.(interface{ SetWriteBuffer(int) error }).SetWriteBuffer(1)
				_ = nc.SetDeadline(time.Now().Add(time.Minute))
				go writeInPieces(nc, "GET /"+strings.Repeat("a", 3500)+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", piece)
				if b, err := io.ReadAll(nc); !strings.HasSuffix(string(b), "\r\n\r\n3501") || err != nil {
					t.Errorf("%q, %v", b, err)
				}
			})
		}
	}
}

func writeInPieces(nc net.Conn, s string, piece int) {
	for len(s) > 0 {
		n, err := io.WriteString(nc, s[:min(piece, len(s))])
		if err != nil {
			return
		}
		s = s[n:]
	}
}

// serveUntilEnd serves l until the test ends.
func serveUntilEnd(t *testing.T, srv *Server, l net.Listener) {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-served
	})
}

// TestPeekEndOfMultipath: the end of a connection of Multipath TCP, where the kernel knows that, is
// seen behind a part of a line.
func TestPeekEndOfMultipath(t *testing.T) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(true)
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := serving(okHandler)
	srv.PrefaceTimeout = -1
	serveUntilEnd(t, srv, l)
	for range 20 {
		var d net.Dialer
		d.SetMultipathTCP(true)
		nc, err := d.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(nc, "GET /")
		_ = nc.(*net.TCPConn).CloseWrite()
		if b, err := io.ReadAll(nc); !strings.HasPrefix(string(b), "HTTP/1.1 400 ") || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		_ = nc.Close()
	}
}

// TestPeekError: why a connection has ended that was peeked into is what a read of it says.
func TestPeekError(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(client *net.TCPConn)
		want error
	}{
		"reset":   {func(nc *net.TCPConn) { _ = nc.SetLinger(0); _ = nc.Close() }, syscall.ECONNRESET},
		"late":    {func(*net.TCPConn) {}, context.DeadlineExceeded},
		"nothing": {func(nc *net.TCPConn) { _ = nc.Close() }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			client, nc := connectedPair(t, "tcp")
			defer client.Close()
			srv := serving(okHandler)
			if name == "late" {
				srv.FirstByteTimeout = time.Millisecond
			}
			c.end(client.(*net.TCPConn))
			err := srv.ServeConnWith(nc, ConnOptions{})
			var op *net.OpError
			switch {
			case c.want == nil && err == nil:
			case !errors.As(err, &op) || op.Op != "read" || op.Net != "tcp" || op.Addr == nil:
				t.Errorf("%#v, %v", err, err)
			case name == "late" && !op.Timeout(), name != "late" && !errors.Is(err, c.want):
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// TestPeekedSocketIsClosed: a client whose first octets are not answered sees the end of the
// connection. A socket that is closed with octets that were not read sends a reset instead.
func TestPeekedSocketIsClosed(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nHost: example.test\r\n\r\n"
	for name, c := range map[string]struct {
		before string // Shutdown
		after  string
	}{
		"no request line":                 {"no line of a request, and more of that than the preface has\r\n\r\nmore", ""},
		"Shutdown before the first octet": {"", request},
		"Shutdown behind three octets":    {request[:3], request[3:]},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			isNew, refuses := make(chan struct{}), make(chan struct{})
			srv := serving(okHandler)
			srv.ConnState = func(_ net.Conn, s http.ConnState) {
				if s == http.StateNew {
					close(isNew)
				}
			}
			serveUntilEnd(t, srv, l)
			nc, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			_ = nc.SetDeadline(time.Now().Add(time.Minute))
			_, _ = io.WriteString(nc, c.before)
			<-isNew
			if c.after != "" {
				srv.http1.RegisterOnShutdown(func() { close(refuses) })
				ended := make(chan error, 1)
				go func() { ended <- srv.Shutdown(context.Background()) }()
				defer func() {
					if err := <-ended; err != nil {
						t.Error(err)
					}
				}()
				<-refuses
				_, _ = io.WriteString(nc, c.after)
			}
			if b, err := io.ReadAll(nc); len(b) > 0 || err != nil {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
}
