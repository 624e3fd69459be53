package tunnel

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/internal/memconn"
)

// udpConns returns two ends of one stream of capsules.
func udpConns(o memconn.Options) (a, b *UDPConn) {
	x, y := memconn.Pipe(o)
	return newUDPConn(x, "192.0.2.6:443"), newUDPConn(y, "target.example:53")
}

func TestUDPConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := udpConns(memconn.Options{})
		defer a.Close()
		defer b.Close()
		if _, ok := a.RemoteAddr().(*net.UDPAddr); !ok || a.RemoteAddr().String() != "192.0.2.6:443" {
			t.Errorf("the target is %v", a.RemoteAddr())
		}
		if r := b.RemoteAddr(); r.Network() != "udp" || r.String() != "target.example:53" {
			t.Errorf("the target is %v", r)
		}
		long := strings.Repeat("x", maxUDPPayload)
		go func() {
			for _, s := range []string{"one", "", "two", long} {
				if n, err := a.WriteTo([]byte(s), a.RemoteAddr()); n != len(s) || err != nil {
					t.Errorf("%d of %d octets, %v", n, len(s), err)
				}
			}
		}()
		p := make([]byte, 70000)
		for _, want := range []string{"one", "", "tw", long} {
			q := p
			if want == "tw" {
				q = p[:2]
			}
			n, from, err := b.ReadFrom(q)
			if err != nil || string(q[:n]) != want || from.String() != "target.example:53" {
				t.Fatalf("%d octets of %v, %v; want %d", n, from, err, len(want))
			}
		}
		if _, err := a.Write(make([]byte, maxUDPPayload+1)); !errors.Is(err, syscall.EMSGSIZE) {
			t.Errorf("a datagram that is too long: %v", err)
		}
		if _, err := a.WriteTo(nil, b.RemoteAddr()); err == nil {
			t.Error("a datagram to another target was sent")
		}
		if _, err := a.WriteTo(nil, nil); err == nil {
			t.Error("a datagram to nowhere was sent")
		}
		if err := b.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after the deadline: %v", err)
		}
		if err := b.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Write([]byte("after")); err != nil {
			t.Error(err)
		}
		if n, err := b.Read(p); err != nil || string(p[:n]) != "after" {
			t.Errorf("%q, %v", p[:n], err)
		}
		_ = a.Close()
		if _, err := b.Read(p); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
	})
}

// A datagram of which a deadline has let only a part out goes out whole with the next one.
func TestUDPConnWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := udpConns(memconn.Options{Buffer: 1000})
		defer a.Close()
		defer b.Close()
		if err := a.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		first := strings.Repeat("1", 5000)
		if n, err := a.Write([]byte(first)); n != len(first) || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		if n, err := a.Write([]byte("2")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("the stream is full: %d, %v", n, err)
		}
		if err := a.SetWriteDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = a.Write([]byte("3")) }()
		p := make([]byte, 6000)
		for _, want := range []string{first, "3"} {
			if n, err := b.Read(p); err != nil || string(p[:n]) != want {
				t.Fatalf("%d octets, %v; want %d", n, err, len(want))
			}
		}
	})
}

// Malformed capsules end the stream.
func TestUDPConnMalformed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := memconn.Pipe(memconn.Options{})
		c := newUDPConn(x, "192.0.2.6:443")
		if _, err := io.WriteString(y, capsule(0, "")); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := c.Read(make([]byte, 9)); !errors.Is(err, errCapsuleShort) {
				t.Errorf("%v", err)
			}
		}
		if _, err := y.Read(make([]byte, 9)); err != io.EOF {
			t.Errorf("the stream has not ended: %v", err)
		}
	})
}
