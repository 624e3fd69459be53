package core

import (
	"time"

	"github.com/sluice-go/sluice/frame"
)

// Start appends our connection preface: SETTINGS, behind the client's magic octets in the role of a
// client, and the WINDOW_UPDATE that opens the connection's window (RFC 9113 §3.4). All of it fits
// one packet.
func (c *Conn) Start(now time.Time) {
	if c.fatal != nil {
		return
	}
	c.tell(now)
	now = c.now
	if c.cfg.Role == Client {
		c.out = append(c.out, frame.Preface...)
	}
	var list [9]frame.Setting
	c.out = frame.AppendSettings(c.out, c.cfg.settings(list[:0])...)
	c.counts.FramesOut++
	if inc := c.recv.Resize(c.cfg.ConnWindow); inc > 0 {
		c.appendWindowUpdate(0, inc)
	}
	if c.cfg.Grease != 0 {
		c.appendGrease(c.cfg.Grease)
	}
	c.life.start(now, &c.cfg)
	c.bdp.PingSent(now)
}

func (in *inbound) preface(b []byte) (int, error) {
	n := min(len(b), len(in.prefaceLeft))
	if string(b[:n]) != in.prefaceLeft[:n] {
		return 0, frame.NewConnError(frame.ProtocolError, "RFC 9113 §3.4", "invalid connection preface")
	}
	in.prefaceLeft = in.prefaceLeft[n:]
	return n, nil
}

// begun notes that the first octets have arrived.
func (l *lifetime) begun(now time.Time, cfg *Config) {
	if l.silent {
		l.silent = false
		l.prefaceBy = after(now, cfg.PrefaceTimeout)
	}
}
