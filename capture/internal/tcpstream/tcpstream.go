package tcpstream

import (
	"cmp"
	"container/list"
	"net/netip"
	"time"

	"github.com/sluice-go/sluice/capture/internal/packet"
	"github.com/sluice-go/sluice/capture/internal/wire"
)

// Why octets are missing.
const (
	WhyMissing = "not in the capture"
	WhyCut     = "cut off by the capture (the snap length, -s)"
	WhyUnacked = "not in the capture, and never acknowledged"
	WhyBound   = "given up: too much waited for them"
)

const (
	// maxWaitPackets is the number of packets that a hole is waited for. Packets that are shuffled
	// within 20, and doubled, are up to 80 apart.
	maxWaitPackets = 128

	// maxWaitTime is what a hole of a connection with few packets is waited for, when maxWaitPackets
	// packets of the capture have passed, too.
	maxWaitTime = 2 * time.Second

	// memoryOfClosed is how long the segments of a closed connection are known as such.
	memoryOfClosed = 30 * time.Second

	// farAway is how far from the octets expected a segment may be (RFC 7323 §2.3: no window is
	// larger). Others are of another connection, or forged.
	farAway = 1 << 30

	// maxStrays is the number of segments in a row that are far away after which they are taken
	// for those of a new connection with the same addresses.
	maxStrays = 64
)

// Options are those of an Assembler.
type Options struct {
	// MaxConns bounds the connections that are known at once, of 1 KiB each; default 16384. Beyond it
	// the one that was idle for longest ends, as at the end of a capture.
	MaxConns int

	// MaxBuffered bounds the octets, with an overhead for each segment, that wait for others;
	// default 16 MiB.
	MaxBuffered int
}

// A Conn is a TCP connection.
type Conn struct {
	Client, Server netip.AddrPort
	Start          time.Time // of the first packet seen
	Number         uint64    // of the first packet seen
	SYN            bool      // the beginning of the connection was seen
	Connected      time.Time // of the client's ACK of the SYN of the server; zero is unknown

	client int       // the index of the client in counts
	counts [2]Counts // by the side that sent what was counted
}

// Counts count what was seen of a direction.
type Counts struct {
	Segments   uint64 // with octets
	Octets     uint64 // handed on
	Lost       uint64 // octets
	Repeated   uint64 // octets of retransmissions
	Duplicates uint64 // segments that were captured twice
	Late       uint64 // segments behind which others were seen before
	Conflicts  uint64 // copies that differ from what came first
	Strays     uint64 // segments that cannot belong to the connection
}

// Counts returns what was seen of a direction up to now.
func (c *Conn) Counts(d wire.Dir) Counts { return c.counts[c.client^int(d)] }

// Retransmits is what a Sink may implement, too.
type Retransmits interface {
	// Retransmitted says that octets of a direction were sent again, at t.
	//
	// The receiver has waited for filled, up to t. Where the capture has the first copy, as on the
	// sender's side, that is the time since the copy before; where it has not, the time since octets
	// behind the hole were seen. It is 0 where the octets had been acknowledged, so that nothing
	// waited, and where the time is not known. Segments that are late by less than reordered are
	// no retransmissions. What was lost with nothing behind it is told on the sender's side only:
	// on the other one it looks as if it had been sent late.
	Retransmitted(d wire.Dir, t time.Time, octets int, filled time.Duration)
}

// tuple names a connection: the lower of the two addresses first.
type tuple [2]netip.AddrPort

// An Assembler puts the segments of connections in order. It belongs to one goroutine.
type Assembler struct {
	open func(c *Conn) wire.Sink
	opts Options

	conns   map[tuple]*conn
	last    *conn      // of the last segment
	idle    *list.List // of *conn, the one idle for longest first
	waiting *list.List // of *conn with octets that wait, the oldest first
	resets  *list.List // of *conn that were reset, in order
	closed  *list.List // of *conn that have ended, in order
	size    int        // octets that wait, of all connections
	recent  recent
	now     mark
	evicted uint64
}

// mark is a place in a capture.
type mark struct {
	number  uint64
	packets uint64 // of the connection
	time    time.Time
}

// New returns an Assembler. It calls open for each connection that carries something.
func New(open func(c *Conn) wire.Sink, o Options) *Assembler {
	o.MaxConns = cmp.Or(max(o.MaxConns, 0), 1<<14)
	o.MaxBuffered = cmp.Or(max(o.MaxBuffered, 0), 16<<20)
	return &Assembler{
		open: open, opts: o, conns: map[tuple]*conn{}, recent: newRecent(maxRecent),
		idle: list.New(), waiting: list.New(), resets: list.New(), closed: list.New(),
	}
}

// Add takes the next segment of the capture.
func (a *Assembler) Add(s *packet.Segment) {
	a.now = mark{number: s.Number, time: s.Time}
	a.expire()
	key, from := tuple{s.Src, s.Dst}, 0
	if s.Src.Compare(s.Dst) > 0 {
		key, from = tuple{s.Dst, s.Src}, 1
	}
	c := a.find(key, s, from)
	if c == nil {
		return
	}
	c.packets++
	a.idle.MoveToBack(c.idle)
	c.add(s, from)
	for a.size > a.opts.MaxBuffered {
		a.waiting.Front().Value.(*conn).giveUp()
	}
	if c.strays > maxStrays {
		a.forget(c)
	}
}

// find returns the connection of a segment, or nil where the segment says nothing.
func (a *Assembler) find(key tuple, s *packet.Segment, from int) *conn {
	c := a.last
	if c == nil || c.key != key {
		c = a.conns[key]
	}
	if c != nil && s.SYN && c.otherSYN(s, from) {
		a.forget(c) // the addresses are used again
		c = nil
	}
	if c == nil {
		if !s.SYN && !s.FIN && !s.RST && len(s.Payload)+s.Cut == 0 {
			return nil
		}
		for len(a.conns) >= a.opts.MaxConns {
			a.forget(a.spare())
		}
		c = newConn(a, key, s, from)
		c.idle = a.idle.PushBack(c)
		a.conns[key] = c
	}
	a.last = c
	return c
}

// spare returns the connection that is forgotten first: one that has ended, or else the one that
// was idle for longest.
func (a *Assembler) spare() *conn {
	if e := a.closed.Front(); e != nil {
		return e.Value.(*conn)
	}
	a.evicted++
	return a.idle.Front().Value.(*conn)
}

// Evicted is the number of connections that have ended only because there were too many.
func (a *Assembler) Evicted() uint64 { return a.evicted }

// forget ends a connection, if it has not ended, and removes it.
func (a *Assembler) forget(c *conn) {
	c.finish()
	delete(a.conns, c.key)
	a.idle.Remove(c.idle)
	a.closed.Remove(c.closing)
	if a.last == c {
		a.last = nil
	}
}

// expire ends connections that were reset, and forgets those that have ended.
func (a *Assembler) expire() {
	for e := a.resets.Front(); e != nil; e = a.resets.Front() {
		c := e.Value.(*conn)
		if a.now.number-c.reset.number <= maxWaitPackets {
			break
		}
		c.finish()
	}
	for e := a.closed.Front(); e != nil; e = a.closed.Front() {
		c := e.Value.(*conn)
		if a.now.number-c.ended.number <= maxWaitPackets || a.now.time.Sub(c.ended.time) <= memoryOfClosed {
			break
		}
		a.forget(c)
	}
}

// Close says that the capture has ended. All connections end.
func (a *Assembler) Close() {
	for a.idle.Len() > 0 {
		a.forget(a.idle.Front().Value.(*conn))
	}
}
