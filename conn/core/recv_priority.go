package core

import (
	"slices"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
	"github.com/sluice-go/sluice/stream/priority"
)

// earlyPriority is a PRIORITY_UPDATE for a stream that is idle (RFC 9218 §7).
type pendingUpdate struct {
	id     uint32
	params priority.Params
}

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

// reprioritize moves a stream in the tree, whatever its state: others may depend on one that is
// idle or closed.
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

// recvPriorityUpdate handles PRIORITY_UPDATE (RFC 9218 §7.1). A value that is not valid changes
// nothing, which the RFC leaves to us.
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
	ok := len(f.Value) <= header.MaxPriorityLen
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

// updateIdle keeps a PRIORITY_UPDATE until its stream is opened. As many streams as the client may
// have open can wait so.
func (c *Conn) updateIdlePriority(id uint32, p priority.Params, valid bool) error {
	if last := c.streams.ids.LastRemote(); len(c.sched.pendingUpdates) > 0 && c.sched.pendingUpdates[0].id <= last {
		var refused priority.Params
		c.takePendingUpdate(last, &refused)
	}
	i, known := slices.BinarySearchFunc(
		c.sched.pendingUpdates,
		id,
		func(e pendingUpdate, id uint32) int { return int(e.id) - int(id) },
	)
	if !known && uint64(int(c.streams.remote)+len(c.sched.pendingUpdates)) >= uint64(c.cfg.MaxConcurrentStreams) {
		if !c.settings.acked { // the client may not know the limit yet
			return nil
		}
		return frame.NewConnError(frame.ProtocolError, "RFC 9218 §7.1",
			"PRIORITY_UPDATE for more streams than SETTINGS_MAX_CONCURRENT_STREAMS")
	}
	switch {
	case !valid || c.afterGoAway(id):
	case known:
		c.sched.pendingUpdates[i].params = p
	default:
		c.sched.pendingUpdates = slices.Insert(c.sched.pendingUpdates, i, pendingUpdate{id, p})
	}
	return nil
}

// takeEarly finds what was said of stream id before it was opened, and forgets what was said of
// those that are no longer idle.
func (c *Conn) takePendingUpdate(id uint32, p *priority.Params) {
	n := 0
	for n < len(c.sched.pendingUpdates) && c.sched.pendingUpdates[n].id <= id {
		n++
	}
	if n > 0 && c.sched.pendingUpdates[n-1].id == id {
		e := c.sched.pendingUpdates[n-1].params
		p.Extensible, p.Urgency, p.Incremental = true, e.Urgency, e.Incremental
	}
	c.sched.pendingUpdates = slices.Delete(c.sched.pendingUpdates, 0, n)
	if len(c.sched.pendingUpdates) == 0 {
		c.sched.pendingUpdates = nil
	}
}
