package tlsbatch

import (
	"errors"
	"io"
	"sync"
)

// outgoing is what becomes of the records that crypto/tls writes.
type outgoing struct {
	mu       sync.Mutex // guards the fields below
	state    outgoingState
	dst      []byte // while batching: where Encrypt appends to
	deferred []byte // records that crypto/tls has written while draining
}

type outgoingState uint8

const (
	direct   outgoingState = iota // records are written to the socket at once
	batching                      // Encrypt appends them to dst
	draining                      // the caller of Encrypt writes to the socket: records are deferred
)

// maxDeferred is how many octets are deferred at most. crypto/tls writes records of its own accord
// that answer a KeyUpdate (RFC 8446 §4.6.3), and alerts; there is room for a thousand of them.
const maxDeferred = 32 << 10

var errDeferred = errors.New("tlsbatch: the peer does not read the answers that it asks for")

// Encrypt has tc, which lies on c and has shaken hands, encrypt p, and appends the records to dst
// in place of writing them. The caller writes them to the socket, and then calls Flushed. Only one
// goroutine at a time may be between the two.
func (c *Conn) Encrypt(tc io.Writer, p, dst []byte) ([]byte, error) {
	o := &c.out
	o.mu.Lock()
	o.state, o.dst = batching, dst
	o.mu.Unlock()
	_, err := tc.Write(p)
	o.mu.Lock()
	defer o.mu.Unlock()
	dst, o.dst, o.state = o.dst, nil, draining
	return dst, err
}

// Flushed is called when the records that Encrypt has returned are written. It returns records that
// crypto/tls has written meanwhile: the caller writes these, and calls Flushed again, until it
// returns none.
func (c *Conn) Flushed() []byte {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	deferred := o.deferred
	o.deferred = nil
	if len(deferred) == 0 {
		o.state = direct
	}
	return deferred
}

// Write writes a record. crypto/tls calls it under a lock of its own, so the records are in order.
func (c *Conn) Write(p []byte) (int, error) {
	if taken, err := c.out.take(p); err != nil {
		return 0, err
	} else if taken {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// take keeps a copy of p, and reports false if p is to be written to the socket at once.
func (o *outgoing) take(p []byte) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch o.state {
	case batching:
		o.dst = append(o.dst, p...)
	case draining:
		if len(o.deferred)+len(p) > maxDeferred {
			return false, errDeferred
		}
		o.deferred = append(o.deferred, p...)
	case direct:
		return false, nil
	}
	return true, nil
}
