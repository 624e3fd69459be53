package core

import "github.com/sluice-go/sluice/frame"

func (c *Conn) recvPing(h frame.Header, p []byte) error {
	f, err := frame.ParsePing(h, p)
	if err != nil {
		return err
	}
	if f.Ack {
		return c.recvPingAck(f.Data)
	}
	c.counts.PingsIn++
	if err := c.limit.glitch(c.now); err != nil {
		return err
	}
	c.out = frame.Ping{Ack: true, Data: f.Data}.Append(c.out)
	c.counts.FramesOut++
	return c.limit.control()
}

func (c *Conn) recvPingAck(data [8]byte) error {
	switch {
	case data == drainPing && c.shutdown.step == drainAnnounced:
		c.finishDrain()
	case data == keepalivePing && c.life.pingOut:
		c.life.pingOut = false
	case data == tunePing && c.life.tunePinged:
		c.life.tunePinged = false
		c.bdp.PingAcked(c.now)
	default:
		c.emit(Event{Kind: EventPingAck, Ping: data})
		if c.life.pingsOut == 0 {
			return c.limit.glitch(c.now)
		}
		c.life.pingsOut--
	}
	return nil
}

// What the connection asks with PING for itself.
var (
	drainPing     = [8]byte{'s', 'l', 'u', 'i', 'c', 'e', 'g', 'o'}
	keepalivePing = [8]byte{'s', 'l', 'u', 'i', 'c', 'e', 'k', 'a'}
	tunePing      = [8]byte{'s', 'l', 'u', 'i', 'c', 'e', 'b', 'd'}
)

// Ping appends a PING; its answer comes as EventPingAck. After Fail it does nothing. The data must
// not be one of the three that the connection uses for itself, which no random data will be.
func (c *Conn) Ping(data [8]byte) {
	if c.fatal != nil {
		return
	}
	c.out = frame.Ping{Data: data}.Append(c.out)
	c.life.pingsOut++
	c.counts.FramesOut++
	c.counts.PingsOut++
}
