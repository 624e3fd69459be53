package tlsbatch

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// A socket is read as package net reads it: what has come, a deadline that can be moved, the end,
// and a closed one.
func TestReadSocket(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := New(nc)
	p := make([]byte, 16)

	_ = c.SetReadDeadline(time.Now().Add(-time.Second))
	n, err := c.Read(p)
	var timeout net.Error
	if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("after the deadline: %d, %v", n, err)
	}
	_ = c.SetReadDeadline(time.Time{})
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Errorf("without room: %d, %v", n, err)
	}
	if _, err := peer.Write([]byte("octets")); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(p); string(p[:n]) != "octets" || err != nil {
		t.Errorf("%q, %v", p[:n], err)
	}
	peer.Close()
	if n, err := c.Read(p); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
	nc.Close()
	if n, err := c.Read(p); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("when it is closed: %d, %v", n, err)
	}
}
