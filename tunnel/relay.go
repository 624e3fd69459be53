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
	returned chan struct{}   // has a value when the goroutine of the client's direction has ended
	writing  [2]atomic.Bool  // what was read from the side is being written to the other

	check idleCheck

	mu        sync.Mutex // guards what follows
	end       string     // how the tunnel ends; "" while both sides are well
	err       error      // the cause
	failed    [2]bool    // the side has failed
	copied    [2]bool    // nothing more is read from the side
	over      bool       // the timers are stopped
	idleTimer timer
	ageTimer  timer
	grace     *time.Timer // cuts off what is left when a side has failed
}

// relay carries the tunnel between two connections, which it closes, until it has ended, and fills
// in rec.
func (p *Proxy) relay(client, target net.Conn, rec *Record) {
	r := &relay{
		sides: [2]net.Conn{client, target}, idle: p.idleTimeout(),
		start: time.Now(), returned: make(chan struct{}, 1),
	}
	r.startTimers(p)
	stop := context.AfterFunc(p.init().closed, func() { r.cut(EndShutdown, nil) })
	for side := range r.sides {
		if t, ok := r.sides[side].(interface{ OnEnd(f func(error)) }); ok {
			t.OnEnd(func(err error) { r.fail(side, err) })
		}
	}
	go func() { // ends with the tunnel
		r.copy(clientSide)
		r.returned <- struct{}{}
	}()
	r.copy(targetSide)
	<-r.returned
	stop()
	r.fill(rec)
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
func (r *relay) startTimers(p *Proxy) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.idle > 0 {
		r.idleTimer = p.afterFunc(r.idle, r.checkIdle)
	}
	if age := p.MaxTunnelAge; age > 0 {
		r.ageTimer = p.afterFunc(age, func() { r.cut(EndAge, nil) })
	}
}

// touch says that octets were carried.
func (r *relay) touch() { r.active.Store(int64(time.Since(r.start))) }

// copy carries one direction, and ends it. It returns when the tunnel has ended, or the side that
// was read needs no goroutine.
func (r *relay) copy(from int) {
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
	switch {
	case both:
		r.close()
	case well:
		r.awaitReset(from)
	}
}

// awaitReset waits for the end of a side that has ended its direction: nothing is read from it any
// more, so that otherwise only a write would find out that it was reset. A conn.Tunnel says so by
// OnEnd.
func (r *relay) awaitReset(side int) {
	s := socketOf(r.sides[side])
	if s == nil {
		return
	}
	if err := s.AwaitReset(); err != nil && !errors.Is(err, net.ErrClosed) {
		r.fail(side, err)
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

// close closes both sides, when nothing more is carried: those that are well, or have failed. One
// that is to be reset is closed by that.
func (r *relay) close() {
	r.mu.Lock()
	end, failed := r.end, r.failed
	r.mu.Unlock()
	for side, c := range r.sides {
		if end == "" || failed[side] {
			_ = c.Close() // nothing can be done about an error
		}
	}
}

// fill stops the timers and fills in the record.
func (r *relay) fill(rec *Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	for _, t := range []timer{r.idleTimer, r.ageTimer} {
		if t != nil {
			t.Stop()
		}
	}
	if r.grace != nil {
		r.grace.Stop()
	}
	rec.Sent, rec.Received = r.octets[clientSide].Load(), r.octets[targetSide].Load()
	if rec.End = r.end; r.end == "" {
		rec.End = EndClosed
	}
	if r.err != nil {
		rec.Error = r.err.Error()
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
