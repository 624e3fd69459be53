package conn

import (
	"crypto/tls"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/socket"
)

// Handler is the user of a connection. It is called for what the peer begins.
type Handler interface {
	// HandleStreams gets the streams that one read of the socket opened, in order, on the goroutine
	// that reads, outside any lock. It must not block and must not keep the slice. Every stream
	// handed over must be Released exactly once. The flush of an answer is the handler's: the
	// goroutine that answers calls Conn.Flush once it has nothing more to append. A client gets the
	// streams that the server has promised on streams with an Owner (RFC 9113 §8.4), where
	// Config.EnablePush allows it. What follows the promise on such a stream is read when
	// HandleStreams has returned.
	HandleStreams(batch []*Stream)

	// StreamBlocked is called when a call on s, Read, Write or Finish, is about to wait for the
	// peer or for the socket: by the goroutine that will wait, once for such a call, outside any
	// lock. It must not block on anything but a flush.
	StreamBlocked(s *Stream)

	// ConnState is called when the number of open streams has gone from 0 to more (idle is false)
	// or back (idle is true), and first when the peer's SETTINGS have come. Calls are in order and
	// never two at a time; changes that undo each other at once may go unreported. It is called
	// outside the connection's lock and must not block.
	ConnState(idle bool)
}

// Conn is what both sides of an HTTP/2 connection have: it is part of a Client and of a Server. All
// methods may be called from any goroutine, Serve and Start once.
//
// Its state has four owners:
//
//   - Some fields never change once the connection is made.
//   - The reader is the goroutine in Serve, or on a client the request that holds the read lease
//     (readlease.go). It owns reader, and of core the methods Decode, Frame and Refuse.
//   - The flusher is the goroutine that has set mu.out.flushing. It owns writer, and nothing else
//     writes to the socket.
//   - The lock, mu, guards the fields in mu, the client's state, the state of all streams, and all
//     of core but the reader's methods.
//
// The rules of the lock, which hold for every file of the package:
//
//   - It is never held over a system call that may wait, a wait on a channel or a call of the
//     application, but for Config.Scheduler and Config.Padding, which may not call the connection.
//     What is called with it held and does not wait: SetReadDeadline of the net.Conn, where that is
//     a socket of package net or a *tls.Conn on one, and a look at such a socket (readable).
//   - A function whose name ends in Locked is called with the lock held, and returns with it held.
//     One that releases it meanwhile says so in its comment.
//   - A function whose name ends in AndUnlock is called with the lock held and releases it; one
//     whose name ends in AndLock acquires it and returns with it held. All others are called
//     without it.
//   - A function that may have changed anything releases the lock with unlockAndNotify, which then
//     calls the application for what has changed. mu.Unlock is for functions that only look, and
//     for those after which another function is sure to call unlockAndNotify.
//   - Calls of a stream's methods that wait do so on conditions of that stream.
//   - The methods of vectoredWriter are called within RawConn.Write, which holds the lock of the
//     socket's descriptor, and they acquire mu: so the socket is neither written to nor closed with
//     mu held.
type Conn struct {
	// These never change.

	nc            net.Conn
	opts          runtimeOptions
	handler       Handler
	role          core.Role
	tls           bool        // nc is a *tls.Conn
	interruptible bool        // a Read of nc that waits is ended by a deadline: see isInterruptible
	onServed      func(error) // what Start was given; nil after Serve

	reader reader
	writer writer
	client *Client        // that of which this is part; nil on a server
	core   core.Driver    // guarded by mu, but for the methods of the reader
	tasks  sync.WaitGroup // the goroutines that flush, and the one that closes the socket

	mu struct {
		sync.Mutex

		phase phase
		err   error         // why the connection has ended; set before phase is phaseClosed
		done  chan struct{} // what Done returns; nil until it is called

		pending []callback // calls of the application for unlockAndNotify
		state   stateReport
		out     output

		settingsReceived bool // the peer's SETTINGS have come
		poisoned         bool // code of the application has unwound the stack: see poisonLocked
		goAway           *frame.ConnError
		pings            map[[8]byte]func(error) // calls of Ping that wait, by payload
		lastPing         uint64                  // the number in the payload of the last Ping

		timer    deadlineTimer
		ageAt    time.Time // when MaxConnectionAge is over; zero where there is none, and after that
		closeBy  time.Time // when the timer closes the socket; counts if closeDue is set, or the phase is past open
		closeDue bool      // while the phase is open: the timer closes the socket at closeBy, see closeInLocked

		stats  ioStats
		park   parkState
		linger *lingerState // set with phaseLingering
	}
}

type ioStats struct {
	reads, writes           uint64
	bytesRead, bytesWritten uint64
}

func (c *Conn) init(nc net.Conn, cfg Config, h Handler, role core.Role) {
	cfg.clampTimes()
	c.nc, c.opts, c.handler, c.role = nc, cfg.runtimeOptions(), h, role
	c.mu.out.taken.L = &c.mu.Mutex
	c.mu.timer.fire = c.timerFired
	_, c.tls = nc.(*tls.Conn)
	c.interruptible = isInterruptible(nc)
	c.reader.init(nc, cfg.Received)
	c.reader.upgrade = cfg.Upgrade
	c.writer.rawConn, c.writer.tlsBatch = writeTarget(nc)
	c.initNonblockLocked()
	cc := cfg.core(role)
	cc.Padding = c.guardPadding(cc.Padding)
	if cfg.Scheduler != nil && cc.Scheduler != nil {
		cc.Scheduler = &guardedScheduler{c, cc.Scheduler}
	}
	cc.NewStream = c.newStream
	c.core = core.New(cc).Driver()
	now := time.Now()
	if age := cfg.MaxConnectionAge; age > 0 {
		age = min(age, maxTimeout)
		tenth := age / 10
		c.mu.ageAt = now.Add(age - tenth + rand.N(2*tenth+1))
	}
	c.ensureOutputLocked()
	c.core.Start(now)
	if len(cfg.Origins) > 0 && role == core.Server {
		c.core.SendOrigin(cfg.Origins)
	}
}

// NetConn returns the underlying connection. Reading, writing or closing it breaks the connection.
func (c *Conn) NetConn() net.Conn { return c.nc }

// IsClient reports whether this side has opened the connection.
func (c *Conn) IsClient() bool { return c.role == core.Client }

// Done returns a channel that is closed when Serve has returned.
func (c *Conn) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.done == nil {
		c.mu.done = make(chan struct{})
	}
	return c.mu.done
}

// closedChan is what Done returns where it is called first after the end.
var closedChan = func() chan struct{} {
	ch := make(chan struct{})
	close(ch)
	return ch
}()

// closeDone closes the channel of Done.
func (c *Conn) closeDone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.done == nil {
		c.mu.done = closedChan
	} else {
		close(c.mu.done)
	}
}

// Stats are counters of a connection.
type Stats struct {
	core.Counts
	Reads, Writes           uint64 // calls of the socket's Read and Write
	BytesRead, BytesWritten uint64
	Streams                 int   // open now
	Unread                  int64 // octets of DATA that were received and not read yet
	SendWindow              int64 // octets that the peer's window for the connection lets us send
	RecvWindow              int64 // size of our connection window, in octets
	RecvGrown               int64 // octets by which the receive windows of open streams have grown

	// RTT is the round-trip time of the path, 0 as long as it is not known. It is the time that the
	// peer took to acknowledge our SETTINGS, and where DATA is received in bulk that to answer a
	// PING.
	RTT time.Duration
}

// Stats returns the counters so far.
func (c *Conn) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	size, grown := c.core.RecvWindow()
	st := c.core.State()
	return Stats{
		Counts: c.core.Counts(),
		Reads:  c.mu.stats.reads, Writes: c.mu.stats.writes,
		BytesRead: c.mu.stats.bytesRead, BytesWritten: c.mu.stats.bytesWritten,
		Streams: c.core.NumStreams(), Unread: st.Unread, SendWindow: c.core.SendWindow(),
		RecvWindow: size, RecvGrown: grown, RTT: c.core.RTT(),
	}
}

// PeerSettings returns the peer's settings in force (RFC 9113 §6.5).
func (c *Conn) PeerSettings() core.Settings {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.core.PeerSettings()
}

// IdleSince returns since when no stream is open, the zero time while one is.
func (c *Conn) IdleSince() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.core.IdleSince()
}

// socket returns the socket of the connection, or that below its TLS, whose read deadline may be
// set and taken back; nil where there is none.
func (c *Conn) socket() *socket.Socket { return socket.Of(socket.BelowTLS(c.nc)) }
