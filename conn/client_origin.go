package conn

import (
	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
)

// AltSvc is what a server has said with an ALTSVC frame (RFC 7838 §4).
type AltSvc struct {
	Owner  any    // of the stream whose origin is meant, nil where Origin is set
	Origin string // as the server has sent it
	Value  string // as in an Alt-Svc field
}

// handleOriginEventLocked has Config.OnOrigin or Config.OnAltSvc called for a frame of the server.
func (c *Client) handleOriginEventLocked(e *core.Event, st *Stream) {
	switch {
	case e.Kind == core.EventOrigin && c.onOrigin != nil:
		if origins := originsOf(e.Data); len(origins) > 0 {
			f := c.onOrigin
			c.mu.pending = append(c.mu.pending, callback{f: func(error) { c.runIsolated(func() { f(c, origins) }) }})
		}
	case e.Kind == core.EventAltSvc && c.onAltSvc != nil:
		h := frame.Header{Type: frame.TypeAltSvc}
		a := AltSvc{}
		if st != nil {
			h.StreamID, a.Owner = st.cs.ID, st.owner
		}
		frm, err := frame.ParseAltSvc(h, e.Data)
		if err != nil {
			return // which core has checked
		}
		a.Origin, a.Value = string(frm.Origin), string(frm.Value)
		f := c.onAltSvc
		c.mu.pending = append(c.mu.pending, callback{f: func(error) { c.runIsolated(func() { f(c, a) }) }})
	}
}

// originsOf copies the first maxOrigins origins of an ORIGIN frame.
func originsOf(payload []byte) (origins []string) {
	f, err := frame.ParseOrigin(frame.Header{Type: frame.TypeOrigin}, payload)
	if err != nil {
		return nil // which core has checked
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
	maxOrigins      = 256 // origins of one frame that are reported
	maxOriginOctets = 512 // enough for "https://", the longest name of a host, and a port
)
