package conn

import (
	"crypto/tls"
	"net"
	"time"

	"github.com/sluice-go/sluice/internal/rawio"
	"github.com/sluice-go/sluice/internal/tlssock"
	"github.com/sluice-go/sluice/internal/vigil"
)

// parkState is how a connection that nobody uses gives up what it holds for the next request: the memory
// that spares allocations, and the goroutine that reads, whose stack handling requests has made
// grow. The timer looks now and then whether anything has come; if not, it calls the reader, by a
// read deadline that has passed. While a connection is in use that costs one run of the timer every
// parkAfter, and no request anything.
//
// On Linux nobody reads from then on: package vigil starts a goroutine that does once something
// comes. On other systems, and where the kernel refuses, a fresh goroutine with a small stack waits
// in the old one's place.
//
// That there is always one reader, or one vigil that will call one, and never two:
//
//   - The reader leaves by setting vigil under mu while the phase is alive, and then arming it.
//     From setting it on the reader owns nothing of the connection any more; if arming fails it
//     takes vigil back as anyone does.
//   - Whoever clears vigil under mu calls serve. Three do: the sleeper that was woken; finish and
//     die, which end the phase alive (resumeReaderLocked), so that no vigil follows; and the old reader when
//     arming has failed.
//   - What ends the connection needs a reader, to tell Serve's caller and to read what still comes.
//     Nothing else does: what is written meanwhile (GOAWAY, PING by a timer, SETTINGS) is written
//     by flushers, and its answer is what wakes the sleeper.
//   - What came before the vigil was armed wakes it at once. Nothing can hide above the socket: the
//     receive buffer is empty; a read of crypto/tls that fails for a deadline has no whole record
//     left, or it would have handed that out, and the rest of one that has begun is still to come;
//     and tlssock asks the socket, and so finds the deadline, only when what it has read ahead is
//     used up.
//   - A socket that its owner closes meanwhile is noticed within five seconds: package vigil looks.
//   - While the connection rests no deadline is set on the socket.
//
// It is for server connections that were started with Start, on sockets whose read deadlines are
// known to do no harm. Its fields are guarded by Conn.mu, but for end, which is set before there is
// another goroutine. Conn.lookAt is when to look again.
type parkState struct {
	onServed     func(error) // as given to Start
	readsAtCheck uint32      // Conn.stats.reads at the last look, its lower half
	allowed      bool        // it was started, on a socket for which that is safe
	requested    bool        // the reader has been called
	parked       bool        // it rests, until something comes
	watch        vigil.Vigil // nobody reads: it starts who does; 0 when somebody does
}

// parkAfter is how long nothing must have come: that much, or up to twice as much.
const parkAfter = time.Second

// socketOf returns the socket that nc is, or that TLS on it uses, if its read deadline may be set
// and taken back; nil otherwise.
func socketOf(nc net.Conn) net.Conn {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	if s, ok := nc.(*tlssock.Conn); ok {
		nc = s.NetConn()
	}
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		return nc
	}
	return nil
}

// initPark is called before the first read.
func (c *Conn) initPark(end func(error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.park.onServed = end
	c.park.allowed = c.park.allowed || socketOf(c.nc) != nil
	if c.park.allowed {
		c.unparkLocked()
	}
}

// unparkLocked begins the watch for the next rest.
func (c *Conn) unparkLocked() {
	r := &c.park
	if c.phase != phaseOpen {
		return // it will not rest
	}
	if r.parked {
		r.parked = false
		c.findWays()
	}
	r.readsAtCheck = uint32(c.stats.reads)
	c.lookAt = time.Now().Add(parkAfter)
	c.timer.setLocked(c.lookAt)
}

// requestParkLocked looks whether the connection may rest, and calls the reader if so.
func (c *Conn) requestParkLocked(now time.Time) {
	r := &c.park
	switch {
	case now.Before(c.lookAt): // the timer rang for something else
	case c.core.NumStreams() == 0 && r.readsAtCheck == uint32(c.stats.reads) && !c.flushing && c.core.OutputLen() == 0:
		if !r.requested && c.nc.SetReadDeadline(time.Unix(1, 0)) == nil {
			r.requested = true
		}
		return // who reads sees to the next look
	default:
		r.readsAtCheck = uint32(c.stats.reads)
		c.lookAt = now.Add(parkAfter)
	}
	c.timer.setLocked(c.lookAt)
}

// parkLocked is what the reader does when it was called.
func (c *Conn) parkLocked() {
	r := &c.park
	r.requested = false
	if c.phase != phaseOpen {
		return
	}
	if c.core.NumStreams() > 0 || c.in.n > 0 {
		c.unparkLocked() // something has come in between
		return
	}
	r.parked = true
	c.core.Trim()
	c.opened = nil
	c.pending = nil
	if !c.flushing {
		c.try, c.lender, c.pace = nil, nil, nil
	}
	if c.timer.firesAt.IsZero() {
		c.timer.t = nil // it has rung, and is not set again before something comes
	}
	c.in.parking = true
}

// startWatch has the reader called when something comes, and tells whether it may go.
func (c *Conn) startWatch() bool {
	raw := rawio.Socket(socketOf(c.nc))
	if raw == nil {
		return false
	}
	v, err := vigil.Begin((*watcher)(c))
	if err != nil {
		return false
	}
	if c.in.buf != nil {
		putRead(c.in.buf) // it is empty
		c.in.buf = nil
	}
	c.in.wait = nil
	c.mu.Lock()
	on := c.phase == phaseOpen
	if on {
		c.park.watch = v
	}
	c.mu.Unlock()
	// From here on somebody else may read.
	if on && (v.Arm(raw) == nil || !c.takeWatch(v)) {
		return true
	}
	v.End()
	c.in.wait = newWaiter(c.nc)
	return false
}

// takeWatch makes who calls it the reader, if nobody else has become that.
func (c *Conn) takeWatch(v vigil.Vigil) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.park.watch != v {
		return false
	}
	c.park.watch = 0
	return true
}

// watcher is a Conn as package vigil knows it.
type watcher Conn

// Wake goes on reading.
func (s *watcher) Wake(v vigil.Vigil) {
	c := (*Conn)(s)
	if !c.takeWatch(v) {
		return // it has ended
	}
	v.Leave(rawio.Socket(socketOf(c.nc)))
	c.in.wait = newWaiter(c.nc)
	c.mu.Lock()
	c.unparkLocked()
	c.mu.Unlock()
	c.serve(true) // ends as serve does
}

// Closed reports whether somebody else has closed the socket.
func (s *watcher) Closed() bool {
	raw := rawio.Socket(socketOf((*Conn)(s).nc))
	return raw == nil || raw.Control(noControl) != nil
}

func noControl(uintptr) {}

// resumeReaderLocked gives a connection that rests a reader, for its end. It is called with mu held.
func (c *Conn) resumeReaderLocked() {
	v := c.park.watch
	if v == 0 {
		return
	}
	c.park.watch = 0
	go func() {
		v.End()
		c.serve(true) // ends as serve does
	}()
}
