package conn

import (
	"time"

	"github.com/sluice-go/sluice/internal/socket"
	"github.com/sluice-go/sluice/internal/socket/idlepoll"
)

// An idle connection of a server is parked: it gives up what it holds for the next request, which
// is memory that spares allocations, and the goroutine that reads, whose stack has grown by
// handling requests.
//
//  1. The timer compares, every parkAfter, the number of reads with that of the check before. While
//     a connection is in use that is all that parking costs.
//  2. Where nothing was read, no stream is open and nothing waits to be written, it requests the
//     park: it sets a read deadline that has passed, so that the Read that waits returns.
//  3. The reader finds that this is why its Read has failed, takes the deadline back, and gives the
//     memory up (parkLocked).
//  4. It arms a readiness watch of the socket, and its goroutine ends (startWatch). Where the
//     system has no such watch, or refuses it, a fresh goroutine with a small stack reads in its
//     place.
//  5. When the socket becomes readable, the watch starts a goroutine that reads on (Wake).
//
// There is always one reader, or one watch that will start one, and never two:
//
//   - The reader hands over by setting watch under Conn.mu while the phase is open, and then arming
//     the watch. From setting it on the reader owns nothing of the connection any more. If arming
//     fails, the reader takes the watch back as every other taker does.
//   - Whatever clears watch under Conn.mu calls serve. There are three: Wake, when the socket is
//     readable; resumeReaderLocked, when the phase open ends, so that no watch follows; and the old
//     reader, when arming has failed.
//   - Only the end of a connection needs a reader at once, to call what Start was given and to read
//     what still comes. What is written meanwhile (GOAWAY, PING by the timer, SETTINGS) is written
//     by flushers, and the peer's answer to it wakes the watch.
//   - What came before the watch was armed wakes it at once. Nothing hides above the socket: the
//     receive buffer is empty; a read of crypto/tls that fails for a deadline has no whole record
//     left, or it would have returned that, and the rest of one that has begun is still to come;
//     and the batching below TLS asks the socket, and so finds the deadline, only when what it has
//     read ahead is used up.
//   - A socket that its owner closes meanwhile is noticed within five seconds: the watch asks for
//     it.
//   - While the connection is parked no deadline is set on the socket.

// parkState is what a connection knows of being parked. That is for connections of a server that
// were started with Start, on sockets whose read deadlines are known to do no harm.
type parkState struct {
	checkAt      time.Time      // when the next check is due
	readsAtCheck uint32         // the lower half of stats.reads at the last check
	allowed      bool           // the connection was started, on a socket that can be parked
	requested    bool           // a read deadline was set to interrupt the reader
	parked       bool           // memory was given up; cleared when something is read
	watch        idlepoll.Watch // starts a reader, as there is none; 0 while there is one
}

// parkAfter is the time between two checks; what is parked has been idle for that, or up to twice
// as long.
const parkAfter = time.Second

// initPark is called before the first read.
func (c *Conn) initPark(end func(error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onServed = end
	c.mu.park.allowed = c.mu.park.allowed || c.socket() != nil
	if c.mu.park.allowed {
		c.unparkLocked()
	}
}

// unparkLocked ends the parking, if the connection is parked, and sets the timer for the next
// check.
func (c *Conn) unparkLocked() {
	p := &c.mu.park
	if c.mu.phase != phaseOpen {
		return // it has ended
	}
	if p.parked {
		p.parked = false
		c.initNonblockLocked()
	}
	p.readsAtCheck = uint32(c.mu.stats.reads)
	p.checkAt = time.Now().Add(parkAfter)
	c.mu.timer.setLocked(p.checkAt)
}

// requestParkLocked checks whether the connection may be parked, and if so interrupts the reader.
func (c *Conn) requestParkLocked(now time.Time) {
	p := &c.mu.park
	switch {
	case now.Before(p.checkAt): // the timer was set for something else
	case c.core.NumStreams() == 0 && p.readsAtCheck == uint32(c.mu.stats.reads) &&
		!c.mu.out.flushing && c.core.OutputLen() == 0:
		if !p.requested && c.nc.SetReadDeadline(time.Unix(1, 0)) == nil {
			p.requested = true
		}
		return // the reader sets the time of the next check
	default:
		p.readsAtCheck = uint32(c.mu.stats.reads)
		p.checkAt = now.Add(parkAfter)
	}
	c.mu.timer.setLocked(p.checkAt)
}

// parkLocked is called by the reader that requestParkLocked has interrupted.
func (c *Conn) parkLocked() {
	p := &c.mu.park
	p.requested = false
	if c.mu.phase != phaseOpen {
		return
	}
	if c.core.NumStreams() > 0 || c.reader.buffered > 0 {
		c.unparkLocked() // something has come in between
		return
	}
	p.parked = true
	c.core.Compact()
	c.reader.opened = nil
	c.mu.pending = nil
	if !c.mu.out.flushing {
		c.writer.nonblock, c.writer.vectored, c.mu.out.backpressure = nil, nil, nil
	}
	if c.mu.timer.firesAt.IsZero() {
		c.mu.timer.t = nil // it has fired, and is not set again before something comes
	}
	c.reader.parking = true
}

// startWatch has the reader's goroutine replaced by a watch of the socket. It reports whether the
// goroutine may end.
func (c *Conn) startWatch() bool {
	s := c.socket()
	if s == nil {
		return false
	}
	watch, err := idlepoll.New((*watcher)(c))
	if err != nil {
		return false
	}
	if c.reader.buf != nil {
		putRead(c.reader.buf) // it is empty
		c.reader.buf = nil
	}
	c.reader.lazy = nil
	c.mu.Lock()
	on := c.mu.phase == phaseOpen
	if on {
		c.mu.park.watch = watch
	}
	c.mu.Unlock()
	// From here on another goroutine may read.
	if on && (watch.Arm(s) == nil || !c.takeWatch(watch)) {
		return true
	}
	watch.Cancel()
	c.reader.lazy = socket.NewReader(socket.Of(c.nc))
	return false
}

// takeWatch makes its caller the reader in place of the watch, and reports whether it has.
func (c *Conn) takeWatch(watch idlepoll.Watch) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.park.watch != watch {
		return false
	}
	c.mu.park.watch = 0
	return true
}

// watcher is a Conn as package idlepoll knows it.
type watcher Conn

// Wake is called when there is something to read, on a goroutine that becomes the reader.
func (w *watcher) Wake(watch idlepoll.Watch) {
	c := (*Conn)(w)
	if !c.takeWatch(watch) {
		return // another goroutine reads: the connection has ended
	}
	watch.Remove(c.socket())
	c.reader.lazy = socket.NewReader(socket.Of(c.nc))
	c.mu.Lock()
	c.unparkLocked()
	c.mu.Unlock()
	c.serve(true) // ends as serve does
}

// Closed reports whether the socket was closed by its owner.
func (w *watcher) Closed() bool {
	s := (*Conn)(w).socket()
	return s == nil || s.Closed()
}

// resumeReaderLocked starts a reader for a connection that is parked and has ended.
func (c *Conn) resumeReaderLocked() {
	watch := c.mu.park.watch
	if watch == 0 {
		return
	}
	c.mu.park.watch = 0
	go func() {
		watch.Cancel()
		c.serve(true) // ends as serve does
	}()
}
