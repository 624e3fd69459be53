package conn

import (
	"net"
	"time"

	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/rawio"
)

// While the turn is free nobody reads (see readTurn), and the server may have said GOAWAY or closed
// the connection meanwhile. So before a stream is opened on a free turn the socket is asked,
// without waiting, whether something has come, and the stream waits until that has been handled.

const (
	// lookFrom is for how long nothing must have been read for the question to be worth a system
	// call: what came since is no older than what may be on its way.
	lookFrom = 50 * time.Microsecond
	// lookTime bounds the wait for Serve, where what has come is a part of a record of TLS.
	lookTime = time.Millisecond
)

// look handles what has come while the turn was free. It lets go of mu.
func (c *Conn) look() {
	t := c.client.turn
	if t.holder != turnFree || c.phase != alive {
		return
	}
	if gap := time.Since(c.core.IdleSince()); gap < lookFrom {
		return
	}
	if readable(c.nc) {
		c.awaitServe()
		return
	}
	if c.tls {
		c.lookAbove()
	}
}

// readable reports whether a read of the socket would not wait.
func readable(nc net.Conn) bool {
	if s := socketOf(nc); s != nil {
		return peek(rawio.Socket(s))
	}
	return netconn.Readable(bare(nc))
}

// awaitServe has Serve read, and waits until that is handled.
func (c *Conn) awaitServe() {
	t := c.client.turn
	if t.looked == nil {
		t.looked = make(chan struct{})
	}
	looked := t.looked
	c.serveTurn()
	c.mu.Unlock()
	defer c.mu.Lock()
	late := time.NewTimer(lookTime)
	defer late.Stop()
	select {
	case <-looked:
	case <-late.C:
	}
}

// wakeLooked is called, with mu held, when Serve has handled what it has read.
func (t *readTurn) wakeLooked() {
	if t.looked != nil {
		close(t.looked)
		t.looked = nil
	}
}

// lookAbove handles whole records of TLS that were read together with the last one: with a read
// deadline in the past crypto/tls returns these, and asks the socket for nothing.
func (c *Conn) lookAbove() {
	t := c.client.turn
	if c.nc.SetReadDeadline(time.Unix(1, 0)) != nil {
		return
	}
	t.kicked = true
	c.readAs(nil, func() bool { return t.kicked })
}
