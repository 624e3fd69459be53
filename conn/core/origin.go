package core

import (
	"errors"

	"github.com/sluice-go/sluice/frame"
)

// recvOrigin handles ORIGIN, which has the origins for which the server wants requests (RFC 8336
// §2). The caller, which knows the certificate, decides whether to believe it.
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

// unlessIgnored returns err, and nil where err says that the frame is to be ignored.
func unlessIgnored(err error) error {
	if errors.Is(err, frame.ErrIgnore) {
		return nil
	}
	return err
}

// SendOrigin appends ORIGIN frames with these origins, each of at most 65535 octets, serialized as
// "https://host:port" without a port that is the default (RFC 6454 §6.2). An origin that is too
// long for the peer's SETTINGS_MAX_FRAME_SIZE is left out. Server only; clients without TLS ignore
// it.
func (c *Conn) SendOrigin(origins []string) {
	if c.connErr != nil {
		return
	}
	maxSize := int(c.peer.MaxFrameSize)
	for len(origins) > 0 {
		n, size := 0, 0
		for n < len(origins) && size+2+len(origins[n]) <= maxSize {
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
