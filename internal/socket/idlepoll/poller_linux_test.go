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

// wakes is a Waiter that sends each Watch for which it is woken.
type wakes chan Watch

func (w wakes) Wake(id Watch) { w <- id }
func (w wakes) Closed() bool  { return false }

// socketWakes is a Waiter whose Closed asks its socket.
type socketWakes struct {
	wakes
	socket *socket.Socket
}

func (w socketWakes) Closed() bool { return w.socket.Closed() }

// A socket that is closed on our side while it is watched wakes its Waiter, and no other.
func TestClosedWhileWatched(t *testing.T) {
	nc, _, s := sockets(t)
	_, _, otherSocket := sockets(t)
	w, other := socketWakes{make(wakes, 1), s}, socketWakes{make(wakes, 1), otherSocket}
	id, otherID := mustNew(t, w), mustNew(t, other)
	check(t, "Arm", id.Arm(s))
	check(t, "Arm", otherID.Arm(otherSocket))
	check(t, "Close", nc.Close())
	select {
	case got := <-w.wakes:
		if got != id {
			t.Errorf("woken for %d, not for %d", got, id)
		}
	case <-time.After(12 * maxSweepInterval):
		t.Error("not woken")
	}
	if len(other.wakes) > 0 {
		t.Error("the other was woken")
	}
	otherID.Cancel()
	wantNothingLeft(t)
}

func TestNotInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if _, err := New(make(wakes, 1)); err == nil {
			t.Error("the goroutine belongs to the bubble")
		}
	})
}

// sockets returns the two ends of a TCP connection, and the first one as a Socket.
func sockets(t *testing.T) (nc, peer *net.TCPConn, s *socket.Socket) {
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

func mustNew(t *testing.T, w Waiter) Watch {
	t.Helper()
	id, err := New(w)
	if err != nil {
		t.Fatal(err)
	}
	return id
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
	if current != nil {
		t.Errorf("%d are still watched", len(current.waiters))
	}
	mu.Unlock()
	stacks := make([]byte, 1<<20)
	for strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "(*poller).run") {
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
				nc, peer, s := sockets(t)
				w := make(wakes, 2)
				id := mustNew(t, w)
				if when == "before" {
					check(t, name, happens(nc, peer))
					check(t, "Arm", id.Arm(s))
				} else {
					check(t, "Arm", id.Arm(s))
					check(t, name, happens(nc, peer))
				}
				if got := <-w; got != id {
					t.Errorf("woken for %d, not for %d", got, id)
				}
				id.Remove(s)
				id.Cancel() // does nothing
				if len(w) > 0 {
					t.Error("woken twice")
				}
				wantNothingLeft(t)
			})
		}
	}
}

// The same socket is watched again and again, and what has come is read in between.
func TestWakeAgain(t *testing.T) {
	nc, peer, s := sockets(t)
	w := make(wakes, 1)
	other := mustNew(t, make(wakes, 1)) // keeps the instance open
	for i := range 200 {
		id := mustNew(t, w)
		check(t, "Arm", id.Arm(s))
		_, err := peer.Write([]byte{byte(i)})
		check(t, "Write", err)
		<-w
		id.Remove(s)
		var got [2]byte
		if n, err := nc.Read(got[:]); n != 1 || err != nil || got[0] != byte(i) {
			t.Fatalf("read %d octets, %v, %v", n, got, err)
		}
	}
	other.Cancel()
	wantNothingLeft(t)
}

// No Waiter is woken for a Watch that was cancelled, not even if the socket is left open, or its
// descriptor is that of another.
func TestCancel(t *testing.T) {
	nc, peer, s := sockets(t)
	w := make(wakes, 1)
	id := mustNew(t, w)
	check(t, "Arm", id.Arm(s))
	later, laterPeer, laterSocket := sockets(t)
	laterWakes := make(wakes, 1)
	laterID := mustNew(t, laterWakes)
	id.Cancel()
	_, err := peer.Write([]byte{1})
	check(t, "Write", err)
	check(t, "Arm", laterID.Arm(laterSocket))
	_, err = laterPeer.Write([]byte{1})
	check(t, "Write", err)
	<-laterWakes // so the event that came before it was handled
	laterID.Remove(laterSocket)
	if len(w) > 0 {
		t.Error("woken after Cancel")
	}
	_, _ = nc, later
	wantNothingLeft(t)
}

// A socket that is closed cannot be watched, and leaves nothing.
func TestClosedSocket(t *testing.T) {
	nc, _, s := sockets(t)
	id := mustNew(t, make(wakes, 1))
	check(t, "Close", nc.Close())
	if err := id.Arm(s); err == nil {
		t.Error("armed on a closed socket")
	}
	id.Cancel()
	if err := id.Arm(s); err == nil {
		t.Error("armed after Cancel")
	}
	wantNothingLeft(t)
}

// New, Arm, Cancel and events on many goroutines at once.
func TestConcurrent(t *testing.T) {
	var all sync.WaitGroup
	for range 20 {
		nc, peer, s := sockets(t)
		all.Go(func() {
			w := make(wakes, 1)
			for i := range 100 {
				id, err := New(w)
				if err != nil {
					t.Error(err)
					return
				}
				_, werr := peer.Write([]byte{1})
				if err := id.Arm(s); err != nil || werr != nil {
					t.Error(err, werr)
					return
				}
				<-w
				id.Remove(s)
				if _, err := nc.Read(make([]byte, 1)); err != nil {
					t.Error(err)
				}
				if i%10 == 0 {
					id, err := New(w)
					if err != nil {
						t.Error(err)
						return
					}
					id.Cancel()
				}
			}
		})
	}
	all.Wait()
	wantNothingLeft(t)
}
