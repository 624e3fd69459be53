package client

import (
	"errors"
	"sync/atomic"

	"github.com/sluice-go/sluice/frame"
)

// counters are what Stats returns.
type counters struct {
	requests, retries  atomic.Uint64
	dials, dialsFailed atomic.Uint64
	connsOpened        atomic.Uint64
	conns              atomic.Int64
	connsFailed        atomic.Uint64
}

// connEnded counts a connection that has ended with err.
func (c *counters) connEnded(err error) {
	c.conns.Add(-1)
	var ce *frame.ConnError
	if errors.As(err, &ce) && ce.Code != frame.NoError {
		c.connsFailed.Add(1)
	}
}

// Stats are counters of a Transport's HTTP/2.
type Stats struct {
	Requests    uint64 // attempts to send a request, retries included
	Retries     uint64 // attempts after the first
	Dials       uint64 // dials that have ended, and those that run
	DialsFailed uint64 // dials without an HTTP/2 connection
	Conns       int    // connections that are open now
	ConnsOpened uint64 // connections so far
	ConnsFailed uint64 // connections that a protocol error of either side has ended
}

// Stats returns the counters so far.
func (t *Transport) Stats() Stats {
	c := &t.counts
	return Stats{
		Requests: c.requests.Load(), Retries: c.retries.Load(),
		Dials: c.dials.Load(), DialsFailed: c.dialsFailed.Load(),
		Conns: int(c.conns.Load()), ConnsOpened: c.connsOpened.Load(), ConnsFailed: c.connsFailed.Load(),
	}
}
