package core

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// An exchange is what a stream is to carry. Both ends know it; what arrives is held against it.
type exchange struct {
	id                uint32
	head              bool      // the request is HEAD
	parent            *exchange // in answer to which it was promised
	request, response letter
	interim           [][]header.Field

	killed  bool    // one of the two sides has reset the stream
	stopped [2]bool // by role: has called StopRecv
	refused bool
}

// A letter is one message.
type letter struct {
	fields   []header.Field
	size     int // octets of content
	trailers []header.Field
}

// bare tells that the head is all.
func (l *letter) bare() bool { return l.size == 0 && len(l.trailers) == 0 }

// An endpointStream is what one end knows of a stream.
type endpointStream struct {
	s        *Stream // nil when closed
	exchange *exchange

	headSent bool
	interims int
	sent     int // octets queued
	ended    bool
	queued   []byte // the last that was queued, nil when drained

	gotHead, gotEnd bool
	gotInterims     int
	got, unread     int
	reset           error
}

func (w *twoCores) newExchange() *exchange {
	p := &exchange{head: w.chance(8)}
	method := "POST"
	if p.head {
		method = "HEAD"
	}
	p.request = w.newLetter(
		[]string{":method: " + method, ":scheme: https", ":authority: example.com", ":path: /" + itoa(w.pick(1, 2, 3, 4, 5))},
	)
	status := "200"
	if w.chance(8) {
		status = itoa(w.pick(204, 304))
	}
	for range w.rng.IntN(3) {
		p.interim = append(p.interim, h2test.Fields(":status: 103", "link: x"))
	}
	p.response = w.newLetter([]string{":status: " + status})
	if p.head || status != "200" {
		p.response.size = 0
	}
	return p
}

func (w *twoCores) newLetter(head []string) letter {
	l := letter{size: int(w.pick(0, 0, 1, 100, 2000, 20_000, 70_000))}
	l.size -= min(l.size, w.rng.IntN(10))
	for range w.rng.IntN(4) {
		head = append(head, fmt.Sprintf("x-%d: %d", w.rng.IntN(5), w.rng.IntN(20)))
	}
	if w.chance(3) {
		head = append(head, fmt.Sprintf("content-length: %d", l.size))
	}
	l.fields = h2test.Fields(head...)
	if w.chance(4) {
		l.trailers = h2test.Fields("x-checksum: " + itoa(w.pick(1, 2, 3)))
	}
	return l
}

// content is octet i of what is sent on a stream in one direction.
func content(id uint32, from Role, i int) byte {
	return byte(i ^ i>>8 ^ i>>16 ^ int(id)<<1 ^ int(from))
}

// outgoing and incoming are the messages as n sees them.
func (h *endpointStream) outgoing(n *endpoint) *letter {
	if n.c.cfg.Role == Client {
		return &h.exchange.request
	}
	return &h.exchange.response
}

func (h *endpointStream) incoming(n *endpoint) *letter { return h.outgoing(n.other) }

func (n *endpoint) begin(s *Stream, p *exchange) *endpointStream {
	h := &endpointStream{s: s, exchange: p}
	n.endpointStreams[s.ID], n.owners[s] = h, h
	n.open = append(n.open, s.ID)
	return h
}

// send goes on with some message.
func (n *endpoint) send() {
	h := n.any()
	switch {
	case h == nil || h.ended && h.queued == nil:
		return
	case n.c.cfg.Role == Server && !h.headSent:
		n.sendHead(h)
	case h.queued != nil:
		n.hesitate(h)
	default:
		n.sendBody(h, n.w.rng.IntN(50_000))
	}
	n.events()
}

func (n *endpoint) sendHead(h *endpointStream) {
	p := h.exchange
	if h.s.reserved && int(n.c.streams.local) >= int(n.c.peer.MaxConcurrentStreams) {
		p.killed = true // the limit was lowered since the promise
		if err := n.c.SendHead(h.s, ResponseHead{Fields: p.response.fields}); !errors.Is(err, ErrNoStream) {
			n.w.failf("SendHead beyond the limit: %v", err)
		}
		return
	}
	if h.interims < len(p.interim) {
		h.interims++
		n.must(n.c.SendHead(h.s, ResponseHead{Fields: p.interim[h.interims-1], Interim: true}))
		return
	}
	h.headSent = true
	h.ended = p.response.bare() && n.w.chance(2)
	n.must(n.c.SendHead(h.s, ResponseHead{Fields: p.response.fields, End: h.ended}))
}

func (n *endpoint) sendBody(h *endpointStream, most int) {
	l := h.outgoing(n)
	b := make([]byte, min(most, l.size-h.sent))
	for i := range b {
		b[i] = content(h.exchange.id, n.c.cfg.Role, h.sent+i)
	}
	h.sent += len(b)
	h.ended = h.sent == l.size && (len(b) == 0 || n.w.chance(2))
	if len(b) > 0 {
		h.queued = b
	}
	var trailers []header.Field
	if h.ended {
		trailers = l.trailers
	}
	if h.ended && len(trailers) == 0 && n.w.chance(2) && n.c.Finish(h.s, b, n.w.rng.IntN(100_000)) {
		h.queued = nil
		return
	}
	n.must(n.c.Queue(h.s, Content{Data: b, Trailers: trailers, End: h.ended}))
}

// hesitate takes back what waits to be sent, or has it copied.
func (n *endpoint) hesitate(h *endpointStream) {
	if n.w.chance(2) {
		n.c.Keep(h.s)
		clear(h.queued)
		return
	}
	if k := n.c.Unqueue(h.s); k > 0 {
		h.sent -= k
		h.ended, h.queued = false, nil
	}
}

func (n *endpoint) must(err error) {
	n.w.tb.Helper()
	if err != nil {
		n.w.failf("%v: %v", n.c.cfg.Role, err)
	}
}

// read consumes something that has arrived.
func (n *endpoint) read() {
	for s, h := range n.unread() {
		k := 1 + n.w.rng.IntN(h.unread)
		if n.w.chance(2) {
			k = h.unread
		}
		n.consume(s, h, k)
		return
	}
}

func (n *endpoint) consume(s *Stream, h *endpointStream, k int) {
	h.unread -= k
	if n.c.Consume(s, k) {
		n.c.Tune(s, n.w.now)
	}
	n.recycle(s, h)
}

// unread finds what is unread, in an order that depends on the seed alone.
func (n *endpoint) unread() func(yield func(*Stream, *endpointStream) bool) {
	return func(yield func(*Stream, *endpointStream) bool) {
		var list []*Stream
		for s, h := range n.owners {
			if h.unread > 0 {
				list = append(list, s)
			}
		}
		slices.SortFunc(list, func(a, b *Stream) int { return int(a.ID) - int(b.ID) })
		if k := len(list); k > 1 {
			i := n.w.rng.IntN(k)
			list = append(list[i:], list[:i]...)
		}
		for _, s := range list {
			if !yield(s, n.owners[s]) {
				return
			}
		}
	}
}

// recycle gives the memory of a stream back that is closed and read.
func (n *endpoint) recycle(s *Stream, h *endpointStream) {
	if h.s == nil && h.unread == 0 {
		delete(n.owners, s)
		n.free = append(n.free, s)
	}
}

// events takes what the connection has found and holds it against the exchange.
func (n *endpoint) events() {
	for {
		e, ok := n.c.NextEvent()
		if !ok {
			return
		}
		if e.Stream == nil {
			continue
		}
		if e.Kind == EventHeaders && n.c.cfg.Role == Server {
			n.begin(e.Stream, n.w.exchanges[e.Stream.ID])
		}
		if e.Kind == EventPush {
			h := n.begin(e.Stream, n.w.exchanges[e.Stream.ID])
			h.headSent, h.ended = true, true
			n.same(e, e.Stream.Head.Fields, h.exchange.request.fields)
			continue
		}
		h := n.owners[e.Stream]
		if h == nil || h.s == nil {
			n.w.failf("%v: event on a stream that is closed: %s", n.c.cfg.Role, describe(e))
		}
		n.event(e, h)
	}
}

func (n *endpoint) event(e *Event, h *endpointStream) {
	l := h.incoming(n)
	switch e.Kind {
	case EventHeaders:
		h.gotHead = true
		n.same(e, e.Stream.Head.Fields, l.fields)
		n.end(e, h)
	case EventInformational:
		n.same(e, e.Message.Fields, h.exchange.interim[h.gotInterims])
		h.gotInterims++
	case EventData:
		for i, b := range e.Data {
			if b != content(h.exchange.id, n.other.c.cfg.Role, h.got+i) {
				n.w.failf("%v: octet %d of stream %d is %d", n.c.cfg.Role, h.got+i, h.exchange.id, b)
			}
		}
		h.got += len(e.Data)
		h.unread += len(e.Data)
		if len(l.trailers) == 0 || !e.End {
			n.end(e, h)
		} else {
			n.w.failf("%v: stream %d ended without trailers", n.c.cfg.Role, h.exchange.id)
		}
	case EventTrailers:
		n.same(e, e.Message.Fields, l.trailers)
		n.end(e, h)
	case EventDrained:
		h.queued = nil
	case EventReset:
		n.resetBy(e, h)
	case EventClosed:
		if h.gotHead {
			n.same(e, e.Stream.Head.Fields, l.fields) // as long as the stream lives
		}
		h.s = nil
		i := slices.Index(n.open, h.exchange.id)
		n.open = slices.Delete(n.open, i, i+1)
		n.recycle(e.Stream, h)
	case EventAltSvc: // noise
	default:
		n.w.failf("%v: %s", n.c.cfg.Role, describe(e))
	}
}

// same compares fields with those that were sent; pseudo-header fields are not among the former.
func (n *endpoint) same(e *Event, got, want []header.Field) {
	for len(want) > 0 && want[0].Name[0] == ':' {
		want = want[1:]
	}
	if !slices.EqualFunc(got, want, func(a, b header.Field) bool { return a.Name == b.Name && a.Value == b.Value }) {
		n.w.failf("%v: fields %v, want %v: %s", n.c.cfg.Role, got, want, describe(e))
	}
}

// end checks that a message that ends is whole.
func (n *endpoint) end(e *Event, h *endpointStream) {
	if !e.End {
		return
	}
	if l := h.incoming(n); h.got != l.size || !h.gotHead || h.gotEnd {
		n.w.failf("%v: %d octets of %d have arrived at the end: %s", n.c.cfg.Role, h.got, l.size, describe(e))
	}
	h.gotEnd = true
}

// resetBy checks that a stream which ends early has a reason to.
func (n *endpoint) resetBy(e *Event, h *endpointStream) {
	var se *frame.StreamError
	if !errors.As(e.Err, &se) {
		n.w.failf("%v: %v", n.c.cfg.Role, e.Err)
	}
	h.reset = e.Err
	switch {
	case h.exchange.killed || h.exchange.stopped[n.c.cfg.Role] || h.exchange.stopped[n.other.c.cfg.Role]:
	// A push that was refused, or whose parent is gone.
	case h.exchange.parent != nil && se.Initiator == frame.Remote && n.c.cfg.Role == Server:
	// The client has lowered its limit since it was opened.
	case h.exchange.parent != nil && se.Code == frame.RefusedStream:
	case se.Code == frame.RefusedStream && se.Initiator == frame.Remote && n.c.cfg.Role == Client:
		h.exchange.refused = true
	default:
		n.w.failf("%v: nobody has reset the stream: %v", n.c.cfg.Role, e.Err)
	}
}
