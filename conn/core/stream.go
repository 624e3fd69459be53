package core

import (
	"time"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/flow"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
	"github.com/sluice-go/sluice/stream/priority"
)

// Stream is one stream of a Conn. Its memory may be used again once EventClosed was taken.
type Stream struct {
	// ID is the stream's identifier (RFC 9113 §5.1.1).
	ID uint32
	// Owner is for the program that uses the Conn, which never looks at it.
	Owner any
	// Head is the request that opened the stream (server, pushed) or the final response head
	// (client). Its Fields belong to the stream.
	Head header.Message

	state stream.State
	began time.Time // when the stream was opened or promised

	node      priority.Node // in the scheduler
	prio      streamPriority
	readiness readiness
	await     awaitState

	send   flow.SendWindow
	recv   streamRecv
	out    outgoing
	unsent int // octets that still waited to be sent when the stream was closed

	recvBody int64 // octets of DATA received, padding excluded
	interim  interimState
	noBody   bool // client: the response has no content, whatever its content-length says: answer to HEAD, or 304
	connect  bool // client: the request is CONNECT, and a 2xx response makes the stream a tunnel
	tunnel   bool // only DATA may come (RFC 9113 §8.5)
	headRecv bool // the request, or the final head of the response, was received
	headSent bool // the request, or the final head of the response, was sent
	reserved bool // the stream is promised, and its response has not begun (RFC 9113 §5.1)
}

// outgoing is what a stream still has to send.
type outgoing struct {
	data          []byte         // waits for the windows and the scheduler; the caller's memory unless copied
	trailers      []header.Field // follow data, and end the stream
	copied        bool           // data and trailers are copies of ours
	end           bool           // END_STREAM follows data
	resetAfterEnd bool           // RST_STREAM follows END_STREAM, see Conn.StopRecv

	waitSince time.Time // when the present wait for the windows began, or was last judged by resetStalled
	sent      int       // octets sent since waitSince
}

// reset is for when nothing waits any more.
func (o *outgoing) reset() {
	o.data, o.trailers, o.copied, o.end = nil, nil, false, false
}

// State returns the stream's state (RFC 9113 §5.1).
func (s *Stream) State() stream.State { return s.state }

// RemoteEnded reports whether the peer has sent all it had to send.
func (s *Stream) RemoteEnded() bool { return s.state == stream.HalfClosedRemote || s.state.Closed() }

// SendWindow returns how many octets the peer's window for this stream has room for; it may be
// negative.
func (s *Stream) SendWindow() int64 { return int64(s.send.Available()) }

// streamSet has the streams of a connection, and what is known of those that are closed.
type streamSet struct {
	stream.Table[*Stream] // those that are open, half-closed or reserved

	ids      *stream.IDs
	closed   stream.ClosedStreams
	lastData *Stream // the stream of the last DATA frame; nil once it is closed
	local    int32   // number of streams that we opened and that are open or half-closed
	remote   int32   // number of streams that the peer opened and that are open or half-closed
	reserved int32   // number of streams that the server has promised and not opened
}

// newStream returns a new stream, which is idle, and puts it into the table. The memory that
// Config.NewStream has returned keeps its Owner, and the memory of Head.Fields.
func (c *Conn) newStream(id uint32, p priority.Params) *Stream {
	s := c.cfg.NewStream()
	fields, owner := s.Head.Fields[:0], s.Owner
	*s = Stream{}
	s.ID, s.Owner, s.state, s.prio.Params, s.began = id, owner, stream.Idle, p, c.now
	s.Head.Fields, s.Head.ContentLength = fields, -1
	s.node.ID, s.node.Owner = id, s
	window := c.recv.initial.size
	switch {
	case c.settings.windowUnacked:
		window = c.cfg.StreamWindow // a small window holds once it is acknowledged, a large one at once
	case !c.settings.acked: // the peer may use the initial value until then (RFC 9113 §6.5.3)
		window = max(c.cfg.StreamWindow, frame.DefaultWindow)
	}
	s.recv.window.Init(window)
	s.send.Add(c.peer.InitialWindowSize)
	c.streams.Put(id, s)
	c.counts.StreamsOpened++
	c.countConcurrent(s, 1)
	c.sched.num[notReady]++
	c.limit.opened()
	c.sched.Open(&s.node, p)
	return s
}

// countConcurrent adds n to the number of concurrent streams to which s counts (RFC 9113 §5.1.2).
func (c *Conn) countConcurrent(s *Stream, n int32) {
	switch {
	case s.reserved:
		c.streams.reserved += n
	case c.streams.ids.IsLocal(s.ID):
		c.streams.local += n
	default:
		c.streams.remote += n
	}
}

// transition moves s by an event of the peer (RFC 9113 §5.1). A nil error with ok false means that
// the frame is to be ignored.
func (c *Conn) transition(s *Stream, e stream.Event) (ok bool, err error) {
	r := s.state.On(e)
	if r.Verdict == stream.Allowed {
		s.state = r.Next
		return true, nil
	}
	return false, r.Verdict.Err(s.ID, e, s.state)
}

// mustTransition moves s by an event that the state of s allows, as the calling function has made
// sure.
func (c *Conn) mustTransition(s *Stream, e stream.Event) {
	r := s.state.On(e)
	if r.Verdict != stream.Allowed {
		panic("BUG: " + e.String() + " in state " + s.state.String())
	}
	s.state = r.Next
}

// closeStream takes s, whose state is closed, out of the table, and queues the last event that
// names it.
func (c *Conn) closeStream(s *Stream) {
	c.streams.closed.Add(s.ID, s.state)
	c.counts.StreamsClosed++
	switch s.state {
	case stream.ClosedResetLocal:
		c.counts.StreamsResetLocal++
	case stream.ClosedResetRemote:
		c.counts.StreamsResetRemote++
	}
	if c.streams.lastData == s {
		c.streams.lastData = nil
	}
	c.streams.Delete(s.ID)
	c.sched.num[s.readiness]--
	s.readiness = notReady
	c.sched.Close(&s.node)
	c.countConcurrent(s, -1)
	s.unsent = len(s.out.data)
	s.out = outgoing{}
	if s.recv.growth+s.recv.restored > 0 {
		c.reclaimGrowth(s)
	}
	if c.streams.Len() == 0 {
		c.idle.since, c.idle.stale = c.now, !c.haveNow
		if c.goAway.received {
			c.drainAfterGoAway()
		}
	}
	c.queueEvent(EventClosed, s)
}
