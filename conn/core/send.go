package core

import (
	"errors"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
	"github.com/sluice-go/sluice/stream/priority"
)

// Errors of our own side. Each is returned before anything was sent.
var (
	// ErrClosed: the stream, or our half of it, is closed.
	ErrClosed = errors.New("http2: stream is closed for sending")
	// ErrBusy: data that was queued before still waits.
	ErrBusy = errors.New("http2: data still waits on the stream")
	// ErrOrder: data before the final header section, or a second one.
	ErrOrder = errors.New("http2: message parts out of order")
	// ErrNoStream: no stream can be opened now: the peer's SETTINGS_MAX_CONCURRENT_STREAMS are
	// open.
	ErrNoStream = errors.New("http2: the peer's limit of concurrent streams is reached")
	// ErrNoMoreStreams: no stream can be opened on this connection any more: GOAWAY was sent or
	// received, or the identifiers are used up (RFC 9113 §5.1.1). Another connection is needed.
	ErrNoMoreStreams = errors.New("http2: the connection takes no more streams")
)

// CanOpen tells whether Open would succeed: nil, ErrNoStream or ErrNoMoreStreams.
func (d Driver) CanOpen() error {
	switch {
	case d.connErr != nil || d.Draining() || d.streams.ids.LastLocal() >= frame.MaxStreamID-1:
		return ErrNoMoreStreams
	case uint32(d.streams.local) >= d.peer.MaxConcurrentStreams:
		return ErrNoStream
	}
	return nil
}

// Open opens a stream with a request (RFC 9113 §8.3.1). Client only. head says that the request is
// HEAD, whose response describes content that is not sent.
func (c *Conn) Open(fields []header.Field, head, end bool) (*Stream, error) {
	return c.OpenPrioritized(fields, head, end, priority.Params{})
}

// OpenPrioritized is Open for a request with a priority. The tree's part of it is sent with HEADERS
// (RFC 7540 §6.2), where Config.TreePriorities is set and the server does not ignore that. RFC
// 9218's part is sent as the priority field, which has to be among fields; here it counts for the
// order in which request bodies are sent.
func (c *Conn) OpenPrioritized(fields []header.Field, head, end bool, p priority.Params) (*Stream, error) {
	if c.cfg.Role != Client {
		panic("BUG: a server opens streams by Push only")
	}
	if err := c.Driver().CanOpen(); err != nil {
		return nil, err
	}
	id, ok := c.streams.ids.Next()
	if !ok {
		return nil, ErrNoMoreStreams
	}
	p.Tree = p.Tree && p.DependsOn != id && p.DependsOn <= frame.MaxStreamID
	p.Urgency = min(p.Urgency, priority.MaxUrgency)
	s := c.newStream(id, stream.Idle, p)
	s.noBody, s.connect = head, isConnect(fields)
	s.headSent = true
	c.mustTransition(s, stream.SendHeaders)
	if p.Tree && c.sendsTree() {
		c.appendPrioritized(s.ID, fields, end, toFrame(p))
	} else {
		c.appendHeaders(s.ID, fields, end)
	}
	if end {
		c.sentEnd(s)
	}
	return s, nil
}

// isConnect looks for CONNECT among the pseudo-header fields, which come first.
func isConnect(fields []header.Field) bool {
	for i := range fields {
		switch name := fields[i].Name; {
		case name == ":method":
			return fields[i].Value == "CONNECT"
		case name == "" || name[0] != ':':
			return false
		}
	}
	return false
}

// SendHead appends the head of a response: interim (1xx; end must be false) or final. It opens a
// stream that was promised; where the client has lowered its limit of streams since, it is
// ErrNoStream, and the stream is reset. Server only.
func (c *Conn) SendHead(s *Stream, fields []header.Field, interim, end bool) error {
	if c.connErr != nil || !s.state.CanSend() && s.state != stream.ReservedLocal {
		return ErrClosed
	}
	if s.headSent || interim && end {
		return ErrOrder
	}
	if s.reserved && !c.openReserved(s) {
		c.Reset(s, frame.Cancel) // the client has lowered its limit since the promise
		return ErrNoStream
	}
	s.headSent = !interim
	if s.headSent {
		c.limit.answered()
	}
	c.mustTransition(s, stream.SendHeaders)
	c.appendHeaders(s.ID, fields, end)
	if end {
		c.sentEnd(s)
	}
	return nil
}

// Queue hands over data for s, and with end the end of the stream: END_STREAM on the last DATA
// frame, or on trailers where there are any. What the windows, the scheduler and Fill let pass goes
// to the output; until EventDrained the rest is still in data, which must stay as it is until then
// or until Unqueue. trailers are used until EventDrained, too.
func (c *Conn) Queue(s *Stream, data []byte, trailers []header.Field, end bool) error {
	switch {
	case c.connErr != nil || !s.state.CanSend() || s.out.end:
		return ErrClosed
	case !s.headSent:
		return ErrOrder
	case s.out.waiting():
		return ErrBusy
	}
	o := &s.out // the rest is zero: nothing waits
	o.data, o.trailers, o.end, o.waitSince, o.sent = data, trailers, end, c.now, 0
	if len(data) == 0 {
		c.finishDrained(s, false)
		return nil
	}
	c.readyIfSendable(s)
	c.checkStallsFrom(c.now)
	return nil
}

// Finish is Queue of the last data of s and Fill in one, for data that can go to the output at
// once: it fits both windows and one frame, the output holds less than limit octets, and nobody
// else is ready. Where it cannot, or may not, nothing happens and Finish is false. EventDrained
// does not follow.
func (d Driver) Finish(s *Stream, data []byte, limit int) bool {
	n := len(data)
	switch {
	case n == 0 || n > maxChunk || n > int(d.peer.MaxFrameSize):
		return false
	case n > int(s.send.Available()) || n > int(d.sendWindow.Available()):
		return false
	case !s.state.CanSend() || s.out.end || s.out.waiting() || !s.headSent: // Queue says why
		return false
	case len(d.out) >= limit || d.cfg.Padding != nil || d.connErr != nil || d.sched.any():
		return false
	}
	d.appendData(s, data, 0, true)
	d.sentEnd(s)
	return true
}

// Keep makes a copy of what Queue has left waiting, so that the caller's memory is free again.
func (d Driver) Keep(s *Stream) {
	if s.out.waiting() && !s.out.copied {
		s.out.data = append([]byte(nil), s.out.data...)
		s.out.trailers = append([]header.Field(nil), s.out.trailers...)
		s.out.copied = true
	}
}

// Unqueue takes back what Queue has left waiting and returns how many octets that was, or had been
// when the stream was closed. The end that was queued with it is not sent.
func (d Driver) Unqueue(s *Stream) int {
	n := len(s.out.data)
	if n == 0 {
		return s.unsent
	}
	s.out.reset()
	d.setReadiness(s, notReady)
	return n
}

// maxChunk bounds the payload of one DATA frame where the peer takes larger ones, so that streams
// take turns.
const maxChunk = 64 << 10

// sendChunk appends one DATA frame of what s has queued.
func (c *Conn) sendChunk(s *Stream) {
	o := &s.out
	n := min(len(o.data), int(s.send.Available()), int(c.sendWindow.Available()), int(c.peer.MaxFrameSize), maxChunk)
	pad := 0
	if c.cfg.Padding != nil {
		n, pad = c.padData(s, n)
	}
	last := n == len(o.data)
	ends := last && o.end && len(o.trailers) == 0
	size := c.appendData(s, o.data[:n], pad, ends)
	o.data = o.data[n:]
	o.sent += n
	c.sched.Sent(&s.node, size)
	if !last {
		if s.send.Available() <= 0 {
			c.setReadiness(s, notReady)
		}
		return
	}
	if c.sched.backpressure && !o.end && s.send.Available() > 0 && s.worthAwaiting() {
		c.setReadiness(s, awaited)
	} else {
		c.setReadiness(s, notReady)
	}
	c.finishDrained(s, ends)
}

// appendData appends DATA and takes its payload, whose length it returns, from both windows.
func (c *Conn) appendData(s *Stream, p []byte, pad int, end bool) int {
	f := frame.Data{StreamID: s.ID, EndStream: end, Data: p, Padded: pad > 0, PadLength: uint8(pad)}
	if c.vectored.on && len(p) >= minSegment && pad == 0 {
		c.appendSegment(s, f)
	} else {
		c.out = f.Append(c.out)
	}
	size := f.FlowLen()
	s.send.Take(size)
	c.sendWindow.Take(size)
	c.counts.FramesOut++
	c.counts.DataOut += uint64(len(p))
	c.limit.sentData(len(p))
	return size
}

// drained follows when the last octet queued on s is in the output, with END_STREAM if ended. If
// the end was queued and no DATA frame has carried it, trailers or an empty DATA frame do.
func (c *Conn) finishDrained(s *Stream, ended bool) {
	end, trailers := s.out.end, s.out.trailers
	s.out.reset()
	c.queueEvent(EventDrained, s)
	if !end {
		return
	}
	switch {
	case ended:
	case len(trailers) > 0:
		c.mustTransition(s, stream.SendHeaders)
		c.appendHeaders(s.ID, trailers, true)
	default:
		c.appendData(s, nil, 0, true)
	}
	c.sentEnd(s)
}

// sentEnd moves s by our END_STREAM, and stops the peer if StopRecv has asked for that.
func (c *Conn) sentEnd(s *Stream) {
	c.mustTransition(s, stream.SendEndStream)
	c.setReadiness(s, notReady)
	if s.out.resetAfterEnd && s.state == stream.HalfClosedLocal {
		c.Reset(s, c.stopCode())
		return
	}
	c.closeIfDone(s)
}
