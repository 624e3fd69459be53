package conn

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/socket/tlsbatch"
	"github.com/sluice-go/sluice/stream/priority"
)

// Parking on sockets of the kernel, where on Linux no goroutine reads a parked connection. The time
// after which it is parked is made to have passed.

// startPair is newPair for a server that was started, so that it may be parked.
func startPair(t *testing.T, cn, sn net.Conn, scfg Config) *startedPair {
	p := &startedPair{ended: make(chan error, 2), served: make(chan error, 1)}
	p.t, p.client, p.server = t, NewClient(cn, Config{}, nil), NewServer(sn, scfg, handlerFunc(echo))
	p.server.Start(func(err error) { p.ended <- err })
	go func() { p.served <- p.client.Serve() }() // ends with the connection
	return p
}

type startedPair struct {
	pair
	ended  chan error // what the end of the server was told
	served chan error // what Serve of the client has returned
}

// wantEnd waits for the end of both sides.
func (p *startedPair) wantEnd() {
	p.t.Helper()
	<-p.ended
	<-p.server.Done()
	<-p.served
	if len(p.ended) > 0 {
		p.t.Error("the end was told twice")
	}
}

// checkNow is what the timer does when nothing has come for parkAfter.
func (c *Conn) checkNow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := &c.mu.park; c.mu.phase == phaseOpen && !r.parked {
		r.checkAt, r.readsAtCheck = time.Time{}, uint32(c.mu.stats.reads)
		c.requestParkLocked(time.Now())
	}
}

// isParked reports whether the connection is parked, and on Linux whether no goroutine reads it.
func (c *Conn) isParked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.park.parked && (runtime.GOOS != "linux" || c.mu.park.watch != 0)
}

// parkNow returns when the connection is parked.
func (c *Conn) parkNow() {
	for !c.isParked() {
		c.checkNow()
		runtime.Gosched() // to what still flushes, and to the reader
	}
}

func parkSockets() map[string]func(*testing.T) (client, server net.Conn) {
	return map[string]func(*testing.T) (client, server net.Conn){
		"tcp":  func(t *testing.T) (_, _ net.Conn) { return tcpPair(t) },
		"unix": func(t *testing.T) (_, _ net.Conn) { return unixPair(t) },
		"tls": func(t *testing.T) (_, _ net.Conn) {
			cn, sn := tcpPair(t)
			return overTLS(t, cn, sn)
		},
		"tls reading ahead": func(t *testing.T) (_, _ net.Conn) {
			cn, sn := tcpPair(t)
			return overTLS(t, cn, tlsbatch.New(sn))
		},
	}
}

func TestParkOnSockets(t *testing.T) {
	for name, connect := range parkSockets() {
		t.Run(name, func(t *testing.T) {
			cn, sn := connect(t)
			p := startPair(t, cn, sn, Config{})
			for range 20 {
				p.roundTrip([]byte("hello"))
				p.server.parkNow()
			}
			p.roundTrip(make([]byte, 300_000))
			p.client.Shutdown()
			if err := <-p.served; err != nil {
				t.Error(err)
			}
			if err := <-p.ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// By itself, after a second or two.
func TestParkWithoutWatch(t *testing.T) {
	t.Parallel()
	cn, sn := tcpPair(t)
	p := startPair(t, cn, sn, Config{})
	p.roundTrip([]byte("hello"))
	for !p.server.isParked() {
		<-time.After(10 * time.Millisecond) // nothing else tells
	}
	p.roundTrip([]byte("hello again"))
	_ = p.client.Close()
	p.wantEnd()
}

// What ends a connection ends one that no goroutine reads.
func TestParkEndsOnSockets(t *testing.T) {
	for kind, connect := range parkSockets() {
		for name, end := range map[string]func(p *startedPair){
			"peer":     func(p *startedPair) { _ = p.client.NetConn().Close() },
			"client":   func(p *startedPair) { p.client.Shutdown() },
			"Close":    func(p *startedPair) { _ = p.server.Close() },
			"Shutdown": func(p *startedPair) { p.server.Shutdown() },
			"error":    func(p *startedPair) { p.server.CloseWithError(frame.EnhanceYourCalm, "enough") },
			"timer":    func(*startedPair) {},
			"socket":   func(p *startedPair) { _ = p.server.NetConn().Close(); _ = p.client.Close(); p.server.Shutdown() },
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				t.Parallel()
				var cfg Config
				if name == "timer" {
					cfg.IdleTimeout = 2 * time.Second // more than a busy machine takes until the request
				}
				cn, sn := connect(t)
				p := startPair(t, cn, sn, cfg)
				p.roundTrip([]byte("hello"))
				if name != "timer" {
					p.server.parkNow()
				} else {
					p.server.checkNow()
				}
				end(p)
				p.wantEnd()
			})
		}
	}
}

// All of many wake, and each is its own.
func TestParkMany(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 100
	}
	before := runtime.NumGoroutine()
	pairs := make([]*startedPair, n)
	for i := range pairs {
		cn, sn := tcpPair(t)
		pairs[i] = startPair(t, cn, sn, Config{})
	}
	each := func(f func(p *startedPair)) {
		var all sync.WaitGroup
		for _, p := range pairs {
			all.Go(func() { f(p) })
		}
		all.Wait()
	}
	for range 2 {
		each(func(p *startedPair) { p.roundTrip([]byte("hello")) })
		for _, p := range pairs {
			p.server.parkNow()
		}
	}
	// What has let go of a connection may still have to end.
	now := runtime.NumGoroutine() - before
	for until := time.Now().Add(time.Minute); now > n+n/10 && time.Now().Before(until); {
		runtime.Gosched()
		now = runtime.NumGoroutine() - before
	}
	if runtime.GOOS == "linux" && now > n+n/10 {
		t.Errorf("%d goroutines for %d clients that read and as many servers that are parked", now, n)
	}
	each(func(p *startedPair) { p.roundTrip([]byte("hello")) })
	for i, p := range pairs {
		p.server.parkNow()
		if i%2 == 0 {
			p.server.Shutdown()
		} else {
			_ = p.client.Close()
		}
	}
	each(func(p *startedPair) { p.wantEnd() })
}

// Requests, parking and ends at the same time: nothing is lost, nothing hangs.
func TestParkRaces(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 20
	}
	for round := range rounds {
		rng := rand.New(rand.NewPCG(1, uint64(round)))
		cn, sn := tcpPair(t)
		p := startPair(t, cn, sn, Config{})
		stop := make(chan struct{})
		var looks sync.WaitGroup
		looks.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					p.server.checkNow()
					runtime.Gosched()
				}
			}
		})
		for range 1 + rng.IntN(20) {
			p.roundTrip(make([]byte, rng.IntN(3)*5000))
			for range rng.IntN(50) {
				runtime.Gosched()
			}
		}
		switch rng.IntN(4) {
		case 0:
			_ = p.server.Close()
		case 1:
			p.server.Shutdown()
		case 2:
			_ = p.client.Close()
		default:
			p.server.CloseWithError(frame.NoError, "")
		}
		p.wantEnd()
		close(stop)
		looks.Wait()
	}
}

// cutter is a socket that keeps back the end of what it is given, until it is told.
type cutter struct {
	net.Conn
	mu   sync.Mutex
	on   bool
	held []byte
}

func (c *cutter) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.on {
		return c.Conn.Write(b)
	}
	c.held = append(c.held, b...)
	n := len(c.held) / 2
	if _, err := c.Conn.Write(c.held[:n]); err != nil {
		return 0, err
	}
	c.held = c.held[n:]
	return len(b), nil
}

func (c *cutter) release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = false
	_, err := c.Conn.Write(c.held)
	return err
}

// Half of a TLS record wakes the connection, which is parked again; the other half does, too, and
// nothing is lost.
func TestParkWithHalfARecord(t *testing.T) {
	cn, sn := tcpPair(t)
	cut := &cutter{Conn: cn}
	tcn, tsn := overTLS(t, cut, tlsbatch.New(sn))
	p := startPair(t, tcn, tsn, Config{})
	p.roundTrip([]byte("hello"))
	p.server.parkNow()

	cut.mu.Lock()
	cut.on = true
	cut.mu.Unlock()
	st, err := openStream(p.client, h2test.Post(0).Fields, true)
	if err != nil {
		t.Fatal(err)
	}
	p.client.Flush()
	for p.server.isParked() {
		runtime.Gosched()
	}
	p.server.parkNow()
	if err := cut.release(); err != nil {
		t.Fatal(err)
	}
	if m, err := headOf(st); err != nil || m.Status != 200 {
		t.Fatal(m, err)
	}
	if _, err := io.Copy(io.Discard, st); err != nil && !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	st.Release()
	_ = p.client.Close()
	p.wantEnd()
}

// The owner of a net.Conn may close it while the connection is parked, as http.Server.Close does:
// the connection ends, although the kernel does not report it and no goroutine reads.
func TestParkClosedByItsOwner(t *testing.T) {
	for name, connect := range parkSockets() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cn, sn := connect(t)
			p := startPair(t, cn, sn, Config{})
			p.roundTrip([]byte("hello"))
			p.server.parkNow()
			_ = p.server.NetConn().Close()
			select {
			case err := <-p.ended:
				// The client may have answered the alert of TLS before the socket was closed.
				if err != nil && !errors.Is(err, net.ErrClosed) {
					t.Errorf("the end was told with %v", err)
				}
			case <-time.After(time.Minute):
				t.Fatal("the connection lives still")
			}
			<-p.served
		})
	}
}

// A parked connection keeps nothing of how slow its socket was, unless something is still being
// written when it is parked.
func TestParkForgetsBackpressure(t *testing.T) {
	cn, sn := tcpPair(t)
	p := startPair(t, cn, sn, Config{})
	c := p.server
	forgotten := false
	for i := 0; i < 100 && !forgotten; i++ {
		if _, err := p.client.Ping(t.Context()); err != nil { // which unparks it
			t.Fatal(err)
		}
		c.mu.Lock()
		c.mu.out.backpressure = new(backpressure)
		c.mu.Unlock()
		c.parkNow()
		c.mu.Lock()
		forgotten = c.mu.out.backpressure == nil
		c.mu.Unlock()
	}
	if !forgotten {
		t.Error("the backpressure is kept")
	}
	_ = p.client.Close()
	p.wantEnd()
}

// After it was parked, a connection whose socket was slow before knows nothing of that: what one
// stream has not yet ended does not hold up another.
func TestParkEndsBackpressure(t *testing.T) {
	cn, sn := tcpPair(t)
	release := make(chan struct{})
	wrote := make(chan error, 1)
	p := &startedPair{ended: make(chan error, 2), served: make(chan error, 1)}
	p.t, p.client = t, NewClient(cn, Config{}, nil)
	cfg := Config{Scheduler: func() Scheduler { return priority.NewExtensible() }}
	p.server = NewServer(sn, cfg, handlerFunc(func(st *Stream) {
		size := 200_000
		if st.Message().Path == "/awaited" {
			size = 10
			defer func() { <-release }()
		}
		_ = st.WriteHeaders(status2(200), false)
		_, err := st.Write(make([]byte, size))
		st.Conn().Flush()
		wrote <- err
	}))
	p.server.Start(func(err error) { p.ended <- err })
	go func() { p.served <- p.client.Serve() }() // ends with the connection
	if _, err := p.client.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := p.server
	c.mu.Lock()
	c.mu.out.backpressure = &backpressure{slow: true, slowUntil: time.Now().Add(time.Hour)}
	c.core.SetBackpressure(true)
	c.mu.Unlock()
	c.parkNow()
	for _, head := range []h2test.Block{
		h2test.Request(0, "GET", "/awaited", "priority: u=0"), h2test.Request(0, "GET", "/other", "priority: u=3"),
	} {
		if _, err := openStream(p.client, head.Fields, true); err != nil {
			t.Fatal(err)
		}
		p.client.Flush()
		if err := <-wrote; err != nil {
			t.Errorf("%s: Write: %v", head.Get(":path"), err)
		}
	}
	close(release)
	_ = p.client.Close()
	p.wantEnd()
}
