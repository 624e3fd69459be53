package core

import (
	"slices"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
	"github.com/sluice-go/sluice/stream/priority"
)

// earlyPriority is a PRIORITY_UPDATE for a stream that is idle (RFC 9218 §7).
type earlyPriority struct {
	id uint32
	p  priority.Params
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
		c.askedFor(s, treeParams(tree))
		return
	}
	c.sched.Adjust(id, treeParams(tree))
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
	idle := c.ids.Idle(id)
	if idle && c.ids.IsLocal(id) {
		return frame.NewConnError(frame.ProtocolError, "RFC 9218 §7.1", "PRIORITY_UPDATE for a push stream that is idle")
	}
	var p priority.Params
	ok := len(f.Value) <= header.MaxPriorityLen
	if ok {
		p, ok = priority.Parse(string(f.Value))
	}
	if idle {
		return c.updateIdle(id, p, ok)
	}
	if s, open := c.streams.Get(id); open && ok && s.state != stream.HalfClosedLocal {
		c.askedFor(s, p)
	}
	return nil
}

// updateIdle keeps a PRIORITY_UPDATE until its stream is opened. As many streams as the client may
// have open can wait so.
func (c *Conn) updateIdle(id uint32, p priority.Params, valid bool) error {
	if last := c.ids.LastRemote(); len(c.early) > 0 && c.early[0].id <= last {
		var refused priority.Params
		c.takeEarly(last, &refused)
	}
	i, known := slices.BinarySearchFunc(c.early, id, func(e earlyPriority, id uint32) int { return int(e.id) - int(id) })
	if !known && uint64(c.remoteStreams+len(c.early)) >= uint64(c.cfg.MaxConcurrentStreams) {
		if !c.life.settingsAcked { // the client may not know the limit yet
			return nil
		}
		return frame.NewConnError(frame.ProtocolError, "RFC 9218 §7.1",
			"PRIORITY_UPDATE for more streams than SETTINGS_MAX_CONCURRENT_STREAMS")
	}
	switch {
	case !valid || c.shutdown.beyond(id, c):
	case known:
		c.early[i].p = p
	default:
		c.early = slices.Insert(c.early, i, earlyPriority{id, p})
	}
	return nil
}

// takeEarly finds what was said of stream id before it was opened, and forgets what was said of
// those that are no longer idle.
func (c *Conn) takeEarly(id uint32, p *priority.Params) {
	n := 0
	for n < len(c.early) && c.early[n].id <= id {
		n++
	}
	if n > 0 && c.early[n-1].id == id {
		e := c.early[n-1].p
		p.Extensible, p.Urgency, p.Incremental = true, e.Urgency, e.Incremental
	}
	c.early = slices.Delete(c.early, 0, n)
	if len(c.early) == 0 {
		c.early = nil
	}
}
