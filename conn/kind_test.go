package conn

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// testKind is what all ends are that a test has a Conn on: see memconn.KindVariable.
var testKind = memconn.TestKind()

// testEnds returns the ends of a connection for two Conns, of any kind.
func testEnds(t testing.TB, o memconn.Options) (client, server memconn.End) {
	t.Helper()
	if inBubble() {
		needsNoSockets(t)
	}
	o.Client, o.Server = testKind, testKind
	return memconn.Connect(o)
}

// bubble is synctest.Test for tests that can do without a bubble: on TCP they run without one.
func bubble(t *testing.T, f func(*testing.T)) {
	if testKind == memconn.TCP {
		f(t)
		return
	}
	synctest.Test(t, f)
}

// inBubble reports whether the caller is in a bubble, whose clock begins with the year 2000.
func inBubble() bool { return time.Now().Year() < 2020 }

// needsNoSockets skips a test that stops the clock or waits until nothing goes on.
func needsNoSockets(t testing.TB) {
	t.Helper()
	if testKind == memconn.TCP {
		t.Skip("it runs in a bubble of testing/synctest, where nothing waits for the kernel: see memconn.TCP")
	}
}

// needsSocket skips a test whose subject is what only a connection does that is known to have
// working deadlines.
func needsSocket(t *testing.T) {
	t.Helper()
	if testKind != memconn.Socket {
		t.Skip("its subject is what is done on sockets only: requests that read for themselves, connections that rest")
	}
}

// needsLargeReads skips a test whose subject is what is done with all that one Read has brought.
func needsLargeReads(t *testing.T) {
	t.Helper()
	if testKind == memconn.OneOctet {
		t.Skip("its subject is what is done with many frames of one Read: here a Read brings an octet")
	}
}

// forKinds runs a test on each kind of connection, in the clear and over TLS.
func forKinds(t *testing.T, f func(t *testing.T, cn, sn net.Conn)) {
	for _, k := range memconn.Kinds() {
		for _, over := range []string{"clear", "TLS"} {
			t.Run(k.String()+"/"+over, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, s := memconn.Pipe(memconn.Options{Buffer: 16 << 10})
					var cn, sn net.Conn = c.Become(k), s.Become(k)
					if over == "TLS" {
						cn, sn = overTLS(t, cn, sn)
					}
					f(t, cn, sn)
				})
			})
		}
	}
}

// hold answers what has a body, and keeps other requests waiting until they are reset.
func hold(st *Stream) {
	if st.HeadOnly() {
		_, _ = io.ReadAll(st)
		gone := make(chan struct{})
		st.OnEnd(func(error) { close(gone) })
		<-gone
		return
	}
	echo(st)
}

func TestKindsExchange(t *testing.T) {
	forKinds(t, func(t *testing.T, cn, sn net.Conn) {
		p := newPair(t, cn, sn, Config{}, Config{}, echo)
		for range 30 { // closely one behind the other
			p.roundTrip([]byte("hello"))
		}
		p.roundTrip(bytes.Repeat([]byte("0123456789"), 50_000))
		start := time.Now()
		p.wantClean()
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("the end took %v", d)
		}
	})
}

// What gives a request up ends its wait at once, and nothing else.
func TestKindsCancel(t *testing.T) {
	for name, giveUp := range map[string]func(st *Stream){
		"reset":    func(st *Stream) { st.Reset(frame.Cancel) },
		"deadline": func(st *Stream) { _ = st.SetReadDeadline(time.Now()) },
	} {
		t.Run(name, func(t *testing.T) {
			forKinds(t, func(t *testing.T, cn, sn net.Conn) {
				p := newPair(t, cn, sn, Config{}, Config{}, hold)
				for range 3 {
					for range 10 {
						p.roundTrip([]byte("hello"))
					}
					st, err := openStream(p.client, h2test.Get(0).Fields, true)
					check(t, "OpenStream", err)
					p.client.FlushNoWait()
					time.AfterFunc(time.Minute, func() { giveUp(st) })
					start := time.Now()
					if _, err := st.AwaitHead(); err == nil {
						t.Fatal("there is a response")
					}
					if d := time.Since(start); d != time.Minute {
						t.Fatalf("the wait took %v", d)
					}
					st.Release()
					p.client.FlushNoWait()
				}
				p.roundTrip([]byte("the connection lives"))
				p.wantClean()
			})
		})
	}
}

// Whatever the peer does not do, both roles end.
func TestKindsEnd(t *testing.T) {
	for name, end := range map[string]func(c *Conn){
		"Shutdown":       func(c *Conn) { c.Shutdown() },
		"CloseWithError": func(c *Conn) { c.CloseWithError(frame.NoError, "") },
		"Close":          func(c *Conn) { _ = c.Close() },
		"silence":        func(*Conn) {}, // no preface comes
	} {
		for _, role := range []core.Role{core.Server, core.Client} {
			for _, reads := range []bool{true, false} {
				t.Run(name+"/"+role.String(), func(t *testing.T) {
					forKinds(t, func(t *testing.T, nc, peer net.Conn) {
						c := &NewServer(nc, Config{}, &testHandler{}).Conn
						if role == core.Client {
							c = &NewClient(nc, Config{}, nil).Conn
						}
						ended := make(chan error)
						go func() { ended <- c.Serve() }()
						if reads { // and goes on for ever
							go io.Copy(io.Discard, peer)
						}
						synctest.Wait()
						end(c)
						start := time.Now()
						<-ended
						if d := time.Since(start); d > time.Minute {
							t.Errorf("it took %v", d)
						}
						_ = peer.Close()
					})
				})
			}
		}
	}
}

// A peer that reads nothing is given up after some time.
func TestKindsStuckWrite(t *testing.T) {
	forKinds(t, func(t *testing.T, cn, sn net.Conn) {
		c := NewClient(cn, Config{WriteByteTimeout: 5 * time.Second}, nil)
		ended := make(chan error)
		go func() { ended <- c.Serve() }()
		for range 5000 { // more than the buffers hold
			_, err := c.startPing(func(error) {})
			check(t, "startPing", err)
		}
		start := time.Now()
		err, te := <-ended, (*core.TimeoutError)(nil)
		if !errors.As(err, &te) || te.Timer != "WriteByteTimeout" || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("it has ended with %v", err)
		}
		if d := time.Since(start); d < 5*time.Second || d > 20*time.Second {
			t.Errorf("it took %v", d)
		}
		_ = sn.Close()
	})
}

// A Ping that waits ends with its context.
func TestKindsPing(t *testing.T) {
	forKinds(t, func(t *testing.T, cn, sn net.Conn) {
		p := newPair(t, cn, sn, Config{}, Config{}, echo)
		p.roundTrip([]byte("hello"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := p.client.Ping(ctx)
		check(t, "Ping", err)
		p.wantClean()
	})
}

// errorReads fails with an error of its own that wraps a timeout, though no deadline was set.
type errorReads struct {
	net.Conn
	err error
}

func (e errorReads) Read([]byte) (int, error) { return 0, e.err }

func TestReadErrorIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := memconn.Pipe(memconn.Options{})
		defer s.Close()
		own := errors.New("a tunnel is gone")
		cn := NewClient(errorReads{c, own}, Config{}, nil)
		st, err := openStream(cn, h2test.Get(0).Fields, true)
		check(t, "OpenStream", err)
		if err := cn.Serve(); !errors.Is(err, own) {
			t.Errorf("Serve returned %v", err)
		}
		if _, err := headOf(st); !errors.Is(err, own) {
			t.Errorf("Head returned %v", err)
		}
		st.Release()
	})
}
