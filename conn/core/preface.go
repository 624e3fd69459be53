package core

import (
	"time"

	"github.com/sluice-go/sluice/frame"
)

// Start appends our connection preface: SETTINGS, behind the client's magic octets in the role of a
// client, and the WINDOW_UPDATE that opens the connection's window (RFC 9113 §3.4). All of it fits
// one packet.
func (c *Conn) Start(now time.Time) {
	if c.connErr != nil {
		return
	}
	c.advance(now)
	now = c.now
	if c.cfg.Role == Client {
		c.out = append(c.out, frame.Preface...)
	}
	var list [9]frame.Setting
	c.out = frame.AppendSettings(c.out, c.cfg.settings(list[:0])...)
	c.counts.FramesOut++
	if inc := c.recv.window.Resize(c.cfg.ConnWindow); inc > 0 {
		c.appendWindowUpdate(0, inc)
	}
	if c.cfg.Grease != 0 {
		c.appendGrease(c.cfg.Grease)
	}
	c.settings.start(now, &c.cfg)
	c.keepalive.lastFrame, c.idle.since = now, now
	c.recv.bdp.PingSent(now) // the acknowledgement of our SETTINGS is its answer
}

// preface takes the client's magic octets, of which b is the next part.
func (dec *frameDecoder) preface(b []byte) (int, error) {
	n := min(len(b), len(dec.prefaceLeft))
	if string(b[:n]) != dec.prefaceLeft[:n] {
		return 0, frame.NewConnError(frame.ProtocolError, "RFC 9113 §3.4", "invalid connection preface")
	}
	dec.prefaceLeft = dec.prefaceLeft[n:]
	return n, nil
}

// start starts the timers for the peer's preface and for the acknowledgement of our SETTINGS.
func (st *settingsState) start(now time.Time, cfg *Config) {
	st.prefaceDeadline = after(now, cfg.PrefaceTimeout)
	if cfg.Role == Server && !cfg.PrefaceDone && cfg.FirstByteTimeout != 0 {
		st.prefaceDeadline, st.noOctetYet = after(now, cfg.FirstByteTimeout), true
	}
	st.ackDeadline = after(now, cfg.SettingsTimeout)
}
