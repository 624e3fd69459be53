package conn

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/sluice-go/sluice/conn/core"
)

// Who reads a client's socket. That is the goroutine in Serve, as on a server, but for requests
// that follow one another closely without another at the same time: there the goroutine that waits
// for the response reads for itself, which spares waking it, the dearest part of such a request. It
// has the turn from AwaitHead on until its head has come. When nothing is open then, the turn is
// free for the next request, for a moment (turnFreeTime), after which Serve takes it back. That
// needs a Read that can be interrupted when the request is given up, which only known connections
// have: see isKnown.
//
// Who has the turn owns receiver and core's Decode.
type readTurn struct {
	holder turnHolder
	leader *Stream       // has the turn
	eager  bool          // requests follow one another closely
	over   bool          // a leader has found the end of the connection
	kicked bool          // the read deadline was set for the leader to look up
	looked chan struct{} // closed when Serve has read; nil while nobody waits for that: see Conn.look

	serve       sync.Cond // Serve waits for its turn
	timer       *time.Timer
	armed       bool          // it runs
	tunnelClose time.Duration // Config.TunnelCloseTimeout; 0: no limit

	led  uint64 // how often a leader has had the turn
	seen uint64 // of these the timer knows
}

type turnHolder uint8

const (
	turnServe turnHolder = iota
	turnLeader
	turnFree
)

const (
	// turnFreeTime is how long nobody reads at most: what a server says between two requests is
	// heard so much later, as if it were as far away. A timer that rings sooner makes each wait for
	// a response dearer, since the system's clock has to be set for it each time that the processor
	// falls asleep.
	turnFreeTime = 20 * time.Millisecond
	// turnClose is how soon after another a request must come for the turn to be left free.
	turnClose = 200 * time.Microsecond
)

// readOnce reads and handles what that brought, and tells whether the connection goes on. Its
// caller has the turn.
func (c *Conn) readOnce() (goOn bool) {
	ok := false
	defer c.containRead(&ok)
	goOn = c.readStep()
	ok = true
	return goOn
}

func (c *Conn) readStep() bool {
	if goOn, mayRead := c.waitRoom(); !mayRead {
		return goOn
	}
	if err := c.read(); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) && c.lookUp() {
			return true
		}
		c.readFailed(err)
		return false
	}
	return c.process()
}

// takeTurn waits until it is Serve's turn, and tells whether there is something left to read.
func (c *Conn) takeTurn() bool {
	if c.role != core.Client {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.client.turn
	t.wakeLooked()
	if t.holder == turnServe && t.eager && c.phase == alive && c.core.NumStreams() == 0 {
		c.freeTurn()
	}
	for t.holder != turnServe {
		if t.holder == turnFree && (c.phase != alive || t.over) {
			t.holder = turnServe
			break
		}
		t.serve.Wait()
	}
	return !t.over
}

// freeTurn leaves the turn to who comes, or to Serve when nobody does.
func (c *Conn) freeTurn() {
	t := c.client.turn
	t.holder, t.leader = turnFree, nil
	if !t.armed {
		c.armTurn(turnFreeTime)
	}
}

func (c *Conn) armTurn(d time.Duration) {
	t := c.client.turn
	t.armed = true
	if t.timer == nil {
		t.timer = time.AfterFunc(d, c.turnTimer) // ends by itself
	} else {
		t.timer.Reset(d)
	}
}

// turnTimer gives the turn back to Serve if nobody had it for some time.
func (c *Conn) turnTimer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.client.turn
	t.armed = false
	switch {
	case t.holder != turnFree:
	case t.led != t.seen && c.phase == alive:
		t.seen = t.led
		rest := turnFreeTime
		if idle := c.core.IdleSince(); !idle.IsZero() { // nor is somebody about to lead
			rest -= time.Since(idle)
		}
		c.armTurn(rest)
	default:
		t.eager = false
		c.serveTurn()
	}
}

// serveTurn gives the turn to Serve.
func (c *Conn) serveTurn() {
	t := c.client.turn
	t.holder, t.leader = turnServe, nil
	t.serve.Signal()
}

// lead reads for st, if the turn is free, until its head has come or w, which may be nil, ends
// that, and tells whether it has read. It lets go of mu.
func (c *Conn) lead(st *Stream, w *interrupt) bool {
	t := c.client.turn
	if c.role != core.Client || t.holder != turnFree || c.phase != alive {
		return false
	}
	t.led++
	c.readAs(st, func() bool { return !st.gotHead && st.err == nil && !st.readBy.passed && w.cause() == nil })
	return true
}

// readAs reads in Serve's place while more reports true, and then gives the turn on. st is what a
// kick is for. It is called with mu held, which it lets go of.
func (c *Conn) readAs(st *Stream, more func() bool) {
	t := c.client.turn
	t.holder, t.leader = turnLeader, st
	goOn := true
	defer func() { // also when what is the application's has ended this goroutine
		t.over = t.over || !goOn
		if goOn && c.phase == alive && c.core.NumStreams() == 0 {
			c.freeTurn()
		} else {
			c.serveTurn()
		}
	}()
	for goOn && more() && !c.crowded() {
		goOn = false
		goOn = c.readUnlocked()
	}
}

// readUnlocked is readOnce for a caller that holds mu.
func (c *Conn) readUnlocked() bool {
	defer c.mu.Lock()
	c.unlock()
	return c.readOnce()
}

// kick has a leader look up from the socket: its stream has died, or its deadline has passed.
func (st *Stream) kick() {
	if t := st.c.client.turn; t != nil && t.leader == st {
		t.kicked = true
		_ = st.c.nc.SetReadDeadline(time.Unix(1, 0)) // on a dead socket reading fails anyway
	}
}

// lookUp undoes kick, or callToRest, and tells whether that was why reading has failed.
func (c *Conn) lookUp() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.client.turn
	switch {
	case t != nil && t.kicked:
		t.kicked = false
	case c.rest.called:
		c.goToRest()
	default:
		return false
	}
	return c.nc.SetReadDeadline(time.Time{}) == nil
}

// comesClosely notes how closely requests follow one another. It is called before a stream is
// opened.
func (c *Conn) comesClosely() {
	t := c.client.turn
	if !t.eager && c.mayLead() && c.peerKnown && c.core.NumStreams() == 0 {
		// No time at all passes only in a bubble of synctest, where somebody may wait for what a
		// server sends.
		gap := time.Since(c.core.IdleSince())
		t.eager = gap > 0 && gap < turnClose
	}
}

// mayLead reports whether requests may read for themselves. Where the application sees frames they
// do not: it is called by the goroutine that reads, and runtime.Goexit is not to end that of a
// request.
func (c *Conn) mayLead() bool {
	return c.known && canLook && c.cfg.Tracer == nil && c.cfg.FramePolicy == nil
}
