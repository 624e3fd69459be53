//go:build unix

package socket

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// Errors of sockets that are read and written by their descriptor are worded as package net does.
func TestErrorsOfSockets(t *testing.T) {
	past := func(set func(time.Time) error) { _ = set(time.Unix(1, 0)) }
	const late = "i/o timeout"
	for _, network := range []string{"tcp", "tcp4", "unix"} {
		for name, c := range map[string]struct {
			op      string
			prepare func(nc, peer net.Conn)
			is      error
			text    string // without the addresses
		}{
			"read deadline":  {"read", func(nc, _ net.Conn) { past(nc.SetReadDeadline) }, os.ErrDeadlineExceeded, late},
			"write deadline": {"write", func(nc, _ net.Conn) { past(nc.SetWriteDeadline) }, os.ErrDeadlineExceeded, late},
			"read closed":    {"read", func(nc, _ net.Conn) { nc.Close() }, net.ErrClosed, "use of closed network connection"},
			"write closed":   {"write", func(nc, _ net.Conn) { nc.Close() }, net.ErrClosed, "use of closed network connection"},
			"read reset": {
				"read", func(_, peer net.Conn) { reset(peer) }, syscall.ECONNRESET, "read: connection reset by peer",
			},
			"write reset": {
				"write", func(nc, _ net.Conn) { _ = nc.(interface{ CloseWrite() error }).CloseWrite() }, syscall.EPIPE,
				"write: broken pipe",
			},
		} {
			if network == "unix" && name == "read reset" {
				continue // there is none
			}
			t.Run(network+" "+name, func(t *testing.T) {
				nc, peer := socketsOf(t, network)
				c.prepare(nc, peer)
				var err error
				if c.op == "read" {
					_, err = NewReader(Of(nc)).Read(make([]byte, 1))
				} else {
					_, err = NewWriter(Of(nc)).Write([]byte("x"))
				}
				var oe *net.OpError
				if !errors.As(err, &oe) || !errors.Is(err, c.is) {
					t.Fatalf("%#v", err)
				}
				want := &net.OpError{Op: c.op, Net: network, Source: nc.LocalAddr(), Addr: nc.RemoteAddr(), Err: errors.New(c.text)}
				if err.Error() != want.Error() {
					t.Errorf("%q, want %q", err, want)
				}
				if name == "read reset" {
					return // the socket tells it once
				}
				if c.op == "read" {
					_, err = nc.Read(make([]byte, 1))
				} else {
					_, err = nc.Write([]byte("x"))
				}
				if err.Error() != want.Error() {
					t.Errorf("package net says %q", err)
				}
			})
		}
	}
}

// reset has the peer of nc see ECONNRESET.
func reset(nc net.Conn) {
	if tc, ok := nc.(*net.TCPConn); ok {
		_ = tc.SetLinger(0)
	}
	_ = nc.Close()
}

// socketsOf returns the two ends of a connection, and closes them in the end.
func socketsOf(t *testing.T, network string) (nc, peer net.Conn) {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = t.TempDir() + "/s"
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err = net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close(); peer.Close() })
	return nc, peer
}
