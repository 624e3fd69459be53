package core

import (
	"slices"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
	"github.com/sluice-go/sluice/stream/priority"
)

// pendingUpdate is a PRIORITY_UPDATE for a stream that is idle (RFC 9218 §7), which waits for the
// stream to be opened. The scheduler is not told before that.
type pendingUpdate struct {
	id     uint32 // the identifier of the stream
	params priority.Params
}

// recvPriority handles PRIORITY (RFC 7540 §6.3).
func (c *Conn) recvPriority(h frame.Header, p []byte) error {
	f, err := frame.ParsePriority(h, p)
	if f.StreamID != 0 && f.DependsOn == f.StreamID {
		return errSelfDependency()
	}
	if err != nil {
		return err
	}
	if err := c.limit.glitch(c.now); err != nil {
		return err
	}
	c.reprioritize(f.StreamID, f.PriorityParam)
	return nil
}

// reprioritize moves a stream in the tree, whatever its state: other streams may depend on one that
// is idle or closed.
func (c *Conn) reprioritize(id uint32, tree frame.PriorityParam) {
	if c.peer.NoRFC7540Priorities { // "MUST ignore HTTP/2 priority signals" (RFC 9218 §2.1)
		return
	}
	if s, ok := c.streams.Get(id); ok {
		c.applyPeerPriority(s, fromFrame(tree))
		return
	}
	c.sched.Adjust(id, fromFrame(tree))
}

// recvPriorityUpdate handles PRIORITY_UPDATE (RFC 9218 §7.1). A value that is not valid is ignored;
// the RFC allows a connection error as well.
func (c *Conn) recvPriorityUpdate(h frame.Header, payload []byte) error {
	if c.cfg.Role == Client {
		return frame.NewConnError(frame.ProtocolError, "RFC 9218 §7.1", "PRIORITY_UPDATE from a server")
	}
	f, err := frame.ParsePriorityUpdate(h, payload)
	if err != nil {
		return err
	}
	if err := c.limit.glitch(c.now); err != nil {
		return err
	}
	id := f.PrioritizedID
	idle := c.streams.ids.Idle(id)
	if idle && c.streams.ids.IsLocal(id) {
		return frame.NewConnError(frame.ProtocolError, "RFC 9218 §7.1", "PRIORITY_UPDATE for a push stream that is idle")
	}
	var p priority.Params
	ok := len(f.Value) <= priority.MaxFieldLen
	if ok {
		p, ok = priority.Parse(string(f.Value))
	}
	if idle {
		return c.updateIdlePriority(id, p, ok)
	}
	if s, open := c.streams.Get(id); open && ok && s.state != stream.HalfClosedLocal {
		c.applyPeerPriority(s, p)
	}
	return nil
}

// updateIdlePriority keeps a PRIORITY_UPDATE until its stream is opened, for no more streams than
// the client may still open.
func (c *Conn) updateIdlePriority(id uint32, p priority.Params, valid bool) error {
	last, pending := c.streams.ids.LastRemote(), &c.sched.pendingUpdates
	if len(*pending) > 0 && (*pending)[0].id <= last {
		var unused priority.Params
		c.takePendingUpdate(last, &unused) // for streams that were refused
	}
	byID := func(e pendingUpdate, id uint32) int { return int(e.id) - int(id) }
	i, known := slices.BinarySearchFunc(*pending, id, byID)
	if !known && uint64(int(c.streams.remote)+len(*pending)) >= uint64(c.cfg.MaxConcurrentStreams) {
		if !c.settings.acked { // the client may not know the limit yet
			return nil
		}
		return frame.NewConnError(frame.ProtocolError, "RFC 9218 §7.1",
			"PRIORITY_UPDATE for more streams than SETTINGS_MAX_CONCURRENT_STREAMS")
	}
	switch {
	case !valid || c.afterGoAway(id):
	case known:
		(*pending)[i].params = p
	default:
		*pending = slices.Insert(*pending, i, pendingUpdate{id, p})
	}
	return nil
}

// takePendingUpdate writes the pending update of stream id to p, if there is one, and drops the
// updates of all streams up to id, which are idle no longer.
func (c *Conn) takePendingUpdate(id uint32, p *priority.Params) {
	pending, n := c.sched.pendingUpdates, 0
	for n < len(pending) && pending[n].id <= id {
		n++
	}
	if n > 0 && pending[n-1].id == id {
		update := pending[n-1].params
		p.Extensible, p.Urgency, p.Incremental = true, update.Urgency, update.Incremental
	}
	c.sched.pendingUpdates = slices.Delete(pending, 0, n)
	if len(c.sched.pendingUpdates) == 0 {
		c.sched.pendingUpdates = nil
	}
}
