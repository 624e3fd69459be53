package conn

import (
	"errors"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
)

// SendOrigin tells a client for which origins this connection may be asked (RFC 8336), each as
// "https://host:port" without a port that is the default. What a client does with it needs a
// certificate for these hosts, so it is for TLS. Nothing is flushed. Server only.
func (c *Conn) SendOrigin(origins ...string) error {
	return c.announce(func() error {
		c.core.SendOrigin(origins)
		return nil
	})
}

// SendAltSvc tells a client where else an origin, "https://host:port", is served (RFC 7838 §4).
// value is as in an Alt-Svc field: `h2="alt.example.com:443"; ma=3600`. Nothing is flushed. Server
// only.
func (c *Conn) SendAltSvc(origin, value string) error {
	return c.announce(func() error {
		if origin == "" || len(origin) > 1<<16-1 || !c.core.SendAltSvc(nil, origin, value) {
			return errAltSvc
		}
		return nil
	})
}

// SendAltSvc is that of Conn for the origin of the request on st.
func (st *Stream) SendAltSvc(value string) error {
	return st.c.announce(func() error {
		if err := st.writeErrLocked(); err != nil {
			return err
		}
		if !st.c.core.SendAltSvc(&st.cs, "", value) {
			return errAltSvc
		}
		return nil
	})
}

var errAltSvc = errors.New("http2: ALTSVC without an origin, or longer than a frame")

// announce calls f, which appends a frame to the output, unless the connection has ended.
func (c *Conn) announce(f func() error) error {
	c.mu.Lock()
	defer c.unlockAndNotify()
	if c.mu.phase != phaseOpen {
		return c.endErrLocked()
	}
	c.ensureOutputLocked()
	err := f()
	if err != nil {
		c.dropOutputLocked()
	}
	return err
}

// AltSvc is what a server has said with an ALTSVC frame (RFC 7838 §4).
type AltSvc struct {
	Owner  any    // of the stream whose origin is meant, nil where Origin is set
	Origin string // as the server has sent it
	Value  string // as in an Alt-Svc field
}

// originsOf copies the first maxOrigins origins of an ORIGIN frame.
func originsOf(payload []byte) (origins []string) {
	f, err := frame.ParseOrigin(frame.Header{Type: frame.TypeOrigin}, payload)
	if err != nil {
		return nil // core has looked already
	}
	for o := range f.All() {
		if len(origins) == maxOrigins {
			break
		}
		if len(o) <= maxOriginOctets {
			origins = append(origins, string(o))
		}
	}
	return origins
}

const (
	maxOrigins      = 256 // of one frame that are handed on
	maxOriginOctets = 512 // "https://", the longest name of a host and a port have room
)

// handleOriginEventLocked has Config.OnOrigin or Config.OnAltSvc called for a frame of the server.
func (c *Conn) handleOriginEventLocked(e *core.Event, st *Stream) {
	switch {
	case e.Kind == core.EventOrigin && c.client.onOrigin != nil:
		if origins := originsOf(e.Data); len(origins) > 0 {
			f := c.client.onOrigin
			c.mu.pending = append(c.mu.pending, callback{f: func(error) { c.runIsolated(func() { f(c, origins) }) }})
		}
	case e.Kind == core.EventAltSvc && c.client.onAltSvc != nil:
		h := frame.Header{Type: frame.TypeAltSvc}
		a := AltSvc{}
		if st != nil {
			h.StreamID, a.Owner = st.cs.ID, st.owner
		}
		frm, err := frame.ParseAltSvc(h, e.Data)
		if err != nil {
			return // core has looked already
		}
		a.Origin, a.Value = string(frm.Origin), string(frm.Value)
		f := c.client.onAltSvc
		c.mu.pending = append(c.mu.pending, callback{f: func(error) { c.runIsolated(func() { f(c, a) }) }})
	}
}
