package tunnel

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluice-go/sluice/frame"
)

// resetGrace bounds how long a relay goes on to deliver what it has read from a side that has
// failed.
const resetGrace = 5 * time.Second

// The sides of a relay.
const (
	clientSide = 0
	targetSide = 1
)

// relay carries octets between the client and the target of a tunnel, with two goroutines: one for
// each direction.
//
// A direction ends when its source does (copy). Where that is the end of the stream, the
// destination's direction is closed, and the other direction goes on. Where a side has failed, by
// a reset or otherwise, what was read from it is still delivered, and then the other side is reset
// (fail). Limits, and the end of the proxy, cut off both sides at once (cut).
type relay struct {
	sides [2]net.Conn
	idle  time.Duration // limit, 0: none

	active   atomic.Int64 // when octets were carried last, in nanoseconds since start
	start    time.Time
	octets   [2]atomic.Int64 // read from each side and written to the other
	sideDone chan struct{}   // has a value for each direction that has ended

	mu        sync.Mutex // guards what follows
	end       string     // how the tunnel ends; "" while both sides are well
	err       error      // the cause
	failed    [2]bool    // the side has failed
	copied    [2]bool    // nothing more is read from the side
	idleTimer *time.Timer
	ageTimer  *time.Timer
	grace     *time.Timer // cuts off what is left when a side has failed
}

// relay carries the tunnel between two connections, which it closes, until it has ended, and fills
// in rec.
func (p *Proxy) relay(client, target net.Conn, rec *Record) {
	r := &relay{
		sides: [2]net.Conn{client, target}, idle: p.idleTimeout(),
		start: time.Now(), sideDone: make(chan struct{}, 2),
	}
	r.startTimers(p.MaxTunnelAge)
	stop := context.AfterFunc(p.init().closed, func() { r.cut(EndShutdown, nil) })
	for side := range r.sides {
		if t, ok := r.sides[side].(interface{ OnEnd(f func(error)) }); ok {
			t.OnEnd(func(err error) { r.fail(side, err) })
		}
	}
	go r.copy(clientSide) // ends with the tunnel
	r.copy(targetSide)
	<-r.sideDone
	<-r.sideDone
	stop()
	r.finish(rec)
}

func (p *Proxy) idleTimeout() time.Duration {
	switch {
	case p.IdleTimeout == 0:
		return DefaultIdleTimeout
	case p.IdleTimeout < 0:
		return 0
	}
	return p.IdleTimeout
}

// startTimers starts those of the limits.
func (r *relay) startTimers(age time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.idle > 0 {
		r.idleTimer = time.AfterFunc(r.idle, r.checkIdle)
	}
	if age > 0 {
		r.ageTimer = time.AfterFunc(age, func() { r.cut(EndAge, nil) })
	}
}

// checkIdle cuts the tunnel off if nothing was carried for the limit.
func (r *relay) checkIdle() {
	left := r.idle - (time.Since(r.start) - time.Duration(r.active.Load()))
	if left <= 0 {
		r.cut(EndIdle, nil)
		return
	}
	r.mu.Lock()
	if r.end == "" {
		r.idleTimer.Reset(left)
	}
	r.mu.Unlock()
}

// touch says that octets were carried.
func (r *relay) touch() { r.active.Store(int64(time.Since(r.start))) }

// copy carries one direction, and ends it.
func (r *relay) copy(from int) {
	defer func() { r.sideDone <- struct{}{} }()
	s := &sink{r: r, from: from, dst: r.sides[1-from]}
	err := s.copyFrom(r.sides[from])
	switch {
	case s.err != nil:
		r.fail(1-from, s.err)
	case err != nil:
		r.fail(from, err)
	}
	r.mu.Lock()
	r.copied[from] = true
	well, failed := r.end == "", r.failed[from]
	both := r.copied[clientSide] && r.copied[targetSide]
	r.mu.Unlock()
	switch {
	case failed:
		resetWhenSent(r.sides[1-from])
	case well:
		if err := closeWrite(r.sides[1-from]); err != nil && !both { // a side that is done may be gone
			r.fail(1-from, err)
		}
	}
}

// fail says that a side has failed: the other is reset, when it has what was read from the failed
// one. It does not block.
func (r *relay) fail(side int, err error) {
	r.mu.Lock()
	if r.end == "" {
		r.end, r.err = endOf(side, err), err
		r.grace = time.AfterFunc(resetGrace, r.abort)
	}
	r.failed[side] = true
	copied := r.copied[side]
	r.mu.Unlock()
	if copied {
		resetWhenSent(r.sides[1-side])
	}
}

// cut ends the tunnel at once.
func (r *relay) cut(end string, err error) {
	r.mu.Lock()
	if r.end == "" {
		r.end, r.err = end, err
	}
	r.mu.Unlock()
	r.abort()
}

// abort resets both sides.
func (r *relay) abort() {
	for _, c := range r.sides {
		abort(c, frame.Cancel)
	}
}

// finish closes both sides and fills in the record.
func (r *relay) finish(rec *Record) {
	r.mu.Lock()
	for _, t := range []*time.Timer{r.idleTimer, r.ageTimer, r.grace} {
		if t != nil {
			t.Stop()
		}
	}
	end, err, failed := r.end, r.err, r.failed
	r.mu.Unlock()
	for side, c := range r.sides {
		if end == "" || failed[side] {
			_ = c.Close() // nothing can be done about an error
		}
	}
	rec.Sent, rec.Received = r.octets[clientSide].Load(), r.octets[targetSide].Load()
	if rec.End = end; end == "" {
		rec.End = EndClosed
	}
	if err != nil {
		rec.Error = err.Error()
	}
}

// endOf names the end of a tunnel of which a side has failed.
func endOf(side int, err error) string {
	var stream *frame.StreamError
	reset := errors.As(err, &stream) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, syscall.ENOTCONN) || errors.Is(err, io.ErrClosedPipe)
	switch {
	case side == clientSide && reset:
		return EndClientReset
	case side == clientSide:
		return EndClientLost
	case reset:
		return EndTargetReset
	}
	return EndTargetLost
}
