package core

import (
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

// recvGoAway handles GOAWAY (RFC 9113 §6.8). Streams of ours above the last one that the peer
// processes are over; their requests may be sent again on another connection.
func (c *Conn) recvGoAway(h frame.Header, p []byte) error {
	f, err := frame.ParseGoAway(h, p)
	if err != nil {
		return err
	}
	if c.goAway.received && f.LastStreamID > c.goAway.lastRecv {
		return frame.NewConnError(frame.ProtocolError, "RFC 9113 §6.8", "last stream identifier of GOAWAY increased")
	}
	if err := c.limit.glitch(c.now); err != nil {
		return err
	}
	c.goAway.received, c.goAway.lastRecv = true, f.LastStreamID
	c.emitEvent(Event{Kind: EventGoAway, Err: &frame.ConnError{
		Code: f.Code, Initiator: frame.Remote, LastStreamID: f.LastStreamID,
		Debug: string(f.DebugData),
	}})
	var refused []*Stream
	for id, s := range c.streams.All() {
		if c.streams.ids.IsLocal(id) && id > f.LastStreamID {
			refused = append(refused, s)
		}
	}
	for _, s := range refused {
		s.state = stream.ClosedResetRemote
		c.emitEvent(Event{Kind: EventReset, Stream: s, Err: &frame.StreamError{
			StreamID: s.ID, Code: frame.RefusedStream, Initiator: frame.Remote, Section: "RFC 9113 §6.8",
			Reason: "not processed: the peer sent GOAWAY with a lower last stream",
		}})
		c.closeStream(s)
	}
	c.drainAfterGoAway()
	return nil
}

// drainAfterGoAway drains a server's connection whose client has sent GOAWAY, once no stream is
// open: no request will follow.
func (c *Conn) drainAfterGoAway() {
	if c.cfg.Role == Server && c.streams.Len() == 0 {
		stale := !c.haveNow && c.goAway.drain == running
		c.beginDrain()
		c.goAway.stale = stale
	}
}
