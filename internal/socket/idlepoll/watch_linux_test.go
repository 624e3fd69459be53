package idlepoll

import (
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/internal/socket"
)

// bed is a Sleeper that tells of its waking.
type bed chan Vigil

func (b bed) Wake(v Vigil) { b <- v }
func (b bed) Closed() bool { return false }

// light is a Sleeper that looks at its socket.
type light struct {
	bed
	raw *socket.Socket
}

func (l light) Closed() bool { return l.raw.Closed() }

// A socket that is closed on our side while somebody sleeps wakes its sleeper, and no other.
func TestClosedWhileAsleep(t *testing.T) {
	nc, _, raw := sockets(t)
	_, _, otherRaw := sockets(t)
	l, other := light{make(bed, 1), raw}, light{make(bed, 1), otherRaw}
	v, w := begun(t, l), begun(t, other)
	check(t, "Arm", v.Arm(raw))
	check(t, "Arm", w.Arm(otherRaw))
	check(t, "Close", nc.Close())
	select {
	case got := <-l.bed:
		if got != v {
			t.Errorf("woken for %d, not for %d", got, v)
		}
	case <-time.After(4 * sweepMost):
		t.Error("not woken")
	}
	if len(other.bed) > 0 {
		t.Error("the other was woken")
	}
	w.End()
	wantNothingLeft(t)
}

func TestNotInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if _, err := Begin(make(bed, 1)); err == nil {
			t.Error("the goroutine belongs to the bubble")
		}
	})
}

// sockets returns the two ends of a TCP connection, and what reaches the first below package net.
func sockets(t *testing.T) (nc, peer *net.TCPConn, raw *socket.Socket) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		p.Close()
	})
	nc, peer = c.(*net.TCPConn), p.(*net.TCPConn)
	return nc, peer, socket.Of(nc)
}

func begun(t *testing.T, s Sleeper) Vigil {
	t.Helper()
	v, err := Begin(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func check(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// wantNothingLeft waits until the instance is closed and its goroutine gone.
func wantNothingLeft(t *testing.T) {
	t.Helper()
	mu.Lock()
	if present != nil {
		t.Errorf("%d sleep still", len(present.sleepers))
	}
	mu.Unlock()
	stacks := make([]byte, 1<<20)
	for strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "(*watch).run") {
		runtime.Gosched()
	}
}

func TestWake(t *testing.T) {
	for name, happens := range map[string]func(nc, peer *net.TCPConn) error{
		"octets": func(_, peer *net.TCPConn) error { _, err := peer.Write([]byte{1}); return err },
		"end":    func(_, peer *net.TCPConn) error { return peer.CloseWrite() },
		"reset": func(_, peer *net.TCPConn) error {
			if err := peer.SetLinger(0); err != nil {
				return err
			}
			return peer.Close()
		},
	} {
		for _, when := range []string{"before", "after"} {
			t.Run(name+" "+when, func(t *testing.T) {
				nc, peer, raw := sockets(t)
				b := make(bed, 2)
				v := begun(t, b)
				if when == "before" {
					check(t, name, happens(nc, peer))
					check(t, "Arm", v.Arm(raw))
				} else {
					check(t, "Arm", v.Arm(raw))
					check(t, name, happens(nc, peer))
				}
				if got := <-b; got != v {
					t.Errorf("woken for %d, not for %d", got, v)
				}
				v.Leave(raw)
				v.End() // does nothing
				if len(b) > 0 {
					t.Error("woken twice")
				}
				wantNothingLeft(t)
			})
		}
	}
}

// The same socket again and again, and the sleeper takes what has come.
func TestWakeAgain(t *testing.T) {
	nc, peer, raw := sockets(t)
	b := make(bed, 1)
	other := begun(t, make(bed, 1)) // keeps the instance
	for i := range 200 {
		v := begun(t, b)
		check(t, "Arm", v.Arm(raw))
		_, err := peer.Write([]byte{byte(i)})
		check(t, "Write", err)
		<-b
		v.Leave(raw)
		var got [2]byte
		if n, err := nc.Read(got[:]); n != 1 || err != nil || got[0] != byte(i) {
			t.Fatalf("read %d octets, %v, %v", n, got, err)
		}
	}
	other.End()
	wantNothingLeft(t)
}

// Nobody is woken for a vigil that has ended, not even if the socket is left open, or its
// descriptor is that of another.
func TestEnd(t *testing.T) {
	nc, peer, raw := sockets(t)
	b := make(bed, 1)
	v := begun(t, b)
	check(t, "Arm", v.Arm(raw))
	mark, markPeer, markRaw := sockets(t)
	after := make(bed, 1)
	w := begun(t, after)
	v.End()
	_, err := peer.Write([]byte{1})
	check(t, "Write", err)
	check(t, "Arm", w.Arm(markRaw))
	_, err = markPeer.Write([]byte{1})
	check(t, "Write", err)
	<-after // and so what came before it has been looked at
	w.Leave(markRaw)
	if len(b) > 0 {
		t.Error("woken after End")
	}
	_, _ = nc, mark
	wantNothingLeft(t)
}

// A socket that is closed cannot be watched, and leaves nothing.
func TestClosedSocket(t *testing.T) {
	nc, _, raw := sockets(t)
	v := begun(t, make(bed, 1))
	check(t, "Close", nc.Close())
	if err := v.Arm(raw); err == nil {
		t.Error("armed on a closed socket")
	}
	v.End()
	if err := v.Arm(raw); err == nil {
		t.Error("armed after its end")
	}
	wantNothingLeft(t)
}

// Begin, Arm, End and events from everywhere.
func TestTogether(t *testing.T) {
	var all sync.WaitGroup
	for range 20 {
		nc, peer, raw := sockets(t)
		all.Go(func() {
			b := make(bed, 1)
			for i := range 100 {
				v, err := Begin(b)
				if err != nil {
					t.Error(err)
					return
				}
				_, werr := peer.Write([]byte{1})
				if err := v.Arm(raw); err != nil || werr != nil {
					t.Error(err, werr)
					return
				}
				<-b
				v.Leave(raw)
				if _, err := nc.Read(make([]byte, 1)); err != nil {
					t.Error(err)
				}
				if i%10 == 0 {
					v, err := Begin(b)
					if err != nil {
						t.Error(err)
						return
					}
					v.End()
				}
			}
		})
	}
	all.Wait()
	wantNothingLeft(t)
}
