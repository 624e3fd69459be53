package conn

import (
	"net"
	"time"

	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/socket"
)

// While the read lease is free nothing is read, and the server may have sent GOAWAY or closed the
// connection meanwhile. So before a request is sent:
//
//  1. The socket is asked, without waiting, whether there is something to read (readable). If so,
//     Serve reads it, and the request waits for that (awaitCatchUpLocked).
//  2. Above a socket that has nothing, TLS may hold records that came with the last read. The
//     request handles them itself (readBufferedTLSLocked).

const (
	// catchUpAfter is how long ago the last stream must have been closed for the socket to be
	// asked, which is a system call: what came since then is no older than what may be on its way.
	catchUpAfter = 50 * time.Microsecond
	// catchUpTimeout bounds the wait for Serve, which waits itself where only a part of a TLS
	// record has come.
	catchUpTimeout = time.Millisecond
)

// catchUpLocked handles what has come while the lease was free. It releases the lock meanwhile.
func (c *Client) catchUpLocked() {
	t := &c.lease
	if t.holder != leaseFree || c.mu.phase != phaseOpen {
		return
	}
	if gap := time.Since(c.core.IdleSince()); gap < catchUpAfter {
		return
	}
	if readable(c.nc) {
		c.awaitCatchUpLocked()
		return
	}
	if c.tls {
		c.readBufferedTLSLocked()
	}
}

// readable reports whether a read of the socket would not wait.
func readable(nc net.Conn) bool {
	nc = socket.BelowTLS(nc)
	if s := socket.Of(nc); s != nil {
		return s.Readable()
	}
	return netconn.Readable(nc)
}

// awaitCatchUpLocked has Serve read, and waits, with the lock released, until that is handled.
func (c *Client) awaitCatchUpLocked() {
	t := &c.lease
	if t.caughtUp == nil {
		t.caughtUp = make(chan struct{})
	}
	looked := t.caughtUp
	c.returnLeaseLocked()
	c.mu.Unlock()
	defer c.mu.Lock()
	late := time.NewTimer(catchUpTimeout)
	defer late.Stop()
	select {
	case <-looked:
	case <-late.C:
	}
}

// wakeCaughtUpLocked is called when Serve has handled what it has read.
func (t *readLease) wakeCaughtUpLocked() {
	if t.caughtUp != nil {
		close(t.caughtUp)
		t.caughtUp = nil
	}
}

// readBufferedTLSLocked handles whole records of TLS that were read together with the last one:
// with a read deadline in the past crypto/tls returns these, and does not read from the socket.
func (c *Client) readBufferedTLSLocked() {
	t := &c.lease
	if c.nc.SetReadDeadline(time.Unix(1, 0)) != nil {
		return
	}
	t.interrupted = true
	c.readWithLeaseLocked(nil, func() bool { return t.interrupted })
}
