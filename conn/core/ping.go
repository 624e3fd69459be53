package core

import "github.com/sluice-go/sluice/frame"

// pingState has the PINGs of ours that the peer has not acknowledged, by what they are for.
type pingState struct {
	user      int32 // number of those that Ping has sent
	keepalive bool  // keepalivePing is one
	rtt       bool  // rttPing is one
}

// The data of the PINGs that the connection sends for itself.
var (
	drainPing     = [8]byte{'s', 'l', 'u', 'i', 'c', 'e', 'g', 'o'} // between the two GOAWAY of a drain
	keepalivePing = [8]byte{'s', 'l', 'u', 'i', 'c', 'e', 'k', 'a'}
	rttPing       = [8]byte{'s', 'l', 'u', 'i', 'c', 'e', 'b', 'd'} // measures the round-trip time
)

// Ping appends a PING; its answer comes as EventPingAck. After Fail it does nothing. The data must
// not be one of the three that the connection uses for itself, which no random data will be.
func (c *Conn) Ping(data [8]byte) {
	if c.connErr != nil {
		return
	}
	c.appendPing(data)
	c.pings.user++
}

func (c *Conn) appendPing(data [8]byte) {
	c.out = frame.Ping{Data: data}.Append(c.out)
	c.counts.FramesOut++
	c.counts.PingsOut++
}

// recvPing handles PING (RFC 9113 §6.7).
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
	return c.limit.queuedAnswer()
}

func (c *Conn) recvPingAck(data [8]byte) error {
	switch {
	case data == drainPing && c.goAway.drain == drainAnnounced:
		c.sendFinalGoAway("")
	case data == keepalivePing && c.pings.keepalive:
		c.pings.keepalive = false
	case data == rttPing && c.pings.rtt:
		c.pings.rtt = false
		c.recv.bdp.PingAcked(c.now)
	default:
		c.emitEvent(Event{Kind: EventPingAck, Ping: data})
		if c.pings.user == 0 {
			return c.limit.glitch(c.now)
		}
		c.pings.user--
	}
	return nil
}
