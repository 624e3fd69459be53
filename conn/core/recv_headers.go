package core

import (
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

// A whole header block that begins with HEADERS is a request, a response, or trailers (RFC 9113
// §8.1). Decode has decoded it, since the HPACK table needs that of every block, even one that is
// refused here.

// recvHeaders handles a header block that opens no stream: a response, or trailers.
func (c *Conn) recvHeaders(b *headerBlock) error {
	s, ok := c.streams.Get(b.streamID)
	switch {
	case ok && s.headRecv:
		if b.hasPriority {
			c.reprioritize(s.ID, b.priority) // as PRIORITY would (RFC 7540 §6.2)
		}
		return c.recvTrailers(s, b)
	case ok:
		return c.recvResponse(s, b)
	default:
		return c.headersOnClosed(b.streamID)
	}
}

// headersOnClosed judges HEADERS on a stream that is not in the table and may not be opened.
func (c *Conn) headersOnClosed(id uint32) error {
	if st, known := c.closedState(id); !known || st == stream.Idle {
		return frame.NewConnError(frame.ProtocolError, "RFC 9113 §5.1.1", "HEADERS on a stream that may not be opened")
	}
	return c.recvOnClosed(id, stream.RecvHeaders)
}

// recvRequest opens a stream of the client (RFC 9113 §5.1.1, §8.3.1).
func (c *Conn) recvRequest(b *headerBlock) error {
	if err := c.streams.ids.Accept(b.streamID); err != nil {
		return err
	}
	if c.goAway.drain == drainFinal {
		return c.chargeAfterGoAway() // the stream is later than the last one in our GOAWAY
	}
	if uint64(c.streams.remote) >= uint64(c.cfg.MaxConcurrentStreams) {
		return frame.NewStreamError(
			b.streamID,
			frame.RefusedStream,
			"RFC 9113 §5.1.2",
			"more streams than SETTINGS_MAX_CONCURRENT_STREAMS",
		)
	}
	m := &c.dec.msg
	if err := m.CheckRequest(b.streamID, c.cfg.EnableConnectProtocol); err != nil && !m.TooLarge {
		return err
	}
	if b.endStream && m.ContentLength > 0 {
		return badLength(b.streamID)
	}
	s := c.newStream(b.streamID, c.requestPriority(b, m.Priority))
	c.takeHead(s)
	s.tunnel = s.Head.Method == "CONNECT"
	c.mustTransition(s, stream.RecvHeaders)
	if b.endStream {
		c.mustTransition(s, stream.RecvEndStream)
	}
	c.queueEvent(EventHeaders, s).End = b.endStream
	if s.ID == frame.MaxStreamID {
		c.beginDrain() // the client has no identifier left: it needs a new connection (RFC 9113 §5.1.1)
	}
	return nil
}

// recvResponse handles the head of a response, interim or final (RFC 9113 §8.3.2).
func (c *Conn) recvResponse(s *Stream, b *headerBlock) error {
	if s.reserved && !c.openReserved(s) {
		return frame.NewStreamError(
			s.ID,
			frame.RefusedStream,
			"RFC 9113 §5.1.2",
			"more pushed streams than SETTINGS_MAX_CONCURRENT_STREAMS",
		)
	}
	if ok, err := c.transition(s, stream.RecvHeaders); !ok {
		return err
	}
	m := &c.dec.msg
	if err := m.CheckResponse(s.ID); err != nil && !m.TooLarge {
		return err
	}
	if m.Status >= 100 && m.Status < 200 {
		if b.endStream {
			return frame.NewStreamError(s.ID, frame.ProtocolError, "RFC 9113 §8.1", "interim response ends the stream")
		}
		return c.recvInterim(s, m)
	}
	if s.connect && m.Status >= 200 && m.Status < 300 {
		s.tunnel = true
		m.ContentLength = -1 // to be ignored (RFC 9110 §9.3.6)
	} else {
		s.noBody = s.noBody || m.Status == 304 || m.Status == 204
	}
	if b.endStream && m.ContentLength > 0 && !s.noBody {
		return badLength(s.ID)
	}
	c.takeHead(s)
	if b.endStream {
		c.mustTransition(s, stream.RecvEndStream)
	}
	c.queueEvent(EventHeaders, s).End = b.endStream
	if s.state.Closed() {
		c.closeStream(s)
	}
	return nil
}

// interimState is what the peer has sent of interim responses (1xx) on a stream.
type interimState struct {
	octets    uint64 // size of their header lists together (RFC 9113 §10.5.1)
	count     int32  // number of interim responses
	unbounded bool   // see Driver.UnboundedInterim
}

// UnboundedInterim turns the limits off for the number of interim responses on s and for their size
// together. It is for a caller that looks at each, and resets s when there are too many. Client
// only.
func (d Driver) UnboundedInterim(s *Stream) { s.interim.unbounded = true }

// interimStatus has the size of the :status of any interim response.
var interimStatus = [1]header.Field{{Name: ":status", Value: "100"}}

// recvInterim handles an interim response. A server may send any number of them (RFC 9110 §15.2),
// so a limit of ours is needed.
func (c *Conn) recvInterim(s *Stream, m *header.Message) error {
	s.interim.count++
	s.interim.octets += header.ListSize(interimStatus[:]) + header.ListSize(m.Fields)
	many := over(int(s.interim.count), c.limit.MaxInterim) || s.interim.octets > uint64(c.cfg.MaxHeaderBytes)
	if m.TooLarge || many && !s.interim.unbounded {
		return frame.NewStreamError(s.ID, frame.EnhanceYourCalm, "RFC 9113 §10.5", "too_many_interim_responses")
	}
	c.emitEvent(Event{Kind: EventInformational, Stream: s, Message: m})
	return nil
}

// recvTrailers handles the second header block of a message (RFC 9113 §8.1).
func (c *Conn) recvTrailers(s *Stream, b *headerBlock) error {
	if ok, err := c.transition(s, stream.RecvHeaders); !ok {
		return err
	}
	switch {
	case s.tunnel:
		return frame.NewStreamError(s.ID, frame.ProtocolError, "RFC 9113 §8.5", "HEADERS in a tunnel")
	case !b.endStream:
		return frame.NewStreamError(s.ID, frame.ProtocolError, "RFC 9113 §8.1", "trailers without END_STREAM")
	}
	m := &c.dec.msg
	if err := m.CheckTrailers(s.ID); err != nil {
		return err
	}
	if m.TooLarge {
		return frame.NewStreamError(s.ID, frame.EnhanceYourCalm, "RFC 9113 §10.5.1", "trailers too large")
	}
	if err := c.recvEnd(s); err != nil {
		return err
	}
	c.emitEvent(Event{Kind: EventTrailers, Stream: s, End: true, Message: m})
	if s.state.Closed() {
		c.closeStream(s)
	}
	return nil
}

// recvEnd moves s by END_STREAM and checks the length of the content (RFC 9113 §8.1.1).
func (c *Conn) recvEnd(s *Stream) error {
	if !s.noBody && s.headRecv && s.Head.ContentLength >= 0 && s.recvBody != s.Head.ContentLength {
		return badLength(s.ID)
	}
	if ok, err := c.transition(s, stream.RecvEndStream); !ok {
		return err
	}
	c.reclaimGrowth(s)
	return nil
}

// takeHead makes the message that was just decoded the head of s. The decoder gets the memory of
// the old head in exchange, so that nothing is copied or allocated.
func (c *Conn) takeHead(s *Stream) {
	storage := s.Head.Fields
	s.Head = c.dec.msg
	c.dec.msg.Fields = storage // the next block overwrites the other fields of msg
	s.headRecv = true
}

// badLength returns the error for content of another length than declared.
func badLength(id uint32) error {
	return frame.NewStreamError(
		id,
		frame.ProtocolError,
		"RFC 9113 §8.1.1",
		"content-length differs from the length of the content",
	)
}
