package conn

import (
	"crypto/tls"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/internal/socket"
	"github.com/sluice-go/sluice/internal/socket/tlsbatch"
)

// Handler is who uses a connection: it is told what the peer begins.
type Handler interface {
	// HandleStreams gets the streams that one read of the socket opened, in order, on the read
	// goroutine, outside any lock. It must not block and must not keep the slice. Every stream
	// handed over must be Released exactly once. From then on the handler owns the flush of what it
	// causes: whoever answers calls Conn.Flush once it has nothing more to append. A client gets
	// the streams that the server has promised on streams with an Owner (RFC 9113 §8.4), where
	// Config.EnablePush allows it.
	HandleStreams(batch []*Stream)

	// StreamBlocked tells that a call on s, Read, Write or Finish, is about to wait for the peer or
	// for the socket. It is called outside any lock, by the goroutine that will wait, once for such
	// a call, and must not block on anything but a flush.
	StreamBlocked(s *Stream)

	// ConnState tells that the number of open streams has gone from 0 to more (idle is false) or
	// back (idle is true), at first that the peer's SETTINGS have come. Calls are in order and
	// never two at a time; changes that undo each other at once may go unreported. It is called
	// outside the connection's lock and must not block.
	ConnState(idle bool)
}

// Conn is a living HTTP/2 connection. All methods may be called from any goroutine, Serve from one.
//
// Who owns what:
//   - the goroutine in Serve alone, or the request that holds the read lease (see readLease), owns
//     the receive buffer and core's Decode;
//   - mu guards everything else of core and the fields below it; it is never held over a system
//     call, a callback or a channel operation;
//   - the goroutine that has set flushing owns the socket's write side until it clears it;
//   - readers and writers of streams wait on their stream's own conditions.
type Conn struct {
	nc      net.Conn
	cfg     runtimeOptions
	handler Handler
	role    core.Role

	tls             bool           // nc is a TLS connection
	interruptible   bool           // deadlines of nc work: see isInterruptible
	flusherUnlocked bool           // who flushes has let go of mu to write; owned by him
	writeWait       uint16         // times countedWait, for which the last write has waited; owned by the flusher
	tlsOverhead     int32          // of TLS in the present write, in octets; owned by who flushes
	rawConn         net.Conn       // what is written to: nc, or the socket below its TLS
	tlsBatch        *tlsbatch.Conn // between that and TLS; nil: TLS writes by itself
	reader          reader         // owned by the goroutine that reads
	writeDeadline   time.Time      // the write deadline that is set on nc; owned by who flushes
	tasks           sync.WaitGroup
	// try writes without waiting for the socket; used by who flushes; nil: there is no such way, or it rests
	nonblock *socket.Writer
	vectored *vectoredWriter // the same from several places; nil until something is lent

	mu               sync.Mutex
	flushing         bool  // somebody owns the write side
	flushSoon        bool  // a goroutine was started that will flush if nobody does before
	notSentLimit     uint8 // what the kernel was told, see notSentLimitLocked; owned by the flusher
	phase            phase
	activity         activity
	reported         activity // what the handler was told last
	reporting        bool     // somebody is calling ConnState, and will tell of later changes, too
	settingsReceived bool     // its SETTINGS have come
	core             core.Driver
	opened           []*Stream     // by the peer, not handed to the handler yet
	pending          []callback    // OnEnd functions to be called once mu is free
	outBuf           *buffer       // whose memory core's output uses
	outputTaken      sync.Cond     // the output became shorter, or the connection is over
	err              error         // why the connection ended, set with phase
	done             chan struct{} // what Done returns; nil while nobody has asked
	timer            deadlineTimer
	ageAt            time.Time // when the connection is to be drained for its age
	lookAt           time.Time // alive: when to look whether it may rest; later: when the socket is closed
	stats            ioStats
	backpressure     *backpressure // nil: no write has waited yet
	client           clientState
	park             parkState
	linger           *lingerState // set with the phase lingering
}

// activity is what a connection is seen to do: nothing is known until the peer's SETTINGS have
// come.
type activity uint8

const (
	activityUnknown activity = iota
	activityActive           // streams are open
	activityIdle
)

// phase is how far a connection has come.
type phase uint8

const (
	phaseOpen      phase = iota
	phaseClosing         // the last frames are to be sent, then the socket is half-closed; no stream is left
	phaseLingering       // what still comes is thrown away until what was written has arrived, see linger
	phaseClosed          // the socket is closed
)

type ioStats struct {
	reads, writes           uint64
	bytesRead, bytesWritten uint64
}

// NewServer returns the server's side of an HTTP/2 connection on nc, which it closes in the end.
// Serve runs it.
func NewServer(nc net.Conn, cfg Config, h Handler) *Conn {
	return newConn(nc, cfg, h, core.Server)
}

// NewClient returns the client's side of an HTTP/2 connection on nc, which it closes in the end.
// Serve runs it. h may be nil where the server does not push.
func NewClient(nc net.Conn, cfg Config, h Handler) *Conn {
	return newConn(nc, cfg, h, core.Client)
}

func newConn(nc net.Conn, cfg Config, h Handler, role core.Role) *Conn {
	cfg.clampTimes()
	c := &Conn{nc: nc, cfg: cfg.runtimeOptions(), handler: h, role: role}
	c.outputTaken.L = &c.mu
	if role == core.Client {
		c.client.lease = &readLease{tunnelClose: timeoutOr(cfg.TunnelCloseTimeout, DefaultTunnelCloseTimeout)}
		c.client.lease.serveCond.L = &c.mu
	}
	c.timer.fire = c.timerFired
	_, c.tls = nc.(*tls.Conn)
	c.interruptible = isInterruptible(nc)
	c.reader.init(nc, cfg.Received)
	c.rawConn, c.tlsBatch = writeTarget(nc)
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
		c.ageAt = now.Add(age - tenth + rand.N(2*tenth+1))
	}
	c.ensureOutputLocked()
	c.core.Start(now)
	if len(cfg.Origins) > 0 && role == core.Server {
		c.core.SendOrigin(cfg.Origins)
	}
	c.client.onOrigin, c.client.onAltSvc = cfg.OnOrigin, cfg.OnAltSvc
	return c
}

// NetConn returns the underlying connection. Reading, writing or closing it breaks the connection.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Done returns a channel that is closed when Serve has returned.
func (c *Conn) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
	}
	return c.done
}

// closedChan is what Done returns where nobody has asked before the end.
var closedChan = func() chan struct{} {
	ch := make(chan struct{})
	close(ch)
	return ch
}()

// closeDone closes what Done returns.
func (c *Conn) closeDone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = closedChan
	} else {
		close(c.done)
	}
}

// Stats are counters of a connection.
type Stats struct {
	core.Counts
	Reads, Writes           uint64 // calls of the socket's Read and Write
	BytesRead, BytesWritten uint64
	Streams                 int   // open now
	Unread                  int64 // octets of DATA that nobody has read yet
	SendWindow              int64 // octets that the peer's connection window has room for
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
	return Stats{
		Counts: c.core.Counts(),
		Reads:  c.stats.reads, Writes: c.stats.writes,
		BytesRead: c.stats.bytesRead, BytesWritten: c.stats.bytesWritten,
		Streams: c.core.NumStreams(), Unread: c.core.Unread(), SendWindow: c.core.SendWindow(),
		RecvWindow: size, RecvGrown: grown, RTT: c.core.RTT(),
	}
}

// PeerSettings returns the peer's settings in force (RFC 9113 §6.5).
func (c *Conn) PeerSettings() core.Settings {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.core.PeerSettings()
}

// unlockAndNotify releases mu and then calls whom it concerns.
func (c *Conn) unlockAndNotify() {
	if c.timer.poisoned {
		c.closePoisonedLocked()
	}
	switch {
	case c.core.NumStreams() > 0:
		c.activity = activityActive
	case c.settingsReceived && c.activity != activityIdle:
		c.activity = activityIdle
		if c.phase == phaseOpen && (c.role == core.Server || c.cfg.IdleTimeout > 0) {
			c.core.SetTime(time.Now()) // from which a peer that is slow to take what was sent has its time
			if c.cfg.IdleTimeout > 0 || c.core.Draining() {
				c.armLocked() // nothing else may happen until that time
			}
		}
	}
	report := c.activity != c.reported && !c.reporting && c.handler != nil
	if len(c.client.wakeQueue) > 0 {
		c.client.wakeReadersLocked()
	}
	if !report && len(c.pending) == 0 && !c.client.quotaChanged {
		c.mu.Unlock()
		return
	}
	c.reporting = c.reporting || report
	callbacks := c.pending
	c.pending = nil
	hook := c.client.onQuota
	if !c.client.quotaChanged {
		hook = nil
	}
	c.client.quotaChanged = false
	c.mu.Unlock()
	c.runCallbacks(callbacks, hook, report)
}

// runCallbacks calls whom a change concerns. When one of the calls does not return, the connection
// ends, and the others are made all the same.
func (c *Conn) runCallbacks(callbacks []callback, hook func(), report bool) {
	ok := false
	defer func() {
		v, is := unwound(recover(), ok)
		if !is {
			return
		}
		c.mu.Lock()
		c.failPanicLocked(v)
		c.unlockAndNotify()
		c.runCallbacks(callbacks, hook, report)
	}()
	for len(callbacks) > 0 {
		n := callbacks[0]
		callbacks = callbacks[1:]
		n.call(c)
	}
	if f := hook; f != nil {
		hook = nil
		f()
	}
	if report {
		report = false
		c.reportState()
	}
	ok = true
}

// reportState tells the handler of the connection's state until it knows the present one. It is
// called with telling set, which keeps the calls in order without a lock, so that they may come
// back to the connection.
func (c *Conn) reportState() {
	c.mu.Lock()
	defer func() {
		c.reporting = false
		c.mu.Unlock()
	}()
	for c.activity != c.reported {
		c.reported = c.activity
		c.callConnState(c.reported == activityIdle)
	}
}

func (c *Conn) callConnState(idle bool) {
	c.mu.Unlock()
	defer c.mu.Lock()
	c.handler.ConnState(idle)
}

// callback is a call that waits until mu is free.
type callback struct {
	f      func(error)
	err    error
	stream *Stream // whose calls wait until f has returned; may be nil
}

func (n *callback) call(c *Conn) {
	if n.stream != nil {
		defer n.stream.onEndReturned(c) // also when f does not return
	}
	n.f(n.err)
}

// handleEventsLocked takes what core has found.
func (c *Conn) handleEventsLocked() {
	for {
		e, ok := c.core.NextEvent()
		if !ok {
			return
		}
		var st *Stream
		if e.Stream != nil {
			st = e.Stream.Owner.(*Stream)
		}
		switch e.Kind {
		case core.EventHeaders:
			st.receiveHeadLocked(e.End)
			if c.role == core.Server {
				c.opened = append(c.opened, st)
			}
		case core.EventData:
			st.receiveDataLocked(e.Data, e.End)
		case core.EventTrailers:
			st.receiveTrailersLocked(e.Message.Fields)
		case core.EventDrained:
			st.send.drained = true
			if st.send.borrowed == 0 {
				st.canWrite.Broadcast()
			}
		case core.EventReset:
			st.failLocked(e.Err)
		case core.EventClosed:
			st.closed = true
			if c.role == core.Client {
				c.noteQuotaLocked(st)
			}
			st.recycleLocked()
		case core.EventFault:
			c.countErrorLocked(e.Err)
		case core.EventSettings:
			c.settingsReceived = true
			c.client.quotaChanged = true
			c.signalSettingsLocked()
		case core.EventInformational, core.EventPush, core.EventPingAck, core.EventGoAway:
			c.handleClientEventLocked(e, st)
		case core.EventOrigin, core.EventAltSvc:
			c.handleOriginEventLocked(e, st)
		}
	}
}
