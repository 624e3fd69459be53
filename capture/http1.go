package capture

import (
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// Limits of what is kept of HTTP/1.1.
const (
	maxHTTP1Line  = 64 << 10 // octets of a line
	keptHTTP1Line = 4 << 10  // octets of memory for lines that are kept from one to the next

	maxHTTP1Wait = 64 << 10 // octets of the client that wait for the answer to CONNECT or Upgrade
)

// http1 takes the octets of a connection of HTTP/1.0 or HTTP/1.1 (RFC 9112). It is a wire.Sink, and
// lenient: what is wrong with a message is noted in it.
//
// Requests and responses are matched by counting them. Behind a 2xx response to CONNECT, and behind
// 101, octets are content of both directions, which is handed on, too.
type http1 struct {
	s    *session
	dirs [2]*http1Dir
	list exchanges
	open map[uint32]*exchange

	// onSwitch is called once at most, where the connection changes to another protocol: what
	// follows in both directions goes to the Sink that it returns, unless that is nil.
	onSwitch func(http1Switch) wire.Sink // nil: every other protocol is opaque
	over     *exchange                   // the request that has changed the protocol
	silent   bool                        // it is delivered by another stage
	to       wire.Sink                   // what onSwitch returned

	ended     [2]bool // by Dir
	how       [2]wire.How
	swept     [2]uint32 // by Dir: behind losses, no message of a lower number comes any longer
	pipelined bool      // requests were sent before earlier ones were answered
}

// An http1Switch says that what follows on a connection is not HTTP/1.1 any longer.
type http1Switch struct {
	Request *Request // that has done it
	Connect string   // the target of CONNECT; "" of Upgrade
	Upgrade string   // the protocol of 101, in lower case, such as "h2c" or "websocket"
	Time    time.Time
}

// newHTTP1 returns the parser of a session.
func newHTTP1(s *session) *http1 {
	h := &http1{s: s, open: make(map[uint32]*exchange)}
	h.list = exchanges{s: s, finish: h.finish}
	for _, d := range [...]Dir{Client, Server} {
		h.dirs[d] = &http1Dir{h: h, d: d, next: 1, lossy: s.info.StartMissing}
	}
	return h
}

// Octets implements wire.Sink.
func (h *http1) Octets(d wire.Dir, t time.Time, p []byte) {
	h.dirs[d].octets(t, p)
	h.s.flush()
}

// Lost implements wire.Sink.
func (h *http1) Lost(d wire.Dir, t time.Time, n int64, why string) {
	h.list.losses[d]++
	_, counted := h.to.(*http2) // which is of the same session
	counted = counted && h.handsOn(d)
	h.dirs[d].lost(t, n, why)
	if !counted {
		h.s.lost(Dir(d), t, n)
	}
}

// handsOn reports whether the octets of a direction go to what onSwitch has returned.
func (h *http1) handsOn(d wire.Dir) bool { return h.to != nil && h.dirs[d].state == http1Switched }

// End implements wire.Sink.
func (h *http1) End(d wire.Dir, t time.Time, how wire.How) {
	if h.ended[d] {
		return
	}
	h.ended[d], h.how[d] = true, how
	h.dirs[d].end(t, how)
	if h.to != nil {
		h.s.flush()
		h.to.End(d, t, how)
	}
	if h.ended[d.Other()] {
		for _, x := range inOrder(h.open) {
			h.finish(x)
		}
	}
	h.s.flush()
}

// exchange returns that of a number, and begins it where there is none.
func (h *http1) exchange(number uint32, first time.Time) *exchange {
	if x := h.open[number]; x != nil {
		return x
	}
	x := new(exchange)
	x.Conn, x.Stream, x.Start, x.End = h.s.info.ID, number, first, first
	x.stopped = [2]bool{number < h.swept[Client], number < h.swept[Server]}
	h.list.add(x)
	h.open[number] = x
	return x
}

// finish emits an exchange and forgets it.
func (h *http1) finish(x *exchange) {
	h.forget(x)
	x.StartMissing = !x.asked
	x.finished()
	h.s.emit(&x.Request)
}

func (h *http1) forget(x *exchange) {
	delete(h.open, x.Stream)
	h.list.remove(x)
}

// endSide notes the end of a message.
func (h *http1) endSide(x *exchange, d Dir, t time.Time) {
	if h.open[x.Stream] != x {
		return // no longer followed
	}
	if h.s.a.opts.Bodies && x.pieces[d] {
		h.s.emit(&Body{Conn: x.Conn, Stream: x.Stream, Time: t, Dir: d, End: true})
	}
	both := x.endSide(d, t)
	noRequest := d == Server && !x.asked && x.Stream < h.dirs[Client].next // it was lost
	if both || noRequest || x.stopped[d.Other()] {
		h.finish(x)
	}
}

// stop notes that nothing more of a message can be found, though its end was not seen.
func (h *http1) stop(x *exchange, d Dir) {
	if h.open[x.Stream] != x || x == h.over || x.ended[d] {
		return
	}
	x.stopped[d] = true
	if x.stopped[d.Other()] || x.ended[d.Other()] {
		h.finish(x)
	}
}

// content takes octets of content of a message.
func (h *http1) content(x *exchange, d Dir, t time.Time, p []byte, lost int64) {
	x.End = t
	x.Wire[d] += int64(len(p))
	x.content(d, t, p, lost)
	if h.s.a.opts.Bodies && (len(p) > 0 || lost != 0) {
		x.pieces[d] = true
		h.s.emit(&Body{Conn: x.Conn, Stream: x.Stream, Time: t, Dir: d, Octets: p, Lost: lost})
	}
}

// answered decides, with the final response to x or with 101, what the octets of the client are
// that have waited for it.
func (h *http1) answered(x *exchange, t time.Time) {
	c := h.dirs[Client]
	switch {
	case x.Status == 101:
		h.change(x, http1Switch{Request: &x.Request, Upgrade: x.Protocol, Time: t})
	case x.Method == "CONNECT" && 200 <= x.Status && x.Status < 300:
		h.change(x, http1Switch{Request: &x.Request, Connect: x.Authority, Time: t})
	case c.state == http1Wait && c.x == x:
		c.goOn()
	}
}

// change hands on what follows.
func (h *http1) change(x *exchange, sw http1Switch) {
	if h.over != nil {
		return
	}
	h.s.flush()
	h.over = x
	if h.onSwitch != nil {
		h.to = h.onSwitch(sw)
	}
	if h.silent {
		h.forget(x)
	}
	h.dirs[Server].state = http1Switched
	if c := h.dirs[Client]; c.next > x.Stream && !(c.x == x && c.inContent()) {
		if c.head != nil {
			h.s.a.held.give(c.head.kept)
		}
		c.state, c.head, c.line = http1Switched, nil, nil
		c.replay()
		if h.ended[Client] && h.to != nil {
			h.to.End(wire.Client, sw.Time, h.how[Client])
		}
	}
}
