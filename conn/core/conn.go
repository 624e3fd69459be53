package core

import (
	"time"

	"github.com/sluice-go/sluice/flow"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
	"github.com/sluice-go/sluice/stream/priority"
)

// Conn is one HTTP/2 connection without I/O, in either role. See the package documentation for how
// bytes and events pass through it and for which of its parts may be used by two goroutines.
type Conn struct {
	cfg Config
	in  inbound // owned by the reader

	// Everything below is guarded by the caller's lock.

	timed      bool // a call that brings the time is under way, so now is the present
	extensible bool // somebody has spoken of RFC 9218's priorities
	lending    bool // by FillLend, which has filled loans with lent octets
	patient    bool // see SetPatient

	clock
	peer     Settings
	ids      *stream.IDs
	streams  stream.Table[*Stream]
	closed   stream.ClosedStreams
	sched    priority.Scheduler
	send     flow.SendWindow
	recv     flow.RecvWindow
	enc      *blockEncoder
	limit    limiter
	counts   tally
	life     lifetime
	unread   int64 // octets of DATA that were not consumed
	owed     int64 // of them, connection credit that is held back because unread is over MaxUnread
	bdp      flow.BDPEstimator
	sample   flow.BDPSample // of the connection's window
	grown    uint32         // octets by which the windows of streams are larger than StreamWindow
	window   initialWindow
	shutdown shutdownState
	fatal    *frame.ConnError

	localStreams, remoteStreams int // open or half-closed, by who opened them
	reserved                    int // promised by the server, and not opened

	early []earlyPriority // of streams that are idle, in order of their identifiers

	out       []byte
	lastData  *Stream // of the last DATA frame; nil once it is closed
	loans     []Loan
	lent      int
	order     order
	events    []Event
	nextEvent int
}

// maxResets bounds how many streams that we have reset are remembered, which takes up to 20 octets
// each.
const maxResets = 4096

// New returns a connection that is about to begin. Start begins it.
func New(cfg Config) *Conn {
	cfg.normalize()
	c := &Conn{
		cfg:   cfg,
		peer:  initialSettings(),
		ids:   stream.NewIDs(cfg.Role == Client),
		sched: cfg.Scheduler,
		enc:   newBlockEncoder(cfg.EncoderTableSize),
	}
	c.cfg.Limits = cfg.Limits.withDefaults(&cfg)
	c.limit.Limits = &c.cfg.Limits
	// The peer may have as many streams open, and so send frames on as many that we have reset,
	// before it knows.
	resets := min(max(cfg.MaxConcurrentStreams, stream.DefaultResets), maxResets)
	c.closed = stream.NewClosedStreams(stream.DefaultEnded, int(resets))
	c.in.init(&cfg, c.limit.MaxContinuations)
	c.window.size = cfg.StreamWindow
	c.send.Add(frame.DefaultWindow)
	c.recv.Init(frame.DefaultWindow)
	return c
}

// SetTime says what time it is. Queue, SendHead and others that bring no time of their own use the
// time of the last call that did, which may be long ago when a peer waits for its answer. So call
// SetTime before a Queue that will have to wait for the peer's window, and after what may have
// ended the last stream: the wait, and idleness, are counted from then.
func (c *Conn) SetTime(now time.Time) {
	c.tell(now)
	if c.life.idleGuess {
		c.life.idleSince, c.life.idleGuess = c.now, false
		if c.shutdown.guess {
			c.drainFrom(c.now)
		}
	}
}

// Output takes what waits to be sent and leaves swap, emptied, in its place.
func (c *Conn) Output(swap []byte) []byte {
	b := c.out
	c.out = swap[:0]
	c.limit.queuedControl = 0
	return b
}

// OutputLen returns how many octets wait to be taken by Output.
func (c *Conn) OutputLen() int { return len(c.out) }

// PeerSettings returns the peer's settings in force.
func (c *Conn) PeerSettings() Settings { return c.peer }

// Role returns the side that c plays.
func (c *Conn) Role() Role { return c.cfg.Role }

// Counts returns the counters so far.
func (c *Conn) Counts() Counts {
	n := &c.counts
	return Counts{
		FramesIn: n.FramesIn, FramesOut: n.FramesOut, DataIn: n.DataIn, DataOut: n.DataOut,
		StreamsOpened: n.StreamsOpened, StreamsClosed: n.StreamsClosed,
		StreamsResetLocal: uint64(n.StreamsResetLocal), StreamsResetRemote: uint64(n.StreamsResetRemote),
		PromisesIn: uint64(n.PromisesIn), PromisesOut: uint64(n.PromisesOut),
		ResetsIn: uint64(n.ResetsIn), ResetsOut: uint64(n.ResetsOut),
		PingsIn: uint64(n.PingsIn), PingsOut: uint64(n.PingsOut), SettingsIn: uint64(n.SettingsIn),
		WindowUpdatesIn: n.WindowUpdatesIn, WindowUpdatesOut: n.WindowUpdatesOut, LastError: n.LastError,
	}
}

// NumStreams returns how many streams are open, half-closed or reserved.
func (c *Conn) NumStreams() int { return c.streams.Len() }

// LocalStreams returns how many of the streams that we opened are open or half-closed.
func (c *Conn) LocalStreams() int { return c.localStreams }

// Streams calls f for every stream in the table. f must not open or close streams.
func (c *Conn) Streams(f func(*Stream)) {
	for _, s := range c.streams.All() {
		f(s)
	}
}

// Unread returns how many octets of DATA were received and not consumed.
func (c *Conn) Unread() int64 { return c.unread }

// SendWindow returns how many octets the peer's window for the connection has room for.
func (c *Conn) SendWindow() int64 { return int64(c.send.Available()) }

// Err returns the connection error that ended c, or nil.
func (c *Conn) Err() error {
	if c.fatal == nil {
		return nil
	}
	return c.fatal
}

// Fail ends the connection: it appends GOAWAY with the error's code and a debug text that says what
// was wrong (RFC 9113 §5.4.1). Nothing follows it: from then on no method appends anything, Apply
// and Tick do nothing, Deadline gives none, and the scheduler is not called any more. Only the
// first call counts.
func (c *Conn) Fail(err *frame.ConnError) {
	if c.fatal != nil {
		return
	}
	c.fatal = err
	c.counts.LastError = err.Code
	debug := err.Reason
	if err.Section != "" {
		debug += " (" + err.Section + ")"
	}
	last := c.ids.LastRemote()
	if c.shutdown.step == drainFinal {
		last = c.shutdown.last // never more than was said before (RFC 9113 §6.8)
	}
	c.appendGoAway(last, err.Code, debug)
}

// Abandon says that the connection is over without another word, and that the memory of its streams
// may be used elsewhere. From then on nothing is appended, as after Fail, and the scheduler, which
// may still lead from one stream to another, is not called.
func (c *Conn) Abandon() {
	if c.fatal == nil {
		c.fatal = errAbandoned
	}
}

var errAbandoned = &frame.ConnError{Code: frame.NoError, Reason: "connection closed"}
