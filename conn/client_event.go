package conn

import "github.com/sluice-go/sluice/conn/core"

// handleClientEventLocked takes the events that only a client's connection has.
func (c *Client) handleClientEventLocked(e *core.Event, st *Stream) {
	switch e.Kind {
	case core.EventInformational:
		if f := st.client.onInterim; f != nil {
			m := e.Message
			c.mu.pending = append(c.mu.pending, callback{f: func(error) { c.runIsolated(func() { f(m) }) }})
		}
	case core.EventPush:
		c.acceptPushLocked(st, e.Parent.Owner.(*Stream))
	case core.EventOrigin, core.EventAltSvc:
		c.handleOriginEventLocked(e, st)
	}
}
