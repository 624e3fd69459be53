package core

import (
	"errors"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
	"github.com/sluice-go/sluice/stream/priority"
)

// There are two schemes of priorities: the tree of RFC 7540 §5.3, and the urgency and incremental
// parameters of RFC 9218. The scheduler decides what they mean. This file and recv_priority.go have
// what is sent and received of them, and the record that a stream keeps.

// ErrPriority: a priority that no stream can have, since the stream would depend on itself (RFC
// 7540 §5.3.1), or on one whose identifier is above 2^31-1.
var ErrPriority = errors.New("http2: a stream cannot depend on itself, or on an identifier above 2^31-1")

// streamPriority is the priority of a stream: what the peer has stated, or this side has decided.
type streamPriority struct {
	priority.Params
	override localOverride
}

// localOverride says which parts of a stream's priority this side has decided, so that the peer
// does not change them any more.
type localOverride uint8

const (
	overrideUrgency localOverride = 1 << iota
	overrideIncremental
	overrideTree
)

// Priority returns the priority of s: what the peer has stated, or what this side has decided.
func (s *Stream) Priority() priority.Params { return s.prio.Params }

// SetPriority changes the priority of s. A part that p does not state stays as it is, and an
// urgency above 7 is 7.
//
// On a server it changes when the response is sent. What p states holds from now on, whatever the
// client states later (RFC 9218 §8). The error is ErrClosed when s is closed.
//
// On a client it changes when the rest of the request is sent, and tells the server: by
// PRIORITY_UPDATE (RFC 9218 §7.1), and by PRIORITY (RFC 7540 §6.3) where Config.TreePriorities is
// set and the server has not stated that it ignores that. The error is ErrClosed when the response
// has been received.
func (c *Conn) SetPriority(s *Stream, p priority.Params) error {
	if p.Tree && (p.DependsOn == s.ID || p.DependsOn > frame.MaxStreamID) {
		return ErrPriority
	}
	p.Urgency = min(p.Urgency, priority.MaxUrgency)
	if c.connErr != nil {
		return ErrClosed
	}
	if c.cfg.Role == Server {
		if s.state.Closed() {
			return ErrClosed
		}
		if p.Extensible {
			s.prio.override |= overrideUrgency | overrideIncremental
		}
		if p.Tree {
			s.prio.override |= overrideTree
		}
		c.overridePriority(s, p)
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
		c.out = frame.Priority{StreamID: s.ID, PriorityParam: toFrame(p)}.Append(c.out)
		c.counts.FramesOut++
	}
	c.updatePriority(s, p)
	return nil
}

// MergePriority is SetPriority with the value of the priority field of a response (RFC 9218 §5):
// the parameters that the value states replace the client's, the others stay (RFC 9218 §8). A value
// that is not valid is ignored. Server only.
func (d Driver) MergePriority(s *Stream, value string) {
	p, ok := s.prio.Merge(value)
	if !ok || s.state.Closed() {
		return
	}
	// A parameter is stated by value if merging gives the same result whatever was there before.
	low, _ := priority.Params{Extensible: true}.Merge(value)
	high, _ := priority.Params{Extensible: true, Urgency: priority.MaxUrgency, Incremental: true}.Merge(value)
	stated := localOverride(0)
	if low.Urgency == high.Urgency {
		stated |= overrideUrgency
	}
	if low.Incremental == high.Incremental {
		stated |= overrideIncremental
	}
	if stated != 0 {
		s.prio.override |= stated
		p.Tree = false
		d.overridePriority(s, p)
	}
}

// updatePriority changes the priority of a stream in the table as the peer, or a client, states it.
func (c *Conn) updatePriority(s *Stream, p priority.Params) {
	c.recordPriority(s, p)
	c.sched.Adjust(s.ID, p)
}

// overridePriority changes the priority of a stream in the table as this server decides it.
func (c *Conn) overridePriority(s *Stream, p priority.Params) {
	c.recordPriority(s, p)
	priority.Decide(c.sched.Scheduler, s.ID, p)
}

// recordPriority copies what p states to the stream.
func (c *Conn) recordPriority(s *Stream, p priority.Params) {
	if p.Extensible {
		c.sched.extensible = true
		s.prio.Extensible, s.prio.Urgency, s.prio.Incremental = true, p.Urgency, p.Incremental
	}
	if p.Tree {
		s.prio.Tree, s.prio.DependsOn, s.prio.Exclusive, s.prio.Weight = true, p.DependsOn, p.Exclusive, p.Weight
	}
}

// applyPeerPriority changes the priority of s as the peer states it, but for what this side has
// decided.
func (c *Conn) applyPeerPriority(s *Stream, p priority.Params) {
	if s.prio.override&overrideUrgency != 0 {
		p.Urgency = s.prio.Urgency
	}
	if s.prio.override&overrideIncremental != 0 {
		p.Incremental = s.prio.Incremental
	}
	if s.prio.override&overrideTree != 0 {
		p.Tree = false
	}
	if p.Extensible || p.Tree {
		c.updatePriority(s, p)
	}
}

// requestPriority returns the priority with which a request begins. stated is what its priority
// field states, 0 for nothing. A PRIORITY_UPDATE that came before the request replaces that, as the
// RFC has it (RFC 9218 §7).
func (c *Conn) requestPriority(b *headerBlock, stated priority.Packed) (p priority.Params) {
	if b.hasPriority && !c.peer.NoRFC7540Priorities {
		p = fromFrame(b.priority)
	}
	if stated != 0 {
		stated.Apply(&p)
	}
	if len(c.sched.pendingUpdates) > 0 {
		c.takePendingUpdate(b.streamID, &p)
	}
	c.sched.extensible = c.sched.extensible || p.Extensible
	return p
}

// newPushStream returns a stream that is pushed on parent. Its initial priority is lower than that
// of parent: in the tree it is a child with the default weight (RFC 7540 §5.3.5), and it has the
// next urgency. RFC 9218 does not say which; with the same urgency a pushed stream, whose
// identifier may be lower, could delay the page that needs it. Urgency is stated only where the
// connection uses RFC 9218 already, because the scheduler would infer that from it.
func (c *Conn) newPushStream(id uint32, parent *Stream) *Stream {
	s := c.newStream(id, priority.Params{Tree: true, DependsOn: parent.ID, Weight: priority.DefaultWeight})
	if c.sched.extensible {
		p := priority.Params{Extensible: true, Urgency: priority.DefaultUrgency}
		if parent.prio.Extensible {
			p.Urgency = parent.prio.Urgency
		}
		p.Urgency = min(p.Urgency+1, priority.MaxUrgency)
		c.overridePriority(s, p)
	}
	return s
}

// sendsTree reports whether the server uses priorities of RFC 7540, in PRIORITY and in HEADERS.
func (c *Conn) sendsTree() bool { return c.cfg.TreePriorities && !c.peer.NoRFC7540Priorities }

// fromFrame returns what PRIORITY, or the priority part of HEADERS, states.
func fromFrame(p frame.PriorityParam) priority.Params {
	return priority.Params{Tree: true, DependsOn: p.DependsOn, Exclusive: p.Exclusive, Weight: p.Weight}
}

// toFrame returns the tree part of p as PRIORITY and HEADERS have it.
func toFrame(p priority.Params) frame.PriorityParam {
	return frame.PriorityParam{DependsOn: p.DependsOn, Exclusive: p.Exclusive, Weight: p.Weight}
}
