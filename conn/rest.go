package conn

import (
	"crypto/tls"
	"net"
	"time"

	"github.com/sluice-go/sluice/internal/tlssock"
)

// rest is how a connection that nobody uses gives up what it holds for the next request: the memory that spares
// allocations, and the stack of the goroutine that reads, which handling requests has made grow and which the runtime
// shrinks to no less than 4 KiB. The timer looks now and then whether anything has come; if not, it calls the reader, by a
// read deadline that has passed, and the reader hands over to a fresh goroutine. While a connection is in use that costs one
// run of the timer every restAfter, and no request anything.
//
// It is for server connections that were started with Start, on sockets whose read deadlines are known to do no harm. Its fields are
// guarded by Conn.mu, but for end, which is set before there is another goroutine.
type rest struct {
	end    func(error) // as given to Start
	may    bool        // it was started, on a socket for which that is safe
	lookAt time.Time   // when to look again
	reads  uint64      // Conn.stats.reads at the last look
	called bool        // the reader has been called
	asleep bool        // it rests, until something comes
}

// restAfter is how long nothing must have come: that much, or up to twice as much.
const restAfter = time.Second

// restful tells whether nc is a socket, or TLS on one, whose read deadline may be set and taken back.
func restful(nc net.Conn) bool {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	if s, ok := nc.(*tlssock.Conn); ok {
		nc = s.NetConn()
	}
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}

// startRest is called before the first read.
func (c *Conn) startRest(end func(error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rest.end = end
	c.rest.may = c.rest.may || restful(c.nc)
	if c.rest.may {
		c.wakeUp()
	}
}

// wakeUp begins the watch for the next rest.
func (c *Conn) wakeUp() {
	r := &c.rest
	r.asleep = false
	r.reads = c.stats.reads
	r.lookAt = time.Now().Add(restAfter)
	c.timer.set(r.lookAt)
}

// callToRest looks whether the connection may rest, and calls the reader if so.
func (c *Conn) callToRest(now time.Time) {
	r := &c.rest
	switch {
	case now.Before(r.lookAt): // the timer rang for something else
	case c.core.NumStreams() == 0 && r.reads == c.stats.reads && !c.flushing && c.core.OutputLen() == 0:
		if !r.called && c.nc.SetReadDeadline(time.Unix(1, 0)) == nil {
			r.called = true
		}
		return // who reads sees to the next look
	default:
		r.reads = c.stats.reads
		r.lookAt = now.Add(restAfter)
	}
	c.timer.set(r.lookAt)
}

// goToRest is what the reader does when it was called.
func (c *Conn) goToRest() {
	r := &c.rest
	r.called = false
	if c.phase != alive {
		return
	}
	if c.core.NumStreams() > 0 || c.in.n > 0 {
		c.wakeUp() // something has come in between
		return
	}
	r.asleep = true
	c.core.Trim()
	c.opened = nil
	c.notes = nil
	if c.timer.at.IsZero() {
		c.timer.t = nil // it has rung, and is not set again before something comes
	}
	c.in.moves = true
}
