package core

import (
	"errors"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
	"github.com/sluice-go/sluice/stream/priority"
)

// Priorities, of both schemes: RFC 7540 §5.3, the tree, and RFC 9218, urgency and incremental. The
// scheduler decides what they mean; here is how they arrive and leave, and what is kept of them.

// ErrPriority: a priority that no stream can have, since the stream would depend on itself (RFC
// 7540 §5.3.1), or on one whose identifier is above 2^31-1.
var ErrPriority = errors.New("http2: a stream cannot depend on itself, or on an identifier above 2^31-1")

// pinned says which parts of a stream's priority were decided on this side, so that the peer's word
// does not change them any more.
type pinned uint8

const (
	pinUrgency pinned = 1 << iota
	pinIncremental
	pinTree
)

// Priority returns the priority of s: what the peer has asked for, or what was decided on this
// side.
func (s *Stream) Priority() priority.Params { return s.prio }

// SetPriority changes the priority of s. A part that p does not state stays as it is, and an
// urgency above 7 is 7.
//
// On a server it decides when the response is sent, and whatever p states holds from now on,
// whatever the client asks for (RFC 9218 §8). A client asks the server with PRIORITY_UPDATE
// (RFC 9218 §7.1), and with PRIORITY (RFC 7540 §6.3) where Config.TreePriorities is set and the
// server has not said that it ignores that; and it changes when the rest of the request is sent.
// The error is ErrClosed when nothing more will be sent, or received, on s.
func (c *Conn) SetPriority(s *Stream, p priority.Params) error {
	if p.Tree && (p.DependsOn == s.ID || p.DependsOn > frame.MaxStreamID) {
		return ErrPriority
	}
	p.Urgency = min(p.Urgency, priority.MaxUrgency)
	if c.fatal != nil {
		return ErrClosed
	}
	if c.cfg.Role == Server {
		if s.state.Closed() {
			return ErrClosed
		}
		if p.Extensible {
			s.pinned |= pinUrgency | pinIncremental
		}
		if p.Tree {
			s.pinned |= pinTree
		}
		c.decide(s, p)
		return nil
	}
	if s.state.Closed() || s.state == stream.HalfClosedRemote {
		return ErrClosed
	}
	if p.Extensible {
		c.out = frame.PriorityUpdate{PrioritizedID: s.ID, Value: []byte(p.Field())}.Append(c.out)
		c.counts.FramesOut++
	}
	if p.Tree && c.sendsTree() {
		c.out = frame.Priority{StreamID: s.ID, PriorityParam: treeParam(p)}.Append(c.out)
		c.counts.FramesOut++
	}
	c.adjust(s, p)
	return nil
}

// MergePriority is SetPriority with the value of a priority field, as a response has it (RFC 9218
// §5): the parameters that it states, and no others, take the place of the client's (RFC 9218 §8).
// A value that is not valid is ignored. Server only.
func (d Driver) MergePriority(s *Stream, value string) {
	p, ok := s.prio.Merge(value)
	if !ok || s.state.Closed() {
		return
	}
	// What value states is what comes out of it whatever it is merged with.
	low, _ := priority.Params{Extensible: true}.Merge(value)
	high, _ := priority.Params{Extensible: true, Urgency: priority.MaxUrgency, Incremental: true}.Merge(value)
	stated := pinned(0)
	if low.Urgency == high.Urgency {
		stated |= pinUrgency
	}
	if low.Incremental == high.Incremental {
		stated |= pinIncremental
	}
	if stated != 0 {
		s.pinned |= stated
		p.Tree = false
		d.decide(s, p)
	}
}

// adjust changes the priority of a stream in the table as the peer has asked.
func (c *Conn) adjust(s *Stream, p priority.Params) {
	c.note(s, p)
	c.sched.Adjust(s.ID, p)
}

// decide changes the priority of a stream in the table as this side wants it.
func (c *Conn) decide(s *Stream, p priority.Params) {
	c.note(s, p)
	priority.Decide(c.sched, s.ID, p)
}

// note keeps what p states with the stream.
func (c *Conn) note(s *Stream, p priority.Params) {
	if p.Extensible {
		c.extensible = true
		s.prio.Extensible, s.prio.Urgency, s.prio.Incremental = true, p.Urgency, p.Incremental
	}
	if p.Tree {
		s.prio.Tree, s.prio.DependsOn, s.prio.Exclusive, s.prio.Weight = true, p.DependsOn, p.Exclusive, p.Weight
	}
}

// askedFor changes the priority of s as the peer has asked, but for what was decided here.
func (c *Conn) askedFor(s *Stream, p priority.Params) {
	if s.pinned&pinUrgency != 0 {
		p.Urgency = s.prio.Urgency
	}
	if s.pinned&pinIncremental != 0 {
		p.Incremental = s.prio.Incremental
	}
	if s.pinned&pinTree != 0 {
		p.Tree = false
	}
	if p.Extensible || p.Tree {
		c.adjust(s, p)
	}
}

// requestPriority returns the priority with which a request begins: that of its header section, in
// which a PRIORITY_UPDATE that came before takes the place of the priority field, being more recent
// (RFC 9218 §7).
func (c *Conn) requestPriority(b *headerBlock, stated priority.Packed) (p priority.Params) {
	if b.hasPriority && !c.peer.NoRFC7540Priorities {
		p = treeParams(b.priority)
	}
	stated.Apply(&p)
	if len(c.early) > 0 {
		c.takeEarly(b.streamID, &p)
	}
	c.extensible = c.extensible || p.Extensible
	return p
}

// newPush returns a stream that is pushed on parent. Until somebody says more its priority is below
// that: in the tree as a child of the default weight (RFC 7540 §5.3.5). RFC 9218 has no word for
// it, so it is the next urgency: with the same one a pushed stream, whose identifier may be lower,
// could hold up the page that needs it. Nothing of the kind is stated where nobody has spoken of
// RFC 9218, or the scheduler would take that for a sign of it.
func (c *Conn) newPush(id uint32, parent *Stream) *Stream {
	s := c.newStream(id, stream.Idle, priority.Params{Tree: true, DependsOn: parent.ID, Weight: priority.DefaultWeight})
	if c.extensible {
		p := priority.Params{Extensible: true, Urgency: priority.DefaultUrgency}
		if parent.prio.Extensible {
			p.Urgency = parent.prio.Urgency
		}
		p.Urgency = min(p.Urgency+1, priority.MaxUrgency)
		c.decide(s, p)
	}
	return s
}

// sendsTree tells whether PRIORITY frames, and the like in HEADERS, mean anything to the server.
func (c *Conn) sendsTree() bool { return c.cfg.TreePriorities && !c.peer.NoRFC7540Priorities }

func treeParams(p frame.PriorityParam) priority.Params {
	return priority.Params{Tree: true, DependsOn: p.DependsOn, Exclusive: p.Exclusive, Weight: p.Weight}
}

func treeParam(p priority.Params) frame.PriorityParam {
	return frame.PriorityParam{DependsOn: p.DependsOn, Exclusive: p.Exclusive, Weight: p.Weight}
}
