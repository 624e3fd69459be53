package conn

import (
	"net"
	"time"

	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/socket"
)

// While the turn is free nobody reads (see readLease), and the server may have said GOAWAY or
// closed the connection meanwhile. So before a stream is opened on a free turn the socket is asked,
// without waiting, whether something has come, and the stream waits until that has been handled.

const (
	// catchUpAfter is for how long nothing must have been read for the question to be worth a
	// system call: what came since is no older than what may be on its way.
	catchUpAfter = 50 * time.Microsecond
	// catchUpTimeout bounds the wait for Serve, where what has come is a part of a record of TLS.
	catchUpTimeout = time.Millisecond
)

// catchUpLocked handles what has come while the turn was free. It lets go of mu.
func (c *Conn) catchUpLocked() {
	t := &c.client.lease
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

// awaitCatchUpLocked has Serve read, and waits until that is handled.
func (c *Conn) awaitCatchUpLocked() {
	t := &c.client.lease
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

// wakeCaughtUpLocked is called, with mu held, when Serve has handled what it has read.
func (t *readLease) wakeCaughtUpLocked() {
	if t.caughtUp != nil {
		close(t.caughtUp)
		t.caughtUp = nil
	}
}

// readBufferedTLSLocked handles whole records of TLS that were read together with the last one:
// with a read deadline in the past crypto/tls returns these, and asks the socket for nothing.
func (c *Conn) readBufferedTLSLocked() {
	t := &c.client.lease
	if c.nc.SetReadDeadline(time.Unix(1, 0)) != nil {
		return
	}
	t.interrupted = true
	c.readWithLeaseLocked(nil, func() bool { return t.interrupted })
}
