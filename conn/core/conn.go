package core

import (
	"time"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/flow"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

// Conn is one HTTP/2 connection without I/O, in either role. See the package documentation for how
// bytes and events pass through it, and for what two goroutines may call at the same time.
type Conn struct {
	cfg Config
	dec frameDecoder // belongs to the reader, which needs no lock for it

	// The caller's lock guards everything below.

	clock
	connErr *frame.ConnError // the connection error that has ended the connection, or nil

	settings   settingsState
	peer       Settings // the peer's settings in force
	partial    partialState
	pings      pingState
	keepalive  keepaliveState
	idle       idleState
	stallCheck time.Time // when resetStalled is due, zero while no data waits
	goAway     goAwayState

	streams    streamSet
	sched      scheduling
	sendWindow flow.SendWindow // the peer's receive window for the connection
	recv       recvFlow
	limit      limiter
	counts     counters

	enc      *header.Encoder
	out      []byte // what Output takes
	vectored vectoredOutput
	events   eventQueue
}

// maxResets bounds how many streams that we have reset are remembered, which takes up to 20 octets
// each.
const maxResets = 4096

// New returns a connection that is about to begin. Start begins it.
func New(cfg Config) *Conn {
	cfg.normalize()
	c := &Conn{cfg: cfg, peer: initialSettings(), enc: header.NewEncoder(cfg.EncoderTableSize)}
	c.cfg.Limits = cfg.Limits.withDefaults(&cfg)
	c.limit.Limits = &c.cfg.Limits
	c.dec.init(&cfg, c.limit.MaxContinuations)
	// Until the peer has received our RST_STREAM it may send frames on a stream that we have reset,
	// and it may have reached its limit of open streams with such streams alone.
	resets := min(max(cfg.MaxConcurrentStreams, stream.DefaultResets), maxResets)
	c.streams.closed = stream.NewClosedStreams(stream.DefaultEnded, int(resets))
	c.streams.ids = stream.NewIDs(cfg.Role == Client)
	c.sched.Scheduler = cfg.Scheduler
	c.sendWindow.Add(frame.DefaultWindow)
	c.recv.window.Init(frame.DefaultWindow)
	c.recv.initial.size = cfg.StreamWindow
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
