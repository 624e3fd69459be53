package client

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sluice-go/sluice/internal/netconn"
)

// http1State is what a Transport keeps for HTTP/1.1 over TLS.
type http1State struct {
	mu          sync.Mutex // guards all below
	transports  map[http1Key]*http.Transport
	spares      map[Key][]*spare
	preferences map[Key]http1Preference
	cancels     map[*http.Request]func() // how to cancel requests that have no response yet
}

// http1Preference records that a server has chosen HTTP/1.1, so that requests go to net/http first,
// which has its connections. It is a hint: ALPN decides for each new connection.
type http1Preference struct {
	required bool      // HTTP/1.1 is required: HTTP/2 is not offered
	until    time.Time // when required ends
}

const (
	http1RequiredTime   = 10 * time.Minute
	maxHTTP1Preferences = 1000 // at which all are forgotten: ALPN decides anew
)

// remember records that a server wants HTTP/1.1.
func (s *http1State) remember(k Key, required bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.preferences == nil || len(s.preferences) >= maxHTTP1Preferences {
		s.preferences = make(map[Key]http1Preference)
	}
	s.preferences[k] = http1Preference{required, time.Now().Add(http1RequiredTime)}
}

// forget removes what is recorded of a server.
func (s *http1State) forget(k Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.preferences, k)
}

// preference reports whether a server has chosen HTTP/1.1, and whether HTTP/2 is not to be offered.
func (s *http1State) preference(k Key) (known, required bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.preferences[k]
	if ok && m.required && time.Now().After(m.until) {
		delete(s.preferences, k)
		return false, false
	}
	return ok, m.required
}

// spare is a connection on which HTTP/1.1 was negotiated when the pool wanted HTTP/2. The next dial
// of net/http takes it.
type spare struct {
	nc    net.Conn
	made  time.Time
	timer *time.Timer
}

// spareTime is how long a spare is kept. The request that it was dialled for is about to take it.
const spareTime = time.Second

// putSpare keeps a connection for the next dial.
func (s *http1State) putSpare(k Key, nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spares == nil {
		s.spares = make(map[Key][]*spare)
	}
	p := &spare{nc: nc, made: time.Now()}
	p.timer = time.AfterFunc(spareTime, func() { s.expire(k, p) })
	s.spares[k] = append(s.spares[k], p)
}

// takeSpare returns a spare that the server has not closed, nil where there is none.
func (s *http1State) takeSpare(k Key) net.Conn {
	for {
		p := s.firstSpare(k)
		if p == nil {
			return nil
		}
		if time.Since(p.made) < spareFreshTime || isOpen(p.nc) {
			return p.nc
		}
		_ = p.nc.Close() // the server has closed it
	}
}

// firstSpare takes the oldest spare out.
func (s *http1State) firstSpare(k Key) *spare {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.spares[k]
	if len(list) == 0 {
		return nil
	}
	p := list[0]
	s.removeLocked(k, p)
	p.timer.Stop()
	return p
}

const (
	// spareFreshTime is how long a spare is taken for open without a probe: a request takes the one
	// that was dialled for it at once.
	spareFreshTime = 10 * time.Millisecond
	// spareProbeTime is how long the Read of a probe waits.
	spareProbeTime = time.Millisecond
)

// isOpen reports whether the server has not closed a connection, as far as a short Read shows. A
// connection whose Read cannot be interrupted counts as open.
func isOpen(nc net.Conn) bool {
	below := nc
	if tc, ok := nc.(*tls.Conn); ok {
		below = tc.NetConn()
	}
	if !netconn.Interruptible(below) {
		return true
	}
	_ = nc.SetReadDeadline(time.Now().Add(spareProbeTime)) // works on an interruptible connection
	n, err := nc.Read(make([]byte, 1))
	return n == 0 && netconn.IsTimeout(err) && nc.SetReadDeadline(time.Time{}) == nil
}

// removeLocked takes a spare out and reports whether it was there.
func (s *http1State) removeLocked(k Key, p *spare) bool {
	for i, have := range s.spares[k] {
		if have != p {
			continue
		}
		if len(s.spares[k]) == 1 {
			delete(s.spares, k)
		} else {
			s.spares[k] = append(s.spares[k][:i:i], s.spares[k][i+1:]...)
		}
		return true
	}
	return false
}

// expire closes a spare that was not taken.
func (s *http1State) expire(k Key, p *spare) {
	s.mu.Lock()
	there := s.removeLocked(k, p)
	s.mu.Unlock()
	if there {
		_ = p.nc.Close() // it was not used
	}
}

// closeIdle closes the spares, and connections without a request.
func (s *http1State) closeIdle() {
	s.mu.Lock()
	spares := s.spares
	s.spares = nil
	var idle []*http.Transport
	for _, h := range s.transports {
		idle = append(idle, h)
	}
	s.mu.Unlock()
	for _, list := range spares {
		for _, p := range list {
			p.timer.Stop()
			_ = p.nc.Close() // it was not used
		}
	}
	for _, h := range idle {
		h.CloseIdleConnections()
	}
}
