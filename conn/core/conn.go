package core

import (
	"github.com/sluice-go/sluice/conn/header"
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
	enc      *header.Encoder
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
		enc:   header.NewEncoder(cfg.EncoderTableSize),
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

// Output takes what waits to be sent and leaves swap, emptied, in its place.
func (c *Conn) Output(swap []byte) []byte {
	b := c.out
	c.out = swap[:0]
	c.limit.queuedControl = 0
	return b
}

// PeerSettings returns the peer's settings in force.
func (c *Conn) PeerSettings() Settings { return c.peer }

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
