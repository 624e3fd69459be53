package tlsbatch

import (
	"errors"
	"io"
	"sync"
)

// sealer is how records reach the socket: at once, or, where many follow each other, as the memory
// that Seal returns, so that one system call takes them all.
type sealer struct {
	mu    sync.Mutex
	state state
	dst   []byte // of Seal
	later []byte // what crypto/tls has written by itself meanwhile
}

type state uint8

const (
	straight state = iota // what is written goes to the socket
	sealing               // it is appended to dst
	sending               // the caller of Seal writes to the socket: what comes meanwhile must follow
)

// laterMost is how much of what crypto/tls writes by itself, answers to KeyUpdate (RFC 8446 §4.6.3)
// and alerts, waits for the socket: a thousand of them.
const laterMost = 32 << 10

var errLater = errors.New("tlsbatch: the peer does not read our answers")

// Seal has tc, which lies on c and has shaken hands, encrypt p, and appends the records to dst in
// place of writing them. The caller writes them to the socket, and then calls Sent. One goroutine
// at a time seals and sends.
func (c *Conn) Seal(tc io.Writer, p, dst []byte) ([]byte, error) {
	s := &c.out
	s.mu.Lock()
	s.state, s.dst = sealing, dst
	s.mu.Unlock()
	_, err := tc.Write(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	dst, s.dst, s.state = s.dst, nil, sending
	return dst, err
}

// Sent is called when what Seal has returned is written. What it returns must be written now, and
// Sent be called again.
func (c *Conn) Sent() []byte {
	s := &c.out
	s.mu.Lock()
	defer s.mu.Unlock()
	later := s.later
	s.later = nil
	if len(later) == 0 {
		s.state = straight
	}
	return later
}

// Write writes a record. crypto/tls calls it under a lock of its own, so the records are in order.
func (c *Conn) Write(p []byte) (int, error) {
	if done, err := c.out.keep(p); err != nil {
		return 0, err
	} else if done {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// keep takes p unless it is to be written at once.
func (s *sealer) keep(p []byte) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.state {
	case sealing:
		s.dst = append(s.dst, p...)
	case sending:
		if len(s.later)+len(p) > laterMost {
			return false, errLater
		}
		s.later = append(s.later, p...)
	case straight:
		return false, nil
	}
	return true, nil
}
