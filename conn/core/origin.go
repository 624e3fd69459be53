package core

import (
	"errors"

	"github.com/sluice-go/sluice/frame"
)

// recvOrigin hands on what origins the server wants to be asked for (RFC 8336 §2). Whether to
// believe it is the caller's matter, who knows about TLS.
func (c *Conn) recvOrigin(h frame.Header, p []byte) error {
	if err := c.limit.glitch(c.now); err != nil {
		return err
	}
	if c.cfg.Role == Server {
		return nil // RFC 8336 §2.1
	}
	if _, err := frame.ParseOrigin(h, p); err != nil {
		return unlessIgnored(err)
	}
	c.emitEvent(Event{Kind: EventOrigin, Data: p})
	return nil
}

// unlessIgnored is err, unless it says that the frame is to be ignored.
func unlessIgnored(err error) error {
	if errors.Is(err, frame.ErrIgnore) {
		return nil
	}
	return err
}

// SendOrigin appends ORIGIN frames with these origins, each of at most 65535 octets, serialized as
// "https://host:port" without a port that is the default (RFC 6454 §6.2). An origin that has no
// room in a frame that the peer takes is left out. Server only; clients without TLS ignore it.
func (c *Conn) SendOrigin(origins []string) {
	if c.connErr != nil {
		return
	}
	room := int(c.peer.MaxFrameSize)
	for len(origins) > 0 {
		n, size := 0, 0
		for n < len(origins) && size+2+len(origins[n]) <= room {
			size += 2 + len(origins[n])
			n++
		}
		if n == 0 {
			origins = origins[1:]
			continue
		}
		c.out = frame.AppendOrigin(c.out, origins[:n]...)
		c.counts.FramesOut++
		origins = origins[n:]
	}
}
