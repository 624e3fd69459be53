package conn

import (
	"strings"
	"time"

	"github.com/sluice-go/sluice/frame"
)

// Direction says which side has sent a frame.
type Direction uint8

// The two directions of a frame.
const (
	In  Direction = iota // the peer has sent it
	Out                  // we send it
)

func (d Direction) String() string {
	if d == Out {
		return "out"
	}
	return "in"
}

// FrameTrace is one frame on its way.
type FrameTrace struct {
	Time      time.Time // when it was read or handed to the socket
	Direction Direction
	Header    frame.Header
	Payload   []byte // valid during the call only
}

// Tracer sees every frame of the connections that it is set for. Frames of one direction come in
// their order on the wire. The two directions may be reported by two goroutines at once, and a
// received frame is reported before it takes effect. A frame that ends the connection because it is
// wrong is the last of its direction, unless it is longer than the peer may send. What the peer
// sends when the connection has ended on this side is dropped without a look, and not reported. A
// slow tracer slows the connection.
type Tracer interface {
	TraceFrame(c *Conn, f FrameTrace)
}

// EndTracer is what a Tracer may be, too. A Tracer that hands on to another one hands this on as
// well.
type EndTracer interface {
	// TraceEnd is called once for a connection, when it has ended and no frame of it will be traced
	// any more. err is what Serve returns then: nil after an end in good order.
	TraceEnd(c *Conn, err error)
}

// UpgradeTracer is what a Tracer may be, too, and hands on as an EndTracer does.
type UpgradeTracer interface {
	// TraceUpgrade is called before the first frame of a connection that an HTTP/1.1 request began
	// (RFC 7540 §3.2). u and its memory are valid during the call only.
	TraceUpgrade(c *Conn, u *Upgrade)
}

// traceUpgrade reports the request that the connection began with.
func (c *Conn) traceUpgrade() {
	if t, ok := c.opts.Tracer.(UpgradeTracer); ok && c.reader.upgrade != nil {
		t.TraceUpgrade(c, c.reader.upgrade)
	}
}

// traceEnd reports the end of the connection, once a flusher that is no task of the connection has
// left the Tracer.
func (c *Conn) traceEnd() {
	t, ok := c.opts.Tracer.(EndTracer)
	if !ok {
		return
	}
	c.mu.Lock()
	for c.mu.out.flushing {
		c.mu.out.taken.Wait()
	}
	err := c.mu.err
	c.mu.Unlock()
	defer func() { _ = recover() }() // the connection is over already
	t.TraceEnd(c, err)
}

// traceNext reports the frame that Decode has taken off b, or has found to be wrong.
func (c *Conn) traceNext(b []byte, n int, err error, now time.Time) {
	if err != nil {
		// The whole frame, if it is one.
		_, _, n, _ = frame.Split(b, frame.MaxMaxFrameSize)
	}
	if n > 0 {
		c.trace(In, b[:n], now)
	}
}

// trace reports the whole frames in b.
func (c *Conn) trace(d Direction, b []byte, now time.Time) {
	if strings.HasPrefix(string(b[:min(len(b), 4)]), frame.Preface[:4]) {
		b = b[min(len(b), len(frame.Preface)):]
	}
	for {
		h, p, n, err := frame.Split(b, frame.MaxMaxFrameSize)
		if n == 0 || err != nil {
			return
		}
		c.opts.Tracer.TraceFrame(c, FrameTrace{Time: now, Direction: d, Header: h, Payload: p})
		b = b[n:]
	}
}
