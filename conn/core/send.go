package core

import (
	"errors"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
	"github.com/sluice-go/sluice/stream/priority"
)

// What is sent on a stream goes this way:
//
//  1. Open, Push or SendHead append the header block at once: header blocks are sent in the order
//     in which they are encoded.
//  2. Queue keeps the content with the stream, and readyIfSendable makes the stream ready.
//  3. Fill lets the scheduler choose a stream, and sendChunk appends one DATA frame of it, as long
//     as the two flow-control windows allow. Finish does 2 and 3 at once where nothing is in the
//     way.
//  4. finishQueue appends what comes after the last octet: trailers, END_STREAM, EventDrained.

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

// Request is a request that Open sends.
type Request struct {
	// Fields are the header section, pseudo-header fields first (RFC 9113 §8.3.1).
	Fields []header.Field
	// Head is set for a HEAD request, to which the response has no content whatever its
	// content-length says.
	Head bool
	// End is set where the request has no content: HEADERS carries END_STREAM.
	End bool
	// Priority is the priority of the stream. Its place in the tree is sent with HEADERS (RFC 7540
	// §6.2), where Config.TreePriorities is set and the server does not ignore that. Urgency and
	// incremental (RFC 9218) are sent by the priority field that the caller puts into Fields; here
	// they count for the order in which the content of requests is sent.
	Priority priority.Params
}

// ResponseHead is the head of a response, which SendHead sends.
type ResponseHead struct {
	Fields  []header.Field // the header section, pseudo-header fields first (RFC 9113 §8.3.2)
	Interim bool           // the response is interim (1xx), and the final one follows
	End     bool           // the response has no content: HEADERS carries END_STREAM
}

// Content is a part of the content of a message, and what follows it, which Queue sends.
type Content struct {
	Data     []byte
	Trailers []header.Field // the trailer section; with End only
	End      bool           // the message ends behind Data, or behind Trailers where there are any
}

// CanOpen returns the error that Open would return now: nil, ErrNoStream or ErrNoMoreStreams.
func (d Driver) CanOpen() error {
	switch {
	case d.connErr != nil || d.State().Draining || d.streams.ids.LastLocal() >= frame.MaxStreamID-1:
		return ErrNoMoreStreams
	case uint32(d.streams.local) >= d.peer.MaxConcurrentStreams:
		return ErrNoStream
	}
	return nil
}

// Open opens a stream with a request (RFC 9113 §8.3.1). The error is ErrNoStream or
// ErrNoMoreStreams. Client only.
func (c *Conn) Open(r Request) (*Stream, error) {
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
	p := r.Priority
	p.Tree = p.Tree && p.DependsOn != id && p.DependsOn <= frame.MaxStreamID
	p.Urgency = min(p.Urgency, priority.MaxUrgency)
	s := c.newStream(id, p)
	s.noBody, s.connect = r.Head, isConnect(r.Fields)
	s.headSent = true
	c.mustTransition(s, stream.SendHeaders)
	if p.Tree && c.sendsTree() {
		c.appendPrioritized(s.ID, r.Fields, r.End, toFrame(p))
	} else {
		c.appendHeaders(s.ID, r.Fields, r.End)
	}
	if r.End {
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

// SendHead appends the head of a response. It opens a stream that was promised; where the client
// has lowered its limit of streams since, the error is ErrNoStream, and the stream is reset. Server
// only.
func (c *Conn) SendHead(s *Stream, h ResponseHead) error {
	if c.connErr != nil || !s.state.CanSend() && s.state != stream.ReservedLocal {
		return ErrClosed
	}
	if s.headSent || h.Interim && h.End {
		return ErrOrder
	}
	if s.reserved && !c.openReserved(s) {
		c.Reset(s, frame.Cancel) // the client has lowered its limit since the promise
		return ErrNoStream
	}
	s.headSent = !h.Interim
	if s.headSent && c.limit.resets.used > 0 {
		c.limit.resets.refund()
	}
	c.mustTransition(s, stream.SendHeaders)
	c.appendHeaders(s.ID, h.Fields, h.End)
	if h.End {
		c.sentEnd(s)
	}
	return nil
}

// Queue hands over content for s. What the windows, the scheduler and Fill let pass goes to the
// output; until EventDrained the rest is still in p.Data, which must stay as it is until then or
// until Driver.Unqueue. p.Trailers must stay as long, too.
func (c *Conn) Queue(s *Stream, p Content) error {
	switch {
	case c.connErr != nil || !s.state.CanSend() || s.out.end:
		return ErrClosed
	case !s.headSent:
		return ErrOrder
	case len(s.out.data) > 0:
		return ErrBusy
	}
	o := &s.out // nothing waits, so data, trailers, copied and end are zero
	o.data, o.trailers, o.end, o.waitSince, o.sent = p.Data, p.Trailers, p.End, c.now, 0
	if len(p.Data) == 0 {
		c.finishQueue(s, false)
		return nil
	}
	c.readyIfSendable(s)
	c.checkStallsFrom(c.now)
	return nil
}

// Finish is Queue of the last data of s and Fill in one, for data that can go to the output at
// once: it fits both windows and one frame, the output holds less than limit octets, and no other
// stream is ready. Otherwise Finish does nothing and returns false. EventDrained does not follow.
func (d Driver) Finish(s *Stream, data []byte, limit int) bool {
	n := len(data)
	switch {
	case n == 0 || n > maxChunk || n > int(d.peer.MaxFrameSize):
		return false
	case n > int(s.send.Available()) || n > int(d.sendWindow.Available()):
		return false
	case !s.state.CanSend() || s.out.end || len(s.out.data) > 0 || !s.headSent: // Queue returns the error
		return false
	case len(d.out) >= limit || d.cfg.Padding != nil || d.connErr != nil ||
		d.sched.num[ready]+d.sched.num[awaited] > 0:
		return false
	}
	d.appendData(s, data, 0, true)
	d.sentEnd(s)
	return true
}

// Keep makes a copy of what Queue has left waiting, so that the caller's memory is free again.
func (d Driver) Keep(s *Stream) {
	if len(s.out.data) > 0 && !s.out.copied {
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

// maxChunk bounds the payload of one DATA frame where the peer takes larger ones, so that the
// scheduler can choose another stream in between.
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
	c.finishQueue(s, ends)
}

// appendData appends DATA, and takes what counts for flow control, whose size it returns, from both
// windows.
func (c *Conn) appendData(s *Stream, p []byte, pad int, end bool) (size int) {
	f := frame.Data{StreamID: s.ID, EndStream: end, Data: p, Padded: pad > 0, PadLength: uint8(pad)}
	if c.vectored.on && len(p) >= minSegment && pad == 0 {
		c.appendSegment(s, f)
	} else {
		c.out = f.Append(c.out)
	}
	size = f.FlowLen()
	s.send.Take(size)
	c.sendWindow.Take(size)
	c.counts.FramesOut++
	c.counts.DataOut += uint64(len(p))
	c.limit.sentData(len(p))
	return size
}

// finishQueue is called when the last octet queued on s is in the output, with END_STREAM if ended.
// If the end was queued and no DATA frame has carried END_STREAM, trailers or an empty DATA frame
// do.
func (c *Conn) finishQueue(s *Stream, ended bool) {
	end, trailers := s.out.end, s.out.trailers
	s.out.reset()
	c.queueEvent(EventDrained, s)
	if !end {
		return
	}
	c.setReadiness(s, notReady)
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

// sentEnd moves s, which is not ready, by our END_STREAM. It resets s if StopRecv has asked for
// that.
func (c *Conn) sentEnd(s *Stream) {
	c.mustTransition(s, stream.SendEndStream)
	if s.out.resetAfterEnd && s.state == stream.HalfClosedLocal {
		c.Reset(s, c.stopCode())
		return
	}
	if s.state.Closed() {
		c.closeStream(s)
	}
}
