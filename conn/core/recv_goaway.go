package core

import (
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

// recvGoAway handles GOAWAY (RFC 9113 §6.8): streams of ours above the last that the peer will
// process are over, and may be tried again elsewhere.
func (c *Conn) recvGoAway(h frame.Header, p []byte) error {
	f, err := frame.ParseGoAway(h, p)
	if err != nil {
		return err
	}
	if c.shutdown.peerGone && f.LastStreamID > c.shutdown.peerLast {
		return frame.NewConnError(frame.ProtocolError, "RFC 9113 §6.8", "last stream identifier of GOAWAY increased")
	}
	if err := c.limit.glitch(c.now); err != nil {
		return err
	}
	c.shutdown.peerGone, c.shutdown.peerLast = true, f.LastStreamID
	c.emit(Event{Kind: EventGoAway, Err: &frame.ConnError{
		Code: f.Code, Initiator: frame.Remote, LastStreamID: f.LastStreamID,
		Debug: string(f.DebugData),
	}})
	var refused []*Stream
	for id, s := range c.streams.All() {
		if c.ids.IsLocal(id) && id > f.LastStreamID {
			refused = append(refused, s)
		}
	}
	for _, s := range refused {
		s.state = stream.ClosedResetRemote
		c.emit(Event{Kind: EventReset, Stream: s, Err: &frame.StreamError{
			StreamID: s.ID, Code: frame.RefusedStream, Initiator: frame.Remote, Section: "RFC 9113 §6.8",
			Reason: "not processed: the peer sent GOAWAY with a lower last stream",
		}})
		c.closeStream(s)
	}
	c.followGoAway()
	return nil
}

// followGoAway drains a server's connection whose client has sent GOAWAY, once no stream is open:
// nothing more is to be expected on it.
func (c *Conn) followGoAway() {
	if c.cfg.Role == Server && c.shutdown.peerGone && c.streams.Len() == 0 {
		guess := !c.timed && c.shutdown.step == running
		c.beginDrain()
		c.shutdown.guess = guess
	}
}
