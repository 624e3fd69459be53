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
	// Owner belongs to whoever drives the Conn.
	Owner any
	// Head is the request that opened the stream (server, pushed) or the final response head
	// (client). Its Fields belong to the stream.
	Head header.Message

	state    stream.State
	node     priority.Node // in the scheduler
	send     flow.SendWindow
	recv     flow.RecvWindow
	sample   flow.BDPSample // of recv
	grown    uint32         // octets by which recv is larger than at its beginning
	restored uint32         // octets by which it is larger, of those that a small initial window had taken

	recvBody  int64  // octets of DATA received, padding excluded
	noBody    bool   // content-length describes a body that is not sent: answer to HEAD, or 304
	connect   bool   // client: the request is CONNECT, and 2xx makes a tunnel of the stream
	tunnel    bool   // only DATA may come (RFC 9113 §8.5)
	headRecv  bool   // final head received
	headSent  bool   // final head sent
	reserved  bool   // promised, and no HEADERS yet (RFC 9113 §5.1)
	pinned    pinned // what of prio the peer does not change any more
	turn      turn
	late      uint8 // how often in a row it was awaited in vain; see StopAwaiting
	skip      uint8 // how often it is not awaited for that
	prio      priority.Params
	smallData int    // small DATA frames unread
	interims  int32  // interim responses received
	interimed uint64 // their octets, as in a header list
	unread    int64  // octets that were not consumed yet
	began     time.Time
	takesAll  bool // client: interim responses are the caller's to bound

	out    outgoing
	unsent int // octets that still waited when the stream was closed
}

// outgoing is what a stream still has to send.
type outgoing struct {
	data     []byte         // waits for window and turn; the caller's memory unless owned
	trailers []header.Field // follow data, and end the stream
	owned    bool           // data is a copy of ours
	end      bool           // END_STREAM follows data
	stopRecv bool           // RST_STREAM(NO_ERROR) follows the end (RFC 9113 §8.1)

	since time.Time // when the present wait was begun or last judged
	sent  int       // octets sent since then
}

// clear is for when nothing waits any more.
func (o *outgoing) clear() {
	o.data, o.trailers, o.owned, o.end = nil, nil, false, false
}

func (o *outgoing) waiting() bool { return len(o.data) > 0 }

// State returns the stream's state (RFC 9113 §5.1).
func (s *Stream) State() stream.State { return s.state }

// RemoteEnded tells whether the peer has sent all it had to send.
func (s *Stream) RemoteEnded() bool { return s.state == stream.HalfClosedRemote || s.state.Closed() }

// SendWindow returns how many octets the peer's window for this stream has room for; it may be
// negative.
func (s *Stream) SendWindow() int64 { return int64(s.send.Available()) }

// Queued returns how many octets wait to be sent.
func (s *Stream) Queued() int { return len(s.out.data) }

// init makes s a new stream; it keeps the memory of its fields.
func (c *Conn) initStream(s *Stream, id uint32, st stream.State, p priority.Params) {
	fields, owner := s.Head.Fields[:0], s.Owner
	*s = Stream{}
	s.ID, s.Owner, s.state, s.prio, s.began = id, owner, st, p, c.now
	s.Head.Fields, s.Head.ContentLength = fields, -1
	s.node.ID, s.node.Owner = id, s
	s.recv.Init(c.streamWindow())
	s.send.Add(c.peer.InitialWindowSize)
	c.streams.Put(id, s)
	c.counts.StreamsOpened++
	c.count(s)
	c.limit.opened()
	c.sched.Open(&s.node, p)
}

// streamWindow returns the receive window of a new stream. Until the peer has acknowledged our
// SETTINGS it may take the initial value for granted (RFC 9113 §6.5.3), so a smaller one does not
// hold before.
func (c *Conn) streamWindow() uint32 {
	switch {
	case c.life.windowAsked:
		return c.cfg.StreamWindow // a small one holds once it is acknowledged, a large one at once
	case c.life.settingsAcked:
		return c.window.size
	}
	return max(c.cfg.StreamWindow, frame.DefaultWindow)
}

// count and uncount keep the numbers of streams.
func (c *Conn) count(s *Stream) { c.addStream(s, 1) }

func (c *Conn) uncount(s *Stream) { c.addStream(s, -1) }

func (c *Conn) addStream(s *Stream, n int) {
	switch {
	case s.reserved:
		c.reserved += n
	case c.ids.IsLocal(s.ID):
		c.localStreams += n
	default:
		c.remoteStreams += n
	}
}

func (c *Conn) newStream(id uint32, st stream.State, p priority.Params) *Stream {
	s := c.cfg.NewStream()
	c.initStream(s, id, st, p)
	return s
}

// closeIfDone takes s out of the table when it is closed and nothing waits to be sent on it.
func (c *Conn) closeIfDone(s *Stream) {
	if s.state.Closed() {
		c.closeStream(s)
	}
}

// closeStream takes s out of the table. The event is the last that names it.
func (c *Conn) closeStream(s *Stream) {
	c.closed.Add(s.ID, s.state)
	c.countClosed(s.state)
	if c.lastData == s {
		c.lastData = nil
	}
	c.streams.Delete(s.ID)
	c.leave(s)
	c.uncount(s)
	s.unsent = len(s.out.data)
	s.out.clear()
	s.out.stopRecv = false
	c.settle(s)
	if c.streams.Len() == 0 {
		c.life.idleSince, c.life.idleGuess = c.now, !c.timed
		c.followGoAway()
	}
	c.queueEvent(EventClosed, s)
}

// countClosed counts a stream that has closed in state st.
func (c *Conn) countClosed(st stream.State) {
	c.counts.StreamsClosed++
	switch st {
	case stream.ClosedResetLocal:
		c.counts.StreamsResetLocal++
	case stream.ClosedResetRemote:
		c.counts.StreamsResetRemote++
	}
}

// local moves s by an event of ours that the caller has made sure is allowed.
func (c *Conn) local(s *Stream, e stream.Event) {
	r := s.state.On(e)
	if r.Verdict != stream.Allowed {
		panic("BUG: " + e.String() + " in state " + s.state.String())
	}
	s.state = r.Next
}

// step moves s by an event of the peer. A nil error with ok false means that the frame is to be
// ignored.
func (c *Conn) step(s *Stream, e stream.Event) (ok bool, err error) {
	r := s.state.On(e)
	if r.Verdict == stream.Allowed {
		s.state = r.Next
		return true, nil
	}
	return false, r.Verdict.Err(s.ID, e, s.state)
}
